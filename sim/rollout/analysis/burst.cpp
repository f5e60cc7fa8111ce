#include "sim/rollout/analysis/burst.h"

#include <algorithm>

#include "sim/core/check.h"

namespace coalmine::rollout {

void BurstBet::add(double x, double mu) {
  CHECK(x >= 0 && x <= 1 && mu > 0 && mu < 1);
  // Far beyond any threshold; keeps a certain fault from overflowing.
  constexpr double kEnough = 1e200;
  double lambda = 1;
  for (double& factor : factors_) {
    lambda /= 2;
    factor = std::min(kEnough, factor * (1 - lambda + lambda * (x / mu)));
  }
  ++votes_;
}

double BurstBet::factor() const {
  double sum = 0;
  for (const double factor : factors_) sum += factor;
  return sum / static_cast<double>(kLambdas);
}

bool BurstWindow::add(TimePoint from, TimePoint to, std::uint64_t part, std::uint64_t whole) {
  if (!open_) {
    open_ = true;
    begin_ = from;
    part_ = whole_ = 0;
  }
  part_ += part;
  whole_ += whole;
  if (to - begin_ < length_) return false;
  open_ = false;
  full_part_ = part_;
  full_whole_ = whole_;
  return true;
}

}  // namespace coalmine::rollout
