#include "sim/engine/direct_plane.h"

#include <algorithm>
#include <map>
#include <set>

#include "sim/engine/fidelity.h"
#include "sim/engine/kernel.h"
#include "sim/engine/world/route_matches.h"
#include "sim/rollout/analysis/analysis.h"
#include "sim/rollout/weights.h"
#include "sim/traffic/retry.h"

namespace coalmine::engine {
namespace {

class DirectPlane : public ControlPlane,
                    public rollout::TrafficAdapter,
                    public rollout::MetricsSource {
 public:
  explicit DirectPlane(const world::Spec& spec) : spec_(spec) {
    for (const world::Version& version : spec.versions) {
      if (version.name != names_.baseline) {
        weights_[version.name] = version.name == spec.plan.stable ? 100 : 0;
      }
      std::set<std::size_t>& tasks = tasks_.emplace_back();
      for (int i = 0; i < version.tasks; ++i) tasks.insert(static_cast<std::size_t>(i));
    }
    const std::vector<std::string> asked = rollout::segments_of(spec.plan.analyses);
    for (std::size_t i = 0; i < spec.traffic.segments.size(); ++i) {
      const std::string& name = spec.traffic.segments[i].name;
      if (std::binary_search(asked.begin(), asked.end(), name)) asked_[name] = i;
    }
  }

  rollout::TrafficAdapter& traffic() override { return *this; }
  rollout::MetricsSource& metrics() override { return *this; }
  std::string note() const override { return "plain values stand for AWS's APIs"; }
  std::uint64_t revision() const override { return revision_; }

  traffic::Snapshot routes() override {
    traffic::Forward split, canary;
    for (std::size_t v = 0; v < spec_.versions.size(); ++v) {
      const auto weight = weights_.find(spec_.versions[v].name);
      split.targets.push_back(
          target(v, weight == weights_.end() ? 0 : static_cast<std::uint32_t>(weight->second)));
      if (spec_.versions[v].name == spec_.plan.canary) canary.targets = {target(v, 1)};
    }
    split.retry = canary.retry = retries();
    if (sticky_) split.stickiness.duration = spec_.plan.affinity->lasts;
    std::vector<traffic::Route> list;
    for (const rollout::MatchConditions& match : matches_) {
      list.emplace_back();
      list.back().name = "app-route-to-canary";
      list.back().match = world::to_route_match(match);
      list.back().action = canary;
    }
    list.emplace_back();
    list.back().name = "app-route";
    list.back().action = std::move(split);
    auto table = std::make_shared<traffic::RouteTable>();
    table->version = revision_;
    table->name = "direct";
    table->listeners.push_back({"direct", 9080, traffic::Dialect::Envoy, std::move(list)});
    return table;
  }

  void publish(const PeriodMetrics& period, TimePoint) override { periods_.push_back(period); }

  bool set_foreign(const std::map<std::string, std::uint32_t>& weights) override {
    for (const auto& [name, weight] : weights) weights_[name] = weight;
    ++revision_;
    return true;
  }

  void task_started(TaskId task, TimePoint) override {
    tasks_[task.version].insert(task.task);
    ++revision_;
  }
  void task_stopped(TaskId task, TimePoint) override {
    tasks_[task.version].erase(task.task);
    ++revision_;
  }

  // --- rollout::TrafficAdapter ---
  Result<rollout::Weights> weights_for(const rollout::Shares& shares) const override {
    const bool alb = spec_.plan.traffic == rollout::TrafficApi::Alb;
    const rollout::WeightRange& range = alb ? rollout::kAlbWeights : rollout::kAppMeshWeights;
    TRY(const rollout::SplitWeights weights, rollout::to_weights(shares, range));
    return rollout::by_version(names_, weights);
  }
  Result<rollout::Weights> current_weights() override { return weights_; }
  Result<rollout::Weights> set_weights(const rollout::Shares& shares) override {
    TRY(rollout::Weights weights, weights_for(shares));
    const bool sticks = spec_.plan.affinity && !sticky_;
    if (weights != weights_ || sticks) ++revision_;
    sticky_ |= sticks;
    weights_ = std::move(weights);
    return weights_;
  }
  Status check_matches(const std::vector<rollout::RouteMatch>& any_of) const override {
    TRY_STATUS(rollout::conditions_of(any_of, spec_.plan.traffic));
    return {};
  }
  Status set_matches(const std::vector<rollout::RouteMatch>& any_of) override {
    TRY(auto matches, rollout::conditions_of(any_of, spec_.plan.traffic));
    if (matches != matches_) ++revision_;
    matches_ = std::move(matches);
    return {};
  }
  std::string describe() const override { return "weights of the virtual world"; }

  // --- rollout::MetricsSource ---
  Result<rollout::MetricsReading> read(TimePoint since, const std::vector<Duration>& limits,
                                       TimePoint now) override {
    rollout::MetricsReading reading;
    for (const PeriodMetrics& period : periods_) {
      if (period.from < since) continue;
      reading.windows.push_back({period.from, period.to, counts(period, spec_.plan.stable, limits),
                                 counts(period, spec_.plan.canary, limits), parts(period),
                                 counts(period, names_.baseline, limits)});
    }
    // As CloudWatchMetrics reckons it.
    const Duration period = spec_.platform.metric_period, delay = spec_.platform.metric_delay;
    const TimePoint seen = now - delay;
    reading.next = seen - seen.time_since_epoch() % period + period + delay;
    return reading;
  }

 private:
  traffic::Target target(std::size_t version, std::uint32_t weight) const {
    traffic::Target target;
    target.name = spec_.versions[version].name;
    target.weight = weight;
    for (const std::size_t task : tasks_[version]) {
      const std::string address = task_address({version, task});
      target.instances.push_back({address, address, kTaskPort, true});
    }
    return target;
  }

  traffic::RetryPolicy retries() const {
    if (spec_.plan.traffic == rollout::TrafficApi::Alb) return {};
    if (!spec_.platform.retries) return traffic::app_mesh_default_retries();
    return {spec_.platform.retries->on, spec_.platform.retries->max, world::kMeshRequestTimeout};
  }

  const VersionMetrics& metrics_of(const PeriodMetrics& period, const std::string& version) const {
    return period.versions[world::version_index(spec_, version).value_or(0)];
  }

  /// Of the segments that analyses ask for, those that had a request.
  std::vector<rollout::SegmentCounts> parts(const PeriodMetrics& period) const {
    const VersionMetrics& stable = metrics_of(period, spec_.plan.stable);
    const VersionMetrics& canary = metrics_of(period, spec_.plan.canary);
    std::vector<rollout::SegmentCounts> found;
    const auto baseline = world::version_index(spec_, names_.baseline);
    for (const auto& [name, i] : asked_) {
      const SegmentMetrics &s = stable.segments[i], &c = canary.segments[i];
      const SegmentMetrics b = baseline ? period.versions[*baseline].segments[i] : SegmentMetrics{};
      if (s.requests + c.requests + b.requests == 0) continue;
      found.push_back({name,
                       {s.requests, s.errors, {}},
                       {c.requests, c.errors, {}},
                       {b.requests, b.errors, {}}});
    }
    return found;
  }

  /// None of a version that is not there.
  rollout::VersionCounts counts(const PeriodMetrics& period, const std::string& version,
                                const std::vector<Duration>& limits) const {
    if (version.empty()) return {};
    const VersionMetrics& metrics = metrics_of(period, version);
    rollout::VersionCounts counts{metrics.requests, metrics.errors, {}};
    for (const Duration limit : limits) {
      // A bucket counts by its upper bound, as it does when it comes from CloudWatch.
      std::uint64_t slow = 0;
      for (const auto& [value_us, count] : metrics.latency.filled()) {
        slow += std::chrono::microseconds(value_us) > limit ? count : 0;
      }
      counts.slow.push_back({limit, slow});
    }
    return counts;
  }

  const world::Spec& spec_;
  const rollout::PlanVersions names_ = world::versions_of(spec_);
  rollout::Weights weights_;
  std::vector<rollout::MatchConditions> matches_;  ///< that go to the canary
  bool sticky_ = false;
  std::vector<std::set<std::size_t>> tasks_;  ///< that are up, by version
  std::uint64_t revision_ = 1;
  std::vector<PeriodMetrics> periods_;
  std::map<std::string, std::size_t> asked_;  ///< segments that analyses ask for, with their index
};

}  // namespace

Result<std::unique_ptr<ControlPlane>> make_direct_plane(const world::Spec& spec, std::uint64_t,
                                                        Clock&) {
  return std::make_unique<DirectPlane>(spec);
}

bool plain_values_suffice(const world::Spec& spec) {
  if (spec.platform.throttling.value > 0) return false;
  if (spec.plan.traffic == rollout::TrafficApi::Alb && health_matters(spec)) return false;
  return std::none_of(spec.events.begin(), spec.events.end(), [](const world::Event& event) {
    return std::holds_alternative<world::ThrottleApi>(event.what);
  });
}

}  // namespace coalmine::engine
