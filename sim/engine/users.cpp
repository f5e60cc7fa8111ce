#include "sim/engine/users.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "sim/core/math.h"

namespace coalmine::engine {
namespace {

/// Below so many expected, a normal number is no picture of a count.
constexpr double kFew = 64;

std::uint64_t normal_count(double mean, double variance, std::uint64_t most, Random& random) {
  const double drawn = mean + std::sqrt(std::max(variance, 0.0)) * random.normal();
  return static_cast<std::uint64_t>(std::clamp(drawn + 0.5, 0.0, static_cast<double>(most)));
}

}  // namespace

std::uint64_t distinct_users(std::uint64_t requests, std::uint64_t users, Random& random) {
  if (requests <= kUsersOneByOne) {
    std::uint64_t met = 0;
    for (std::uint64_t i = 0; i < requests && met < users; ++i) {
      met += random.below(users) < users - met ? 1 : 0;
    }
    return met;
  }
  if (users == 1) return 1;
  const double n = static_cast<double>(requests), all = static_cast<double>(users);
  const double missed = math::exp(n * math::log1p(-1 / all));  // chance of a user not to be met
  const double mean = all * (1 - missed);
  if (n - mean < kFew) return requests - std::min(requests - 1, random.poisson(n - mean));
  if (all - mean < kFew) return users - std::min(users - 1, random.binomial(users, missed));
  // Two users are missed together less often than independent ones would be.
  const double l = n / all, e = math::exp(-l);
  return normal_count(mean, all * e * (1 - (1 + l) * e), std::min(requests, users), random);
}

std::uint64_t common_users(std::uint64_t a, std::uint64_t b, std::uint64_t users, Random& random) {
  if (a > b) std::swap(a, b);
  if (b > users - b) return a - common_users(a, users - b, users, random);
  std::uint64_t common = 0;
  if (a <= kUsersOneByOne) {
    for (std::uint64_t i = 0; i < a; ++i) common += random.below(users - i) < b - common ? 1 : 0;
    return common;
  }
  const double n = static_cast<double>(a), all = static_cast<double>(users);
  const double share = static_cast<double>(b) / all;
  if (n * share < kFew) return random.binomial(a, share);
  const double variance = n * share * (1 - share) * (all - n) / (all - 1);
  return normal_count(n * share, variance, a, random);
}

UsersMet meet_users(std::span<const std::uint64_t> requests, std::uint64_t users, Random& random) {
  UsersMet met;
  for (const std::uint64_t n : requests) {
    const std::uint64_t mine = distinct_users(n, users, random);
    const std::uint64_t known = met.all == 0 ? 0 : common_users(met.all, mine, users, random);
    met.by_segment.push_back(mine);
    met.all += mine - known;
  }
  return met;
}

}  // namespace coalmine::engine
