#include "sim/engine/fidelity.h"

#include <algorithm>

#include "sim/engine/affinity.h"
#include "sim/engine/behaviour.h"
#include "sim/engine/world/rate_curve.h"
#include "sim/engine/world/recorder.h"

namespace coalmine::engine {
namespace {

/// What the version's tasks run after the promotion; nullptr: what they have always run.
const world::Version* other_build(const world::Spec& spec, const world::Version& version) {
  const rollout::Promote* promotion = rollout::promotion_of(spec.plan);
  const auto canary = world::version_index(spec, spec.plan.canary);
  const bool swaps = promotion != nullptr && canary && version.name == spec.plan.stable &&
                     promotion->kind == rollout::PromoteKind::ImageSwap;
  return swaps ? &spec.versions[*canary] : nullptr;
}

/// "v1 has a capacity, so requests queue"; empty: only counts matter.
std::string why_in_order(const world::Spec& spec, const world::Version& version) {
  const auto text = [&version](std::string_view why) {
    return fmt::format("{} {}", version.name, why);
  };
  if (version.capacity) return text("has a capacity, so its requests queue");
  if (version.concurrency) return text("has a concurrency, so its requests queue");
  if (const auto* build = other_build(spec, version)) {
    std::string why = why_in_order(spec, *build);
    if (!why.empty()) return why;
  }
  const auto fault_text = [&](const world::Fault& fault) {
    const std::string kind =
        fault.burst > 0 ? "bursts" : fmt::format("\"{}\"", world::to_string(fault.kind));
    return text(fmt::format("has a fault that remembers earlier requests ({})", kind));
  };
  for (const world::Fault& fault : version.faults) {
    if (remembers(fault)) return fault_text(fault);
  }
  for (const world::Event& event : spec.events) {
    const auto* inject = std::get_if<world::InjectFault>(&event.what);
    if (inject != nullptr && world::is_hit(spec, inject->target, version.name) &&
        remembers(inject->fault)) {
      return fault_text(inject->fault);
    }
  }
  return {};
}

/// Whether a fault can make a load balancer's health check fail.
bool concerns_health(const world::Fault& fault) {
  return fault.kind == world::FaultKind::Unhealthy || fault.kind == world::FaultKind::SlowStart ||
         fault.kind == world::FaultKind::Crash || fault.kind == world::FaultKind::Leak;
}

}  // namespace

bool health_matters(const world::Spec& spec) {
  if (rollout::changes_tasks(spec.plan)) return true;
  for (const world::Version& version : spec.versions) {
    if (std::any_of(version.faults.begin(), version.faults.end(), concerns_health)) return true;
  }
  return std::any_of(spec.events.begin(), spec.events.end(), [](const world::Event& event) {
    const auto* inject = std::get_if<world::InjectFault>(&event.what);
    return std::holds_alternative<world::ScaleTasks>(event.what) ||
           (inject != nullptr && concerns_health(inject->fault));
  });
}

bool needs_order(const world::Spec& spec, const world::Version& version, bool aggregate) {
  if (!why_in_order(spec, version).empty()) return true;
  // The fast loop counts latencies by the parts of one table, from the beginning to the end.
  const world::Version* build = other_build(spec, version);
  return !aggregate && build != nullptr && !(build->latency == version.latency);
}

Result<FidelityChoice> choose_fidelity(const world::Spec& spec, world::Fidelity asked) {
  std::string in_order;
  for (const world::Version& version : spec.versions) {
    if (in_order.empty()) in_order = why_in_order(spec, version);
  }
  if (spec.plan.affinity) {
    in_order = "session affinity remembers what version every user met";
    if (spec.traffic.users > kMaxStickyUsers) {
      return error("{}: {}, and there are {} users; allowed are up to {}", spec.name, in_order,
                   spec.traffic.users, kMaxStickyUsers);
    }
  }
  if (asked == world::Fidelity::Request) return FidelityChoice{false, "it was asked for"};
  if (asked == world::Fidelity::Aggregate) {
    if (in_order.empty()) return FidelityChoice{true, "it was asked for"};
    return error("{}: fidelity aggregate only counts, but {}; use request or auto", spec.name,
                 in_order);
  }
  if (!in_order.empty()) return FidelityChoice{false, in_order};
  const double expected = world::RateCurve(spec.traffic).expected(Duration{}, spec.limit);
  if (expected > kMaxRequestsOneByOne) {
    return FidelityChoice{true, fmt::format("up to {:.0f} requests are expected and none waits for "
                                            "another",
                                            expected)};
  }
  return FidelityChoice{
      false,
      fmt::format("at most {:.0f} requests are expected, few enough for one by one", expected)};
}

}  // namespace coalmine::engine
