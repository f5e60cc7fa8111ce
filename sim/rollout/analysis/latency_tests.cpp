#include "sim/rollout/analysis/latency_tests.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/rollout/analysis/bernoulli.h"
#include "sim/rollout/analysis/measure.h"

namespace coalmine::rollout {
namespace {

/// Requests after which the mixtures are tightest.
constexpr double kTunedFor = 1000;

std::string seconds_text(std::optional<double> seconds) {
  return seconds ? value_text({Measure::What::LatencyQuantile, .99, {}}, *seconds) : "unknown";
}

}  // namespace

GridCounts::GridCounts() {
  clear();
}

void GridCounts::clear() {
  stable_ = canary_ = {};
  for (const Duration limit : latency_grid()) {
    stable_.slow.push_back({limit, 0});
    canary_.slow.push_back({limit, 0});
  }
}

void GridCounts::add(VersionCounts& sum, const VersionCounts& more) {
  sum.requests += more.requests;
  auto at = more.slow.begin();
  for (SlowCount& slow : sum.slow) {
    while (at != more.slow.end() && at->over < slow.over) ++at;
    if (at != more.slow.end() && at->over == slow.over) {
      slow.count += std::min(at->count, more.requests);
    }
  }
}

void GridCounts::add(const MetricsWindow& window) {
  add(stable_, window.stable);
  add(canary_, window.canary);
}

QuantileCompare::QuantileCompare(const QuantileTest& test)
    : test_(test),
      slow_prior_(tuned_prior(1 - test.quantile, kTunedFor, .05, true)),
      fast_prior_(tuned_prior(test.quantile, kTunedFor, .05, true)) {
  for (double ratio = 1; ratio < 1 + test.tolerance; ratio *= kLatencyGridRatio) ++shift_;
}

/// Stable's quantile lies in (grid[cell-1], grid[cell]]; cell 0 begins at 0, the last never ends.
double QuantileCompare::cell_evidence(std::size_t cell) const {
  const auto& canary = counts_.canary_counts().slow;
  const auto& stable = counts_.stable_counts().slow;
  const std::size_t end = cell + shift_;
  const std::uint64_t slow = end < canary.size() ? canary[end].count : 0;
  const std::uint64_t fast = cell == 0 ? 0 : counts_.stable() - stable[cell - 1].count;
  const double q = test_.quantile;
  // Each bets all but a part: far from the quantile one overflows while the other vanishes, and
  // their product must stay a number.
  constexpr double kHeld = 0.05;
  const auto bet = [](double evidence) { return kHeld + (1 - kHeld) * evidence; };
  return bet(mixture_evidence(slow, counts_.canary(), 1 - q, slow_prior_.a, slow_prior_.b)) *
         bet(mixture_evidence(fast, counts_.stable(), q, fast_prior_.a, fast_prior_.b));
}

/// Every cell is an upper bound of the least. As long as walking downhill from the last weakest
/// cell ends below 1 there is no case to make, and that is nearly always; else all are looked at.
double QuantileCompare::least_evidence() {
  const std::size_t cells = latency_grid().size() + 1;
  double least = cell_evidence(weakest_);
  for (bool down = true; down;) {
    down = false;
    for (const std::size_t next : {weakest_ + 1, weakest_ - 1}) {
      if (next >= cells) continue;  // also below 0
      const double there = cell_evidence(next);
      if (!(there < least)) continue;
      least = there;
      weakest_ = next;
      down = true;
      break;
    }
  }
  if (least < 1) return least;
  for (std::size_t cell = 0; cell < cells; ++cell) {
    const double there = cell_evidence(cell);
    if (!(there < least)) continue;
    least = there;
    weakest_ = cell;
  }
  return least;
}

void QuantileCompare::add(const Observation& seen, Scope) {
  counts_.add(seen.window);
  step_.add(seen.window);
  if (counts_.canary() == 0 || counts_.stable() == 0) return;
  factor_ = least_evidence();
  if (factor_ < Wealth::kLost) begin_bet();
}

void QuantileCompare::next_step() {
  begin_bet();
  step_.clear();
}

void QuantileCompare::begin_bet() {
  if (counts_.canary() > 0) {
    wealth_.renew(factor_);
    factor_ = 1;
  }
  // What stable alone did before says nothing of this step's mix.
  counts_.clear();
}

Evaluation QuantileCompare::evaluate() const {
  const auto canary = latency_quantile(step_.canary_counts(), test_.quantile);
  const auto stable = latency_quantile(step_.stable_counts(), test_.quantile);
  Evaluation e;
  e.test = "quantile";
  e.value = canary.value_or(0);
  e.limit = stable.value_or(0) * (1 + test_.tolerance);
  e.n = step_.canary();
  e.statistic = evidence();
  e.needs = 1 / test_.alpha;
  const std::string more =
      test_.tolerance > 0 ? fmt::format(" and {} allowed", percent_text(test_.tolerance)) : "";
  e.sentence =
      fmt::format("p{:.3g} of {} canary requests is {}, stable's {}{}, evidence {} (needs {})",
                  100 * test_.quantile, e.n, seconds_text(canary), seconds_text(stable), more,
                  figure(e.statistic), figure(e.needs));
  return e;
}

DistributionCompare::DistributionCompare(const DistributionTest& test) : test_(test) {
  begin_step();
}

void DistributionCompare::begin_step() {
  ++step_;
  constant_ = lil_constant_closed(test_.alpha / 2 / (step_ * (step_ + 1.0)));
  counts_.clear();
  difference_ = 0;
  needs_ = 1;
}

void DistributionCompare::next_step() {
  if (counts_.canary() > 0) return begin_step();
  counts_.clear();
}

void DistributionCompare::add(const Observation& seen, Scope) {
  counts_.add(seen.window);
  const auto canary = static_cast<double>(counts_.canary());
  const auto stable = static_cast<double>(counts_.stable());
  if (canary < kFewest || stable < kFewest) return;
  needs_ = band_radius(canary, kFewest, constant_) + band_radius(stable, kFewest, constant_);
  difference_ = 0;
  for (std::size_t i = 0; i < latency_grid().size(); ++i) {
    double slower = static_cast<double>(counts_.canary_counts().slow[i].count) / canary -
                    static_cast<double>(counts_.stable_counts().slow[i].count) / stable;
    if (test_.direction == Direction::Down) slower = -slower;
    if (test_.direction == Direction::Either) slower = std::fabs(slower);
    if (slower <= difference_) continue;
    difference_ = slower;
    where_ = latency_grid()[i];
  }
}

Evaluation DistributionCompare::evaluate() const {
  const auto share = [this](const VersionCounts& counts) {
    return share_of_counts(counts.slower_than(where_), counts.requests);
  };
  Evaluation e;
  e.test = "distribution";
  e.value = share(counts_.canary_counts());
  e.limit = share(counts_.stable_counts());
  e.n = counts_.canary();
  e.statistic = difference_;
  e.needs = needs_;
  e.sentence = fmt::format(
      "{} of {} canary requests are slower than {}, {} of stable's: a difference of {} (needs {})",
      percent_text(e.value), e.n, coalmine::to_string(where_), percent_text(e.limit),
      percent_text(difference_), percent_text(needs_));
  return e;
}

}  // namespace coalmine::rollout
