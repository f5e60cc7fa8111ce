#include "sim/traffic/pick.h"

#include <numeric>

#include "sim/core/check.h"

namespace coalmine::traffic {
namespace {

__extension__ using Wide = __int128;

std::int64_t rounded(double x) {
  return static_cast<std::int64_t>(x + (x < 0 ? -0.5 : 0.5));
}

}  // namespace

std::uint64_t total_weight(std::span<const Target> targets) {
  std::uint64_t total = 0;
  for (const Target& target : targets) total += target.weight;
  return total;
}

std::size_t pick(std::span<const Target> targets, std::uint64_t u) {
  for (std::size_t i = 0; i < targets.size(); ++i) {
    if (u < targets[i].weight) return i;
    u -= targets[i].weight;
  }
  CHECK_FAILED("draw beyond the total weight");
}

ExactOrder::ExactOrder(std::span<const Target> targets, std::span<const Lag> carried) {
  std::uint64_t divisor = 0;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    all_.emplace_back(targets[i].name, targets[i].weight);
    if (targets[i].weight == 0) continue;
    divisor = std::gcd(divisor, std::uint64_t{targets[i].weight});
    shares_.push_back({targets[i].name, targets[i].weight, 0, i, 0});
  }
  CHECK(divisor > 0);  // at least one target has a weight
  period_ = 0;
  for (Share& share : shares_) {
    share.part = share.weight / divisor;
    period_ += share.part;
  }
  scale_ = shares_.size() == 1 ? 1 : static_cast<std::int64_t>(2 * shares_.size() - 2);
  if (period_ > kMaxExactTable) {
    start_lags(carried);
    return;
  }
  table_.reserve(period_);
  for (std::uint64_t t = 0; t < period_; ++t) {
    table_.push_back(static_cast<std::uint8_t>(step()));
  }
  choose_phase(carried);
}

// One pick by the rule: every lag grows by its share; among those who are due at least
// 1/(2k-2) of a pick, the one whose deadline comes first is taken and gives a whole pick back.
// In integers: lags times period * (2k-2), so "due" is lag >= period.
std::size_t ExactOrder::step() {
  const auto period = static_cast<std::int64_t>(period_);
  for (Share& share : shares_) share.lag += scale_ * static_cast<std::int64_t>(share.part);
  Share* best = nullptr;
  for (Share& share : shares_) {
    if (shares_.size() > 1 && share.lag < period) continue;
    // (1 - c - s) / share, times a constant; compared by cross multiplication
    const auto slack = [&](const Share& s) { return Wide{period * (scale_ - 1) - s.lag}; };
    if (best == nullptr || slack(share) * static_cast<Wide>(best->part) <
                               slack(*best) * static_cast<Wide>(share.part)) {
      best = &share;
    }
  }
  if (best == nullptr) {  // only after carried lags: take the one that is owed most
    best = &shares_.front();
    for (Share& share : shares_) {
      if (share.lag > best->lag) best = &share;
    }
  }
  best->lag -= scale_ * period;
  return best->index;
}

std::size_t ExactOrder::next() {
  if (!table_.empty()) {
    const std::uint64_t n = count_.fetch_add(1, std::memory_order_relaxed);
    return table_[(phase_ + n) % period_];
  }
  const std::lock_guard lock(mutex_);
  return step();
}

double ExactOrder::carried_lag(std::span<const Lag> carried, const std::string& name) {
  for (const Lag& lag : carried) {
    if (lag.name == name) return lag.requests;
  }
  return 0;
}

// The place in the period whose lags are nearest to the carried ones, the earliest if several.
void ExactOrder::choose_phase(std::span<const Lag> carried) {
  if (carried.empty()) return;
  std::vector<std::uint64_t> taken(all_.size(), 0);
  std::vector<double> want;
  for (const Share& share : shares_) want.push_back(carried_lag(carried, share.name));
  double best = -1;
  for (std::uint64_t p = 0; p < period_; ++p) {
    double distance = 0;
    for (std::size_t i = 0; i < shares_.size(); ++i) {
      const double due = static_cast<double>(p) * static_cast<double>(shares_[i].part) /
                         static_cast<double>(period_);
      const double off = due - static_cast<double>(taken[shares_[i].index]) - want[i];
      distance += off * off;
    }
    if (best < 0 || distance < best) {
      best = distance;
      phase_ = p;
    }
    ++taken[table_[p]];
  }
}

// Lags of targets that are gone leave a rest; it is spread evenly, since lags sum to zero.
void ExactOrder::start_lags(std::span<const Lag> carried) {
  double sum = 0;
  for (const Share& share : shares_) sum += carried_lag(carried, share.name);
  const double rest = sum / static_cast<double>(shares_.size());
  const double unit = static_cast<double>(period_) * static_cast<double>(scale_);
  std::int64_t scaled_sum = 0;
  for (Share& share : shares_) {
    share.lag = rounded((carried_lag(carried, share.name) - rest) * unit);
    scaled_sum += share.lag;
  }
  shares_.front().lag -= scaled_sum;
}

std::vector<ExactOrder::Lag> ExactOrder::lags() const {
  std::vector<Lag> out;
  if (table_.empty()) {
    const std::lock_guard lock(mutex_);
    const double unit = static_cast<double>(period_) * static_cast<double>(scale_);
    for (const Share& s : shares_) out.push_back({s.name, static_cast<double>(s.lag) / unit});
    return out;
  }
  const std::uint64_t at = (phase_ + count_.load(std::memory_order_relaxed)) % period_;
  std::vector<std::uint64_t> taken(all_.size(), 0);
  for (std::uint64_t p = 0; p < at; ++p) ++taken[table_[p]];
  for (const Share& s : shares_) {
    const double due =
        static_cast<double>(at) * static_cast<double>(s.part) / static_cast<double>(period_);
    out.push_back({s.name, due - static_cast<double>(taken[s.index])});
  }
  return out;
}

bool ExactOrder::same_targets(std::span<const Target> targets) const {
  if (targets.size() != all_.size()) return false;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    if (targets[i].name != all_[i].first || targets[i].weight != all_[i].second) return false;
  }
  return true;
}

}  // namespace coalmine::traffic
