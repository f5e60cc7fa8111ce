#include <algorithm>

#include "sim/rollout/decider.h"
#include "sim/rollout/matches.h"

namespace coalmine::rollout {

/// Carries the present step of routes out.
void Decider::route() {
  enter(Phase::Routing);
  SideRoutes routes = s_.routes;
  const StepKind& what = plan_.steps[s_.step].what;
  if (const auto* marks = std::get_if<RouteMatching>(&what)) routes.matches = marks->any_of;
  if (const auto* mirror = std::get_if<Mirror>(&what)) routes.mirror = mirror->share;
  change_routes(std::move(routes));
}

void Decider::change_routes(SideRoutes routes) {
  if (!routes.none()) {
    s_.routed_from = std::min(s_.routed_from, now_);
    s_.routed_until = kNever;
  }
  s_.routes = std::move(routes);
  s_.routes_settled = false;
  s_.route_attempts = 0;
  actions_.push_back(ChangeRoutes{s_.routes});
}

/// The plan ends with routes in force; nothing of a rollout stays behind but its weights.
void Decider::take_routes_away() {
  enter(Phase::Routing);
  change_routes({});
}

void Decider::on(const RoutesApplied&) {
  s_.routes_settled = true;
  s_.route_attempts = 0;
  const std::string what = describe(s_.routes);
  if (s_.routes.none() && s_.routed_until == kNever) s_.routed_until = now_ + plan_.settle;
  if (s_.phase == Phase::Routing && s_.step < plan_.steps.size()) {
    begin_step();
    return go_on_after("routes.changed", {{"routes", what}});
  }
  record("routes.changed", {{"routes", what}, {"note", std::string()}});
  if (s_.phase == Phase::Routing) return enter_step(s_.step);
  if (s_.phase == Phase::Promoting) return wind_up();
  if (s_.phase == Phase::RollingBack) return end_roll_back();
}

void Decider::on(const RoutesFailed& failed) {
  ++s_.route_attempts;
  record("routes.failed",
         {{"reason", failed.reason}, {"attempt", static_cast<std::int64_t>(s_.route_attempts)}});
  const bool planned = s_.phase == Phase::Routing && s_.step < plan_.steps.size();
  if (planned && s_.route_attempts >= kMaxShiftAttempts) {
    return roll_back(Outcome::RolledBack,
                     fmt::format("the routes could not be set: {}", failed.reason));
  }
  // The weights come first: as long as they are not back either, there is something to try.
  const bool last = s_.phase != Phase::RollingBack || s_.weights_back;
  if (s_.route_attempts >= kMaxRollBackAttempts && last) {
    return finish(
        Outcome::Failed,
        fmt::format("{}{}routes to {} could not be taken away: {}. Remove them by hand", s_.reason,
                    s_.reason.empty() ? "" : "; but ", plan_.canary, failed.reason));
  }
  s_.route_retry_at = now_ + backoff(s_.route_attempts);
  wake(s_.route_retry_at);
}

/// A change of routes that failed is tried again when its time has come, in whatever phase.
void Decider::retry_routes() {
  if (!routes_wait()) return;
  if (now_ < s_.route_retry_at) return wake(s_.route_retry_at);
  actions_.push_back(ChangeRoutes{s_.routes});
}

}  // namespace coalmine::rollout
