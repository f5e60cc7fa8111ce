// Plays an imported plan in a small world where the test says what every check sees.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "sim/rollout/importers/importers.h"
#include "tests/unit/sim_rollout/fake_world.h"

namespace coalmine::importers::test {

using namespace std::chrono_literals;
using rollout::test::FakeClock;
using rollout::test::FakeTraffic;

/// What the canary does at a time since the start: share of requests that fail; below 0: nobody
/// asks it at all.
using ErrorsAt = std::function<double(Duration)>;

/// Windows of 10 s that can be read at their end; exact shares, no chance.
class ExactMetrics : public rollout::MetricsSource {
 public:
  ExactMetrics(const FakeTraffic& traffic, ErrorsAt errors, double slow)
      : traffic_(traffic), errors_(std::move(errors)), slow_(slow) {}

  Result<rollout::MetricsReading> read(TimePoint since, const std::vector<Duration>& limits,
                                       TimePoint now) override {
    rollout::MetricsReading reading;
    TimePoint from = kVirtualEpoch + (since - kVirtualEpoch + kPeriod - 1ns) / kPeriod * kPeriod;
    for (; from + kPeriod <= now; from += kPeriod) {
      rollout::MetricsWindow window;
      window.from = from;
      window.to = from + kPeriod;
      const double share = traffic_.share_at(from);
      const double errors = errors_(from - kVirtualEpoch);
      window.stable.requests = static_cast<std::uint64_t>(10000 * (1 - share));
      if (errors >= 0) window.canary.requests = static_cast<std::uint64_t>(10000 * share);
      window.canary.errors = static_cast<std::uint64_t>(
          static_cast<double>(window.canary.requests) * std::max(0.0, errors));
      for (const Duration over : limits) {
        window.stable.slow.push_back({over, 0});
        window.canary.slow.push_back(
            {over,
             static_cast<std::uint64_t>(static_cast<double>(window.canary.requests) * slow_)});
      }
      reading.windows.push_back(window);
    }
    reading.next = from + kPeriod;
    return reading;
  }

 private:
  static constexpr Duration kPeriod = 10s;
  const FakeTraffic& traffic_;
  ErrorsAt errors_;
  double slow_;
};

/// Takes any share, in hundredths of a percent.
class FineTraffic : public FakeTraffic {
 public:
  using FakeTraffic::FakeTraffic;
  Result<rollout::Weights> weights_for(const rollout::Shares& shares) const override {
    const auto fine = [](Percent share) {
      return static_cast<std::int64_t>(share.value * 100 + 0.5);
    };
    const std::int64_t canary = fine(shares.canary), baseline = fine(shares.baseline);
    rollout::Weights weights = {{"v1", 10000 - canary - baseline}, {"v2", canary}};
    if (baseline > 0) weights["v1-baseline"] = baseline;
    return weights;
  }
};

struct Played {
  Result<rollout::RolloutEnd> end = error("not run");
  /// "0m 10, 5m 100": weights and the times they were set, in minutes since the start.
  std::string steps;
  std::string timeline;
  std::vector<std::string> tasks;  ///< as FakeTasks keeps them
};

inline std::string minutes(Duration t) {
  return fmt::format("{:.4g}m", to_seconds(t) / 60);
}

inline Played play(
    const rollout::Plan& plan, ErrorsAt errors = [](Duration) { return 0.0; }, double slow = 0,
    std::vector<std::pair<Duration, rollout::Operator>> commands = {}) {
  FakeClock clock;
  FineTraffic traffic(clock);
  ExactMetrics metrics(traffic, std::move(errors), slow);
  rollout::test::Script script(std::move(commands));
  Played played;
  rollout::test::FakeTasks tasks(clock, 4, 1);
  tasks.start = Duration{};
  rollout::RolloutWorld world{traffic,
                              metrics,
                              clock,
                              &script,
                              nullptr,
                              [&played](const rollout::Event& event) {
                                const std::string line = rollout::render(event, kVirtualEpoch);
                                if (!line.empty()) played.timeline += line + "\n";
                              },
                              {}};
  world.tasks = &tasks;
  played.end = rollout::run_rollout(plan, world);
  played.tasks = tasks.history;
  for (const auto& [t, weight] : traffic.history) {
    played.steps += fmt::format("{}{} {:g}", played.steps.empty() ? "" : ", ",
                                minutes(t - kVirtualEpoch), weight);
  }
  return played;
}

inline std::string texts(const std::vector<Error>& found) {
  std::string all;
  for (const Error& one : found) all += render_warning(one) + "\n";
  return all;
}

inline std::string errors_of(const Imported& imported) {
  std::string all;
  for (const Error& one : imported.errors) all += to_string(one) + "\n";
  return all;
}

/// The plan, or a failed test that tells why not.
inline rollout::Plan plan_of(const Imported& imported) {
  EXPECT_TRUE(imported.plan) << errors_of(imported);
  return imported.plan.value_or(rollout::Plan{});
}

}  // namespace coalmine::importers::test
