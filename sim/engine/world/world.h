// sim/engine/world: what a world is asked to play, and what it tells afterwards.
//
// A Spec is the whole set-up of a run without any check: traffic, versions, platform, plan and
// the things that happen on the way. Two worlds play it: sim/engine in virtual time and sim/lab
// live on loopback. Both answer with the same Record, from which sim/scenario makes verdicts
// and reports. Plain values, nothing else.
//
//   Spec -> World (engine or lab) -> Record -> checks, timeline, reports
//
// Below: sim/rollout (the plan), sim/traffic, sim/core. Above: sim/engine, sim/lab, sim/scenario.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "sim/core/histogram.h"
#include "sim/core/result.h"
#include "sim/core/time.h"
#include "sim/core/units.h"
#include "sim/rollout/controller.h"
#include "sim/rollout/event.h"
#include "sim/rollout/plan.h"
#include "sim/rollout/weights.h"
#include "sim/traffic/faults/fault.h"

namespace coalmine::world {

inline constexpr Duration kMeshRequestTimeout = std::chrono::seconds{15};
inline constexpr Duration kAlbRequestTimeout = std::chrono::seconds{60};

// --- what to play ------------------------------------------------------------------------------

enum class Arrivals {
  Poisson,   ///< independent users: gaps are exponential
  Constant,  ///< a metronome
};

/// A part of the traffic with a path or a header of its own; the rest goes to "/".
struct Segment {
  std::string name;
  std::string path = "/";
  Percent share;
  std::string
      header;  ///< "NAME:VALUE" that its requests carry, as "Cookie:group=beta"; empty: none
};

/// Traffic that swells and ebbs once in 24 hours, a cosine between `low` and the full rate.
struct Diurnal {
  Percent low{30};     ///< of the rate, at the quietest moment
  Duration peak_at{};  ///< the busiest moment, after the start
};
/// From `at` on, requests come at this rate.
struct TracePoint {
  Duration at{};
  Rate rate;
};

/// What the requests of a plan's own load carry, so that routes and people can tell them.
inline constexpr std::string_view kOwnLoadHeader = "X-Coalmine-Load:1";

struct Traffic {
  Rate rate{100};
  Arrivals arrivals = Arrivals::Poisson;
  std::uint64_t users = 10'000;  ///< every request comes from one of them, all alike
  std::vector<Segment> segments;
  std::optional<Diurnal> diurnal;
  std::vector<TracePoint> trace;  ///< instead of `rate`, rising by time from zero on
};

struct FixedLatency {
  Duration value{};
  bool operator==(const FixedLatency&) const = default;
};
struct UniformLatency {
  Duration low{}, high{};
  bool operator==(const UniformLatency&) const = default;
};
struct LognormalLatency {
  Duration median{}, p99{};
  bool operator==(const LognormalLatency&) const = default;
};
using Latency = std::variant<FixedLatency, UniformLatency, LognormalLatency>;

/// Latency of a version that names none, when the stable version names none either.
inline constexpr LognormalLatency kDefaultLatency{std::chrono::milliseconds{20},
                                                  std::chrono::milliseconds{80}};

/// What a cold task's answers take longer when a slow start does not say so.
inline constexpr Duration kDefaultColdDelay = std::chrono::milliseconds{500};

enum class FaultKind {
  Errors,     ///< answers with `status`
  Slow,       ///< `latency` comes on top
  Reset,      ///< the connection is closed before a byte is sent
  Hang,       ///< no answer until the gateway's timeout
  Truncate,   ///< half a body
  WrongBody,  ///< status 200 with a body that is not the service's
  Unhealthy,  ///< health checks fail, requests are served
  Crash,      ///< a task ends instead of answering its request number `after` + 1
  SlowStart,  ///< cold tasks: health checks fail and requests are slow until warm
  Leak,       ///< memory grows with every request: slower and slower, then a crash
};
inline constexpr std::size_t kFaultKinds = 10;

/// As in sim/traffic/faults, which carries them out (to_fault()).
struct Fault {
  FaultKind kind = FaultKind::Errors;
  Percent share{100};              ///< of the requests in scope
  int status = 500;                ///< Errors
  std::optional<Latency> latency;  ///< Slow; SlowStart: when cold, 500 ms if not given
  std::string segment;             ///< only requests like those of this segment; empty: all
  std::string path;                ///< only paths that begin so; empty: all
  std::string header;              ///< only requests with this header, "NAME:VALUE"; empty: all
  double burst = 0;                ///< mean run of faulty requests; 0: each is drawn by itself
  std::uint64_t after = 0;         ///< Crash: requests served before
  Duration warm_up{};              ///< SlowStart
  std::uint64_t growth_bytes = 0;  ///< Leak: per request
  std::uint64_t limit_bytes = 64 << 20;  ///< Leak: the crash comes here
};

struct Version {
  std::string name;
  int tasks = 1;
  std::optional<Rate> capacity;  ///< of one task; none: unlimited
  Latency latency = kDefaultLatency;
  std::vector<Fault> faults;       ///< from the beginning, for ever; "errors: 5%" is one of them
  std::optional<int> concurrency;  ///< requests that one task works on at a time; none: unlimited
  std::optional<int> queue;        ///< that may wait at one task, more get 503; none: unlimited
  bool added = false;              ///< by add_baseline()
};

/// Which failed attempts the mesh's gateway makes again at the same version, before a user hears
/// of them: App Mesh's HttpRetryPolicy.
struct Retries {
  int max = 0;
  std::vector<std::string> on;  ///< server-error, gateway-error, client-error, stream-error,
                                ///< connection-error
};

struct Platform {
  std::optional<Retries> retries;  ///< none: App Mesh's default; a load balancer has none at all
  Duration route_delay{};          ///< from a weight change to its effect in the gateway
  Duration metric_period = std::chrono::seconds{10};
  Duration metric_delay{};  ///< from the end of a period until its metrics can be read
  Percent metric_loss;      ///< of the periods, that are never written
  Percent throttling;       ///< of the rollout's AWS calls, refused for coming too fast
  Duration task_start = std::chrono::seconds{10};  ///< until a task that was started takes requests
};

/// A fault that begins during the run.
struct InjectFault {
  std::string target;  ///< a version
  Fault fault;
  std::optional<Duration> length;  ///< none: until the end
};

enum class OperatorCommand { Pause, Resume, Promote, Abort };
struct OperatorSpeaks {
  OperatorCommand command = OperatorCommand::Abort;
  std::string reason;
};

/// Somebody sets the weights behind the rollout's back.
struct ForeignWeights {
  std::map<std::string, std::uint32_t> weights;
};

/// The rollout's AWS calls are refused for coming too fast.
struct ThrottleApi {
  Percent share{100};
  std::optional<Duration> length;  ///< none: until the end
};

/// Somebody changes how many tasks a version has.
struct ScaleTasks {
  std::map<std::string, int> tasks;
};

/// A build newer than the canary has arrived and runs in the canary's tasks, unless the plan lets
/// it wait (Plan::on_newer).
struct RevisionArrives {
  std::string version;
  Percent errors{
      0};  ///< of its requests; what was wrong with the canary from the beginning is gone
};

/// The rollout's controller is killed; another one goes on from its journal later.
struct ControllerDies {
  Duration down{};
};

struct Event {
  Duration at{};
  std::variant<InjectFault, OperatorSpeaks, ForeignWeights, ThrottleApi, ScaleTasks,
               RevisionArrives, ControllerDies>
      what;
  Place place;
};

/// What the other side of a hook says when it is called.
struct HookAnswer {
  rollout::HookVerdict says = rollout::HookVerdict::Passed;
  std::optional<Duration> until;  ///< and "passed" from then on, since the start
  std::optional<int> times;       ///< only to the first so many calls, and "passed" to later ones
  Duration takes{};
  std::string text;
};

struct Spec {
  std::string name;
  std::uint64_t seed = 1;
  Duration limit = std::chrono::hours{1};
  Traffic traffic;
  std::vector<Version> versions;  ///< in the file's order
  Platform platform;
  rollout::Plan plan;
  std::vector<Event> events;  ///< sorted by time
  /// Somebody wants to know whether both versions answer the same request alike.
  bool compare_answers = false;
  std::map<std::string, HookAnswer> hooks;  ///< by the plan's name of the hook
};

/// Index of the version in `spec.versions`; nullopt: no such version.
std::optional<std::size_t> version_index(const Spec& spec, std::string_view name);
/// Index of the segment in `spec.traffic.segments`; nullopt: no such segment.
std::optional<std::size_t> segment_index(const Spec& spec, std::string_view name);

/// Gives the Spec the baseline of its plan's experiments as its last version, without tasks at
/// first: stable's build, fresh. Takes one away that an earlier plan had. A scenario may declare it
/// itself.
void add_baseline(Spec& spec);
/// Of the plan; the baseline is empty if the Spec has none.
rollout::PlanVersions versions_of(const Spec& spec);
/// Whether what the scenario does to `target` hits this version, too: the baseline has stable's
/// build and shares what it depends on.
bool is_hit(const Spec& spec, const std::string& target, const std::string& version);

/// A request without an answer is given up by the gateway after this: App Mesh's default
/// perRequest timeout of a route, 15 s; a load balancer's default idle timeout, 60 s.
Duration request_timeout(const Spec& spec);

rollout::Command to_command(OperatorCommand command);
/// The fault as sim/traffic/faults carries it out; a segment becomes its path and header.
faults::Fault to_fault(const Spec& spec, const Fault& fault);
faults::Latency to_latency(const Latency& latency);
/// "NAME: VALUE" in its parts; both empty if `text` is.
faults::HeaderField header_field(std::string_view text);
/// The faults of a version from the beginning, once this revision runs in its tasks.
std::vector<Fault> faults_of(const RevisionArrives& revision);
/// "v1 99  v2 1", in the file's order.
std::string render_weights(const Spec& spec, const std::map<std::string, std::uint32_t>& weights);
/// The same, and that some requests go to the canary whatever they say.
std::string render_routes(const Spec& spec, const std::map<std::string, std::uint32_t>& weights,
                          bool by_marks);

// --- what happened -----------------------------------------------------------------------------

enum class Outcome {
  Promoted,
  Completed,   ///< every step was done, and none promotes
  RolledBack,  ///< by an analysis or by an operator
  Paused,      ///< still waiting for an operator when the time was up
  Unfinished,  ///< the time was up
  Failed,      ///< the rollout could not be carried out: the control plane refused
};
std::string_view to_string(Outcome outcome);
std::optional<Outcome> outcome_from(std::string_view text);

/// How a request ended, seen by its user.
enum class Ending {
  Ok,
  Error,      ///< a 5xx of the version
  Reset,      ///< 503 of the gateway: the version broke the connection
  Timeout,    ///< 504 of the gateway
  Truncated,  ///< the body ended early
  Wrong,      ///< 200 with the wrong body: the user sees it, no metric does
  Dropped,    ///< never reached a version: no route, no target, no connection
};
inline constexpr std::size_t kEndings = 7;
std::string_view to_string(Ending ending);

/// Requests by version within a stretch of time; `failed` is what users saw fail.
struct Tally {
  std::uint64_t requests = 0;
  std::uint64_t failed = 0;
  bool operator==(const Tally&) const = default;
};

/// A stretch of time in which the gateway's weights did not change.
struct Span {
  Duration begin{}, end{};
  /// In force at the gateway, by version; empty while a change was on its way through it, and while
  /// routes sent some requests to the canary whatever the weights said.
  std::vector<std::uint32_t> weights;
  std::vector<Tally> versions;  ///< by index in Spec::versions
  std::uint64_t dropped = 0;
};

struct VersionRecord {
  std::string name;
  std::uint64_t requests = 0;
  std::uint64_t endings[kEndings] = {};
  std::uint64_t retries = 0;  ///< attempts beyond the first of each request
  std::uint64_t users = 0;    ///< distinct users served; counted for the canary only
  /// Requests that no user waited for: the rollout's own load, and copies. In none of the other
  /// counts, but in the metrics that the rollout reads.
  std::uint64_t beside = 0;
  /// By index in Traffic::segments; requests of the unnamed rest are in none of them.
  std::vector<Tally> segments;
  /// Distinct users by segment, one user in as many as he met; empty where `users` is not counted.
  std::vector<std::uint64_t> segment_users;
  Histogram latency;  ///< as users saw it, answered requests only
  std::uint64_t failed() const;
};

/// The states of a rollout as scenarios name them, in the order of a life.
inline constexpr std::string_view kStates[] = {
    "baseline",  "scaling",  "shifting",     "routing",     "baking",     "paused",
    "promoting", "promoted", "rolling-back", "rolled-back", "superseded", "failed"};

struct StateChange {
  Duration t{};
  std::string state;
};

/// Everything a run tells. Times are since the start of the world.
struct Record {
  std::string mode;             ///< "virtual" or "live"
  std::string fidelity;         ///< "request", "aggregate" or "live"
  std::string fidelity_reason;  ///< why that one
  std::uint64_t seed = 0;
  Outcome outcome = Outcome::Unfinished;
  std::string reason;  ///< one sentence: why it ended so
  Duration duration{};
  std::vector<VersionRecord> versions;
  std::uint64_t dropped = 0;
  std::vector<Span> spans;
  /// What happened, in order: the rollout's own events, and of the world:
  ///   fault.began    target kind share        fault.ended   target kind
  ///   routes.live    weights (as they take effect at the gateway)
  std::vector<rollout::Event> timeline;
  TimePoint start;
  std::vector<StateChange> states;
  std::map<std::string, std::uint32_t> final_weights;  ///< as the control plane holds them

  std::optional<Duration> fault_at;      ///< when the first fault of the canary could be seen
  std::optional<Duration> first_canary;  ///< first request that the canary served
  std::optional<Duration> last_canary;   ///< last one before the end
  std::optional<Duration> decided_at;    ///< when an analysis decided against the canary
  std::string decided_by;                ///< its metric
  std::string decided_in;                ///< the segment that convinced it; empty: all traffic
  std::optional<Duration> rollback_at;   ///< decision to roll back, by analysis or operator
  std::optional<Duration> promoted_at;   ///< all traffic at the canary
  /// Requests that both versions were asked beside the users' and answered, and those of them whose
  /// answers differ in shape: other fields, other types. Zero: nobody wanted to know.
  std::uint64_t compared = 0, differing = 0;
  double max_canary_share = 0;    ///< highest routed share before the end
  std::uint64_t blast_users = 0;  ///< distinct users whose request the canary served
};

enum class Fidelity { Request, Aggregate, Auto };

/// The scenario as it was read, so that a journal needs no other file.
struct Source {
  std::string file, text;
  std::string trace;  ///< contents of the file that Traffic::trace came from
};

struct RunOptions {
  std::optional<std::uint64_t> seed;  ///< instead of the file's
  Fidelity fidelity = Fidelity::Auto;
  double speed = 1;     ///< live: scenario time per real time
  std::string journal;  ///< file to write; empty: none
  Source source;        ///< for the journal
};

using World = std::function<Result<Record>(const Spec&, const RunOptions&)>;

}  // namespace coalmine::world
