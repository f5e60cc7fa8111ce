#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "sim/core/time.h"

namespace coalmine {

/// A seedable, splittable stream of random numbers (xoshiro256++ by Blackman and Vigna, 2019,
/// seeded by splitmix64). Everything drawn is the same on every compiler and machine.
///
/// One named stream per subsystem: `root.split("arrivals")` depends on the seed and the name
/// only, never on how much was drawn, so a draw in one stream cannot shift another.
class Random {
 public:
  using result_type = std::uint64_t;

  explicit Random(std::uint64_t seed);

  /// The stream called `name` below this one.
  Random split(std::string_view name) const;
  /// The stream with number `index` below this one (a task, a user, a shard).
  Random split(std::uint64_t index) const;

  std::uint64_t next() {
    const std::uint64_t result = rotate_left(state_[0] + state_[3], 23) + state_[0];
    const std::uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = rotate_left(state_[3], 45);
    return result;
  }
  std::uint64_t operator()() { return next(); }
  static constexpr std::uint64_t min() { return 0; }
  static constexpr std::uint64_t max() { return ~std::uint64_t{0}; }

  /// Uniform in [0, 1), a multiple of 2^-53.
  double uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
  /// Uniform in [low, high).
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  /// Uniform integer in [0, bound), without bias (Lemire 2019). bound > 0.
  std::uint64_t below(std::uint64_t bound);
  /// True with probability p (clamped to [0, 1]).
  bool bernoulli(double p) { return uniform() < p; }
  /// Mean 1.
  double exponential();
  /// Mean 0, standard deviation 1 (polar method of Marsaglia and Bray, 1964).
  double normal();
  /// exp(mu + sigma * normal()).
  double lognormal(double mu, double sigma);
  /// Number of events with the given mean >= 0 (inversion below 10, PTRS of Hörmann 1993 above).
  std::uint64_t poisson(double mean);
  /// Successes among n trials of probability p (inversion, BTRS of Hörmann 1993 above np = 10).
  std::uint64_t binomial(std::uint64_t n, double p);

 private:
  static constexpr std::uint64_t rotate_left(std::uint64_t x, int k) {
    return (x << k) | (x >> (64 - k));
  }

  std::uint64_t key_;
  std::array<std::uint64_t, 4> state_;
};

/// A 64-bit hash that is the same everywhere and for ever (FNV-1a, finished by splitmix64).
std::uint64_t stable_hash(std::string_view text, std::uint64_t seed = 0);

}  // namespace coalmine
