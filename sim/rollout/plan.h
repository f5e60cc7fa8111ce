// sim/rollout: how a rollout goes on, step by step.
//
// A Plan says what to do; the controller is a pure state machine that is told what happened
// (an action finished, metrics arrived, an operator spoke) and answers with actions. It never
// sleeps, calls or logs: a driver (driver.h) carries the actions out through a traffic adapter
// and a metrics source, in virtual time, live on loopback, or against AWS. Analysis decides
// whether the canary may go on; every decision carries metric, value, limit, n and a sentence.
//
//   Input -> decide(plan, state, input, now) -> Decision{state, actions} -> driver -> Input
//
// Below: sim/aws (adapters only), sim/core. Above: sim/engine, sim/lab, sim/scenario, sim/cli.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "sim/core/result.h"
#include "sim/core/time.h"
#include "sim/core/units.h"
#include "sim/rollout/alarm_spec.h"
#include "sim/rollout/analysis/spec.h"
#include "sim/rollout/check_spec.h"

namespace coalmine::rollout {

/// Give the canary this share of the traffic.
struct SetWeight {
  Percent canary;
};
/// Stay for so long while the analyses run.
struct Bake {
  Duration length{};
};
enum class OnTimeout { Rollback, Continue };
/// Wait for an operator's promote or resume, or until the gate opens.
struct Pause {
  std::optional<Duration> timeout;  ///< none: for ever
  OnTimeout on_timeout = OnTimeout::Rollback;
  std::string gate;  ///< a hook (Plan::hooks) that is asked again and again; empty: people only
};
/// What becomes of the versions at the end. Whatever it is, the canary's build has all traffic
/// then.
enum class PromoteKind {
  /// The canary takes all traffic and is the stable version from then on.
  ByWeights,
  /// Stable's tasks get the canary's image by a rolling update, then all traffic goes back to them
  /// at once. Meanwhile the canary keeps the weight it has and nothing is judged: Flagger's
  /// "Promoting", and the ten steps' pipeline with "set latest stable".
  ImageSwap,
  /// The canary's set takes stable's place: it gets as many tasks as stable has, then all traffic,
  /// and stable's tasks are stopped. ECS's own deployments, CodeDeploy's replacement task set,
  /// Argo's last step.
  Replace,
};
/// The canary's build takes all traffic and becomes the stable version.
struct Promote {
  std::string version;
  PromoteKind kind = PromoteKind::ByWeights;
  /// Afterwards tasks without traffic are stopped: stable's, or with an image swap the canary's,
  /// as Flagger does. Replace always does.
  bool stops_idle = false;
};
/// Run these checks and go on when all are done; they have a count or an end of their own.
struct Examine {
  std::vector<CheckSpec> checks;
};
/// Requests that match go to the canary whatever the weights say.
struct RouteMatch {
  enum class By { Header, Cookie, Segment };
  By by = By::Header;
  std::string name;   ///< of the header or cookie; a segment of the traffic
  std::string value;  ///< exact; a regular expression with `regex`; empty: any
  bool regex = false;
  /// What tells a segment's requests from others, filled in by who knows the traffic: the beginning
  /// of their path and a header "NAME:VALUE", each if not empty.
  std::string path = {}, header = {};
  bool operator==(const RouteMatch&) const = default;
};
struct RouteMatching {
  std::vector<RouteMatch> any_of;  ///< empty: such routes are taken away again
};
/// Copy this share of stable's requests to the canary and throw its answers away; 0: stop it.
struct Mirror {
  Percent share;
};
/// What brings requests to the canary beside the weights.
struct SideRoutes {
  std::vector<RouteMatch> matches;
  Percent mirror;
  bool none() const { return matches.empty() && mirror.value <= 0; }
};
/// Tasks of the canary, until another such step. More are waited for; fewer go at once. A
/// promotion gives it at least as many as stable has, a roll-back as many as it had at the start.
struct ScaleCanary {
  enum class How { Tasks, Percent, FollowWeight };  ///< as CanaryCapacity::FollowWeight
  How how = How::FollowWeight;
  double amount = 0;  ///< tasks, or percent of stable's, rounded up
};
/// Canary and an equally large fresh copy of stable, the baseline, side by side for so long; tests
/// that compare with stable compare with the baseline meanwhile. Then the canary's share is again
/// what it was. So neither age nor load tells the two apart, only the build: Kayenta's "three
/// clusters", Argo's experiment step.
struct Experiment {
  Duration length{};
  Percent share;  ///< of the traffic, to each of the two
};
using StepKind = std::variant<SetWeight, Bake, Pause, Promote, Examine, RouteMatching, Mirror,
                              ScaleCanary, Experiment>;
struct Step {
  StepKind what;
  Place place;  ///< in the scenario file, for errors
};

enum class TrafficApi { AppMesh, Alb };

/// What to do at the end of a bake when no canary request was counted in it.
enum class OnNoData {
  Hold,      ///< stay until requests are seen: never promote nor blame an untested canary
  Continue,  ///< go on, as tools do that read "no values" as healthy
  Rollback,
};

enum class RollbackKind {
  AtOnce,    ///< all traffic back to stable in one change
  Stepwise,  ///< down by `step` every `every`
  Hold,      ///< weights stay as they are until an operator speaks
};
struct Rollback {
  RollbackKind kind = RollbackKind::AtOnce;
  Percent step{10};
  Duration every = std::chrono::minutes{1};
};

/// The rollout as a whole must have ended by then.
struct Deadline {
  Duration after{};
  OnFail then = OnFail::Rollback;
  Place place;
};

/// What a newer revision of the canary does to a rollout that is under way.
enum class OnNewer {
  Restart,  ///< weights go back to stable, then the plan begins anew with it
  Refuse,   ///< it waits until this rollout is over
  Swap,     ///< it takes the canary's place at the present weight, untested
};

enum class HookStage {
  PreRollout,      ///< before the first step
  PreStep,         ///< before every change of the weights upwards
  PostStep,        ///< after it
  ConfirmPromote,  ///< before the promotion
  PostRollout,     ///< after a good end
  OnRollback,      ///< as a roll-back begins; its answer changes nothing
  Gate,            ///< only asked by the pause that names it
};
std::string_view to_string(HookStage stage);  ///< "pre-rollout"

/// A call to somebody who may object. A failed one counts as `on_fail`.
struct Hook {
  std::string name;
  HookStage at = HookStage::PreRollout;
  std::string url;      ///< POSTed to; or
  std::string command;  ///< run by the shell
  Duration timeout = std::chrono::seconds{10};
  int retries = 0;
  OnFail on_fail = OnFail::Rollback;
  Place place;
};

/// Users keep the version they met first, and after the end of the rollout too: a roll-back does
/// not move who has met the canary, a promotion not who has met stable.
struct SessionAffinity {
  std::string cookie = "AWSALBTG";  ///< a load balancer has no other name for it
  Duration lasts = std::chrono::hours{24};
  Place place;
};
/// Requests of our own during the rollout, so that there is something to judge.
struct SyntheticLoad {
  Rate rate;
  Place place;
};
enum class CanaryCapacity {
  Full,  ///< tasks stay as they are
  /// ceil(weight * stable's tasks), one at least while it has a weight and none without; stable
  /// keeps its own (Argo Rollouts without dynamicStableScale). The new ones take requests before
  /// the weight rises; what is too much goes Plan::settle after it fell.
  FollowWeight,
};
/// Tasks that are asked for must take requests by then, or the rollout is rolled back. Argo's and
/// Flagger's progressDeadlineSeconds.
inline constexpr Duration kTaskPatience = std::chrono::minutes{10};

struct Plan {
  std::string stable = "v1";
  std::string canary = "v2";
  TrafficApi traffic = TrafficApi::AppMesh;
  std::vector<Step> steps;
  std::vector<AnalysisSpec> analyses;
  std::vector<CheckSpec> checks;  ///< in the background, beside the analyses
  std::vector<AlarmSpec> alarms;  ///< those that are declared (given.alarms)
  std::optional<AlarmWatch> watch;
  OnNoData on_no_data = OnNoData::Hold;
  Rollback rollback;
  std::optional<Deadline> deadline;
  OnNewer on_newer = OnNewer::Restart;
  std::vector<Hook> hooks;
  std::optional<SessionAffinity> affinity;
  std::optional<SyntheticLoad> load;
  CanaryCapacity capacity = CanaryCapacity::Full;
  Duration task_patience = kTaskPatience;
  /// How often metrics are read when the source has no better idea.
  Duration poll = std::chrono::seconds{10};
  /// How long a lowered weight may go on acting in the data plane; errors of that time are held
  /// against the higher share.
  Duration settle = std::chrono::seconds{30};
};

inline constexpr std::size_t kMaxSteps = 1000;
inline constexpr std::size_t kMaxAnalyses = 100;

/// All problems at once: weights outside 0-100%, no step, promote that is not last, a bake
/// before any weight, a test without canary traffic. Each error has the step's place.
std::vector<Error> check(const Plan& plan);
/// What may be meant but rarely is: falling weights, a deadline that is cut close, a check that
/// reads the service instead of the canary.
std::vector<Error> check_doubts(const Plan& plan);
/// Analyses that are allowed but weak or senseless, each with the reason; part of check_doubts().
std::vector<Error> analysis_warnings(const Plan& plan);
/// Whether the rollout will change tasks, and so needs a TaskAdapter.
bool changes_tasks(const Plan& plan);
/// Tasks of the canary at this share (0 to 1) of the traffic, of `stable` ones of stable.
int canary_tasks(const ScaleCanary& how, double share, int stable);
/// What the baseline of this plan's experiments is called: "v1-baseline".
std::string baseline_of(const Plan& plan);
/// What the plan's bakes and experiments take together.
Duration bake_length(const Plan& plan);
/// The plan's promotion; nullptr: it has none.
const Promote* promotion_of(const Plan& plan);
/// Whether one of the steps is of this kind.
template <typename Kind>
bool has_step(const Plan& plan) {
  return std::any_of(plan.steps.begin(), plan.steps.end(),
                     [](const Step& step) { return std::holds_alternative<Kind>(step.what); });
}

/// What no world can play yet, each with the reason: a plan that has it must be refused, since
/// leaving it out would answer another question.
std::vector<Error> check_playable(const Plan& plan);

}  // namespace coalmine::rollout
