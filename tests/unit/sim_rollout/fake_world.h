// A small world for controller tests: exact clock, weights that obey at once, drawn requests.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "sim/core/random.h"
#include "sim/rollout/driver.h"
#include "sim/rollout/replay.h"
#include "sim/rollout/weights.h"

namespace coalmine::rollout::test {

using namespace std::chrono_literals;

inline Plan plan_of(std::vector<StepKind> steps, std::vector<AnalysisSpec> analyses = {}) {
  Plan plan;
  for (StepKind& step : steps) plan.steps.push_back({step, {}});
  plan.analyses = std::move(analyses);
  return plan;
}

inline AnalysisSpec error_share(double alpha = 0.01, OnFail on_fail = OnFail::Rollback) {
  return {"errors", ErrorShareTest{alpha, 1, 1}, on_fail, {}};
}

class FakeClock : public Clock {
 public:
  TimePoint now() override { return now_; }
  void sleep_until(TimePoint t) override { now_ = std::max(now_, std::min(t, stop)); }
  TimePoint stop = kVirtualEpoch + 24h;

 private:
  TimePoint now_ = kVirtualEpoch;
};

class FakeTraffic : public TrafficAdapter {
 public:
  explicit FakeTraffic(Clock& clock) : clock_(clock) {}
  Result<Weights> weights_for(const Shares& shares) const override {
    TRY(const SplitWeights split, to_weights(shares, kAppMeshWeights));
    return by_version({"v1", "v2", "v1-baseline"}, split);
  }
  Result<Weights> current_weights() override { return weights; }
  Result<Weights> set_weights(const Shares& shares) override {
    if (failures > 0) {
      --failures;
      return error(ErrorKind::Failed, "ThrottlingException: slow down");
    }
    TRY(weights, weights_for(shares));
    history.emplace_back(clock_.now(), shares.canary.value);
    baselines.emplace_back(clock_.now(), shares.baseline.value);
    return weights;
  }
  Status check_matches(const std::vector<RouteMatch>&) const override { return {}; }
  Status set_matches(const std::vector<RouteMatch>& any_of) override {
    if (route_failures > 0) {
      --route_failures;
      return error(ErrorKind::Failed, "TooManyRequestsException: slow down");
    }
    matches = any_of;
    routed.emplace_back(clock_.now(), any_of.empty() ? 0 : matched_share);
    return {};
  }
  Status check_mirror(Percent share) const override {
    return can_mirror ? Status{} : TrafficAdapter::check_mirror(share);
  }
  Status set_mirror(Percent share) override {
    mirror = share.value;
    return {};
  }
  std::string describe() const override { return "a fake"; }
  double share_at(TimePoint t) const {
    const double by_marks = last(routed, t);
    return by_marks + (1 - by_marks) * last(history, t) / 100;
  }
  double baseline_at(TimePoint t) const { return last(baselines, t) / 100; }

  Weights weights{{"v1", 100}, {"v2", 0}};
  int failures = 0;
  std::vector<std::pair<TimePoint, double>> history, baselines;
  std::vector<RouteMatch> matches;
  int route_failures = 0;
  bool can_mirror = true;
  double mirror = 0;            ///< percent
  double matched_share = 0.05;  ///< of the traffic, whatever the matches are
  std::vector<std::pair<TimePoint, double>> routed;

 private:
  static double last(const std::vector<std::pair<TimePoint, double>>& changes, TimePoint t) {
    double value = 0;
    for (const auto& [since, set] : changes) {
      if (since <= t) value = set;
    }
    return value;
  }
  Clock& clock_;
};

/// Tasks that take requests `start` after they were asked for; an image swap takes as long.
class FakeTasks : public TaskAdapter {
 public:
  FakeTasks(Clock& clock, int stable, int canary) : clock_(clock) {
    now.stable = {stable, stable, 0, "app:1", ""};
    now.canary = {canary, canary, 0, "app:2", ""};
    now.baseline = TaskCount{0, 0, 0, "app:1", ""};
  }
  Result<Tasks> read() override {
    if (failures > 0) {
      --failures;
      return error(ErrorKind::Failed, "ServerException: try again");
    }
    if (clock_.now() >= scaled_at_ + start) now.canary.ready = now.canary.desired;
    now.canary.ready = std::min(now.canary.ready, now.canary.desired);
    if (clock_.now() >= copied_at_ + start) now.baseline->ready = now.baseline->desired;
    now.baseline->ready = std::min(now.baseline->ready, now.baseline->desired);
    if (clock_.now() >= swapped_at_ + start) {
      now.stable.ready = now.stable.desired;
      now.stable.leaving = 0;
    }
    now.canary.failure = failure;
    return now;
  }
  Result<Tasks> scale(const std::string& version, int tasks) override {
    history.push_back(
        fmt::format("{} {} {}", to_stopwatch(clock_.now() - kVirtualEpoch), version, tasks));
    if (refusals > 0) {
      --refusals;
      return error(ErrorKind::Failed, "AccessDenied: not you");
    }
    TaskCount& count = version == "v1" ? now.stable : version == "v2" ? now.canary : *now.baseline;
    count.desired = tasks;
    if (version == "v2") scaled_at_ = clock_.now();
    if (version == "v1-baseline") copied_at_ = clock_.now();
    return read();
  }
  Result<Tasks> swap_image(const std::string& build) override {
    now.stable.build = build.empty() ? "app:3" : build;
    now.same_image = build.empty();
    history.push_back(
        fmt::format("{} image {}", to_stopwatch(clock_.now() - kVirtualEpoch), now.stable.build));
    if (!build.empty()) start = Duration{};  // the old tasks have never gone
    now.stable.leaving = now.stable.desired;
    now.stable.ready = 0;
    swapped_at_ = clock_.now();
    return read();
  }

  Tasks now;
  Duration start = 25s;
  int failures = 0, refusals = 0;
  std::string failure;
  std::vector<std::string> history;

 private:
  Clock& clock_;
  TimePoint scaled_at_{}, swapped_at_{}, copied_at_{};
};

struct FakeVersion {
  double errors = 0;
  double slow = 0;
};

/// Windows of 10 s, readable 5 s after their end; Poisson requests.
class FakeMetrics : public MetricsSource {
 public:
  FakeMetrics(const FakeTraffic& traffic, double rate_per_s, FakeVersion v1, FakeVersion v2,
              std::uint64_t seed)
      : fresh(v1), traffic_(traffic), rate_per_s_(rate_per_s), v1_(v1), v2_(v2), random_(seed) {}

  Result<MetricsReading> read(TimePoint since, const std::vector<Duration>& limits,
                              TimePoint now) override {
    MetricsReading reading;
    const std::int64_t first = (since - kVirtualEpoch + kPeriod - 1ns) / kPeriod;
    TimePoint from = kVirtualEpoch + first * kPeriod;
    for (; from + kPeriod + kDelay <= now; from += kPeriod) {
      MetricsWindow window{from, from + kPeriod, {}, {}};
      for (Duration second{}; second < kPeriod; second += 1s) {
        const double share = traffic_.share_at(from + second);
        const double baseline = traffic_.baseline_at(from + second);
        draw(window.stable, v1_, rate_per_s_ * (1 - share - baseline), limits);
        draw(window.canary, v2_, rate_per_s_ * share, limits);
        draw(window.baseline, fresh, rate_per_s_ * baseline, limits);
      }
      reading.windows.push_back(window);
    }
    reading.next = from + kPeriod + kDelay;
    return reading;
  }

  FakeVersion fresh;  ///< an experiment's copy of v1

 private:
  static constexpr Duration kPeriod = 10s, kDelay = 5s;

  void draw(VersionCounts& counts, FakeVersion version, double mean,
            const std::vector<Duration>& limits) {
    VersionCounts more;
    more.requests = random_.poisson(mean);
    more.errors = random_.binomial(more.requests, version.errors);
    for (const Duration over : limits) {
      more.slow.push_back({over, random_.binomial(more.requests, version.slow)});
    }
    counts += more;
  }

  const FakeTraffic& traffic_;
  double rate_per_s_;
  FakeVersion v1_, v2_;
  Random random_;
};

/// Says its commands at their times.
class Script : public OperatorSource {
 public:
  explicit Script(std::vector<std::pair<Duration, Operator>> commands)
      : commands_(std::move(commands)) {}
  std::optional<Operator> take(TimePoint now) override {
    if (at_ == commands_.size() || kVirtualEpoch + commands_[at_].first > now) return {};
    return commands_[at_++].second;
  }
  TimePoint next(TimePoint) const override {
    return at_ == commands_.size() ? kNever : kVirtualEpoch + commands_[at_].first;
  }

 private:
  std::vector<std::pair<Duration, Operator>> commands_;
  std::size_t at_ = 0;
};

class MemoryJournal : public JournalSink {
 public:
  Status append(const std::string& line, bool) override {
    if (lines_left == 0) return error(ErrorKind::Environment, "killed");
    if (!line.empty()) --lines_left;
    text += line;
    return {};
  }
  std::string text;
  long lines_left = 1'000'000;
};

struct FakeRun {
  Result<RolloutEnd> end = error("not run");
  std::string timeline;
  std::vector<std::string> phases;
  std::vector<std::pair<TimePoint, double>> weights;
};

inline FakeRun run(const Plan& plan, FakeVersion v1, FakeVersion v2, std::uint64_t seed = 1,
                   std::vector<std::pair<Duration, Operator>> commands = {}, int failures = 0,
                   double rate_per_s = 100) {
  FakeClock clock;
  FakeTraffic traffic(clock);
  traffic.failures = failures;
  FakeMetrics metrics(traffic, rate_per_s, v1, v2, seed);
  Script script(std::move(commands));
  FakeRun result;
  RolloutWorld world{traffic,
                     metrics,
                     clock,
                     &script,
                     nullptr,
                     [&result](const Event& event) {
                       if (event.name == "state.changed") result.phases.push_back(event.text("to"));
                       const std::string line = render(event, kVirtualEpoch);
                       if (!line.empty()) result.timeline += line + "\n";
                     },
                     {}};
  result.end = run_rollout(plan, world);
  result.weights = traffic.history;
  return result;
}

/// Whatever line a controller's journal broke after: at most one planned step up from what was set
/// before, and the journal as a whole says why.
inline void expect_no_jump(const std::vector<std::pair<TimePoint, double>>& weights,
                           const std::vector<double>& planned, long lines) {
  double before = 0;
  for (const auto& [t, weight] : weights) {
    const auto at = std::find(planned.begin(), planned.end(), weight);
    ASSERT_NE(at, planned.end()) << weight;
    EXPECT_TRUE(weight <= before || *(at - 1) == before)
        << "killed after line " << lines << ": " << before << " -> " << weight;
    before = weight;
  }
}
inline void expect_replayed(const std::string& journal, long lines) {
  const auto replay = replay_journal(journal, "j");
  ASSERT_TRUE(replay) << to_string(replay.error());
  EXPECT_FALSE(replay->disagreement)
      << "killed after line " << lines << ": " << to_string(*replay->disagreement);
}

}  // namespace coalmine::rollout::test
