#include "sim/core/random.h"

#include <cmath>

#include "sim/core/check.h"
#include "sim/core/math.h"

namespace coalmine {
namespace {

__extension__ typedef unsigned __int128 Wide;

std::uint64_t mix(std::uint64_t z) {
  z += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

}  // namespace

std::uint64_t stable_hash(std::string_view text, std::uint64_t seed) {
  std::uint64_t h = 0xcbf29ce484222325 ^ mix(seed);
  for (const char c : text) {
    h ^= static_cast<unsigned char>(c);
    h *= 0x100000001b3;
  }
  return mix(h);
}

Random::Random(std::uint64_t seed) : key_(seed), state_{} {
  std::uint64_t s = seed;
  for (auto& word : state_) {
    word = mix(s);
    s += 0x9e3779b97f4a7c15;
  }
}

Random Random::split(std::string_view name) const {
  return Random(stable_hash(name, key_));
}
Random Random::split(std::uint64_t index) const {
  return Random(mix(key_ ^ mix(index)));
}

std::uint64_t Random::below(std::uint64_t bound) {
  CHECK(bound > 0);
  Wide product = static_cast<Wide>(next()) * bound;
  auto low = static_cast<std::uint64_t>(product);
  if (low < bound) {
    const std::uint64_t threshold = (0 - bound) % bound;
    while (low < threshold) {
      product = static_cast<Wide>(next()) * bound;
      low = static_cast<std::uint64_t>(product);
    }
  }
  return static_cast<std::uint64_t>(product >> 64);
}

double Random::exponential() {
  return -math::log(1.0 - uniform());
}

double Random::normal() {
  for (;;) {
    const double x = 2 * uniform() - 1;
    const double y = 2 * uniform() - 1;
    const double s = x * x + y * y;
    if (s < 1 && s > 0) return x * std::sqrt(-2 * math::log(s) / s);
  }
}

double Random::lognormal(double mu, double sigma) {
  return math::exp(mu + sigma * normal());
}

std::uint64_t Random::poisson(double mean) {
  CHECK(mean >= 0);
  if (mean == 0) return 0;
  if (mean < 10) {
    const double limit = math::exp(-mean);
    double product = uniform();
    std::uint64_t k = 0;
    while (product > limit) {
      product *= uniform();
      ++k;
    }
    return k;
  }
  // Hörmann (1993), "The transformed rejection method for generating Poisson random variables".
  const double log_mean = math::log(mean);
  const double b = 0.931 + 2.53 * std::sqrt(mean);
  const double a = -0.059 + 0.02483 * b;
  const double inv_alpha = 1.1239 + 1.1328 / (b - 3.4);
  const double v_r = 0.9277 - 3.6224 / (b - 2);
  for (;;) {
    const double u = uniform() - 0.5;
    const double v = uniform();
    const double us = 0.5 - std::fabs(u);
    const double k = std::floor((2 * a / us + b) * u + mean + 0.43);
    if (us >= 0.07 && v <= v_r) return static_cast<std::uint64_t>(k);
    if (k < 0 || (us < 0.013 && v > us)) continue;
    if (math::log(v) + math::log(inv_alpha) - math::log(a / (us * us) + b) <=
        k * log_mean - mean - math::lgamma(k + 1)) {
      return static_cast<std::uint64_t>(k);
    }
  }
}

std::uint64_t Random::binomial(std::uint64_t n, double p) {
  if (n == 0 || !(p > 0)) return 0;
  if (p >= 1) return n;
  if (p > 0.5) return n - binomial(n, 1 - p);
  const double size = static_cast<double>(n);
  if (size * p < 10) {
    // Jump from success to success; the gaps are geometric.
    const double log_q = math::log1p(-p);
    std::uint64_t successes = 0;
    double position = 0;
    for (;;) {
      position += std::floor(math::log(1.0 - uniform()) / log_q) + 1;
      if (position > size) return successes;
      ++successes;
    }
  }
  // Hörmann (1993), "The generation of binomial random variates", algorithm BTRS.
  const double sd = std::sqrt(size * p * (1 - p));
  const double b = 1.15 + 2.53 * sd;
  const double a = -0.0873 + 0.0248 * b + 0.01 * p;
  const double c = size * p + 0.5;
  const double v_r = 0.92 - 4.2 / b;
  const double alpha = (2.83 + 5.1 / b) * sd;
  const double log_odds = math::log(p / (1 - p));
  const double mode = std::floor((size + 1) * p);
  const double h = math::lgamma(mode + 1) + math::lgamma(size - mode + 1);
  for (;;) {
    const double u = uniform() - 0.5;
    double v = uniform();
    const double us = 0.5 - std::fabs(u);
    const double k = std::floor((2 * a / us + b) * u + c);
    if (k < 0 || k > size) continue;
    if (us >= 0.07 && v <= v_r) return static_cast<std::uint64_t>(k);
    v = math::log(v * alpha / (a / (us * us) + b));
    if (v <= h - math::lgamma(k + 1) - math::lgamma(size - k + 1) + (k - mode) * log_odds) {
      return static_cast<std::uint64_t>(k);
    }
  }
}

}  // namespace coalmine
