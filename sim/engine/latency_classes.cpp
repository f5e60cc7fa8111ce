#include "sim/engine/latency_classes.h"

#include <algorithm>
#include <bit>

#include "sim/engine/kernel.h"

namespace coalmine::engine {
namespace {

constexpr double kTwo32 = 4294967296.0;

struct Mass {
  double p = 0;
  double moment = 0;  // p times seconds
};
/// Probability by bucket; the value of a bucket is its mean.
using Masses = std::vector<Mass>;

void add(Masses& masses, Duration value, double p) {
  const std::size_t bucket = bucket_of(value);
  if (bucket >= masses.size()) masses.resize(bucket + 1);
  masses[bucket].p += p;
  masses[bucket].moment += p * to_seconds(value);
}

Masses masses_of(const LatencyTable& table) {
  Masses masses;
  table.spread([&masses](Duration value, double p) { add(masses, value, p); });
  return masses;
}

Duration value_of(const Mass& mass) {
  return from_seconds(mass.moment / mass.p);
}

struct Point {
  Duration value{};
  double p = 0;
};
std::vector<Point> points_of(const Masses& masses) {
  std::vector<Point> points;
  for (const Mass& mass : masses) {
    if (mass.p > 0) points.push_back({value_of(mass), mass.p});
  }
  return points;
}

/// A delay that comes on top with chance q.
Masses with_delay(const Masses& base, const Masses& delay, double q) {
  Masses sum;
  const std::vector<Point> delays = points_of(delay);
  for (const Point& b : points_of(base)) {
    add(sum, b.value, b.p * (1 - q));
    for (const Point& d : delays) add(sum, b.value + d.value, b.p * q * d.p);
  }
  return sum;
}

}  // namespace

std::size_t bucket_of(Duration value) {
  const std::int64_t raw = std::chrono::duration_cast<std::chrono::microseconds>(value).count();
  const std::uint64_t us =
      raw < 0 ? 0 : std::min(static_cast<std::uint64_t>(raw), Histogram::kMaxValue);
  constexpr int kBits = Histogram::kSubBucketBits;
  if (us < (std::uint64_t{1} << kBits)) return static_cast<std::size_t>(us);
  const int shift = std::bit_width(us) - 1 - kBits;
  return (static_cast<std::size_t>(shift) << kBits) + static_cast<std::size_t>(us >> shift);
}

LatencyClasses::LatencyClasses(const LatencyTable& table,
                               const std::vector<Behaviour::Delay>& delays,
                               const std::vector<Duration>& limits, Duration timeout)
    : classes_(limits.size() + 1) {
  Masses masses = masses_of(table);
  for (const Behaviour::Delay& delay : delays) {
    masses = with_delay(masses, masses_of(*delay.table), static_cast<double>(delay.below) / kTwo32);
  }
  std::vector<std::size_t> last;  // bucket of each class
  for (const Duration limit : limits) last.push_back(bucket_of(limit));
  std::size_t at = 0;
  for (std::size_t bucket = 0; bucket < masses.size(); ++bucket) {
    const Mass& mass = masses[bucket];
    if (mass.p == 0) continue;
    const Duration value = value_of(mass);
    if (value > timeout) {
      timeout_share_ += mass.p;
      continue;
    }
    while (at < last.size() && bucket > last[at]) ++at;
    classes_[at].p += mass.p;
    classes_[at].buckets.push_back({value, mass.p});
  }
  for (Class& one : classes_) {
    double seen = 0;
    for (const Bucket& bucket : one.buckets) {
      seen += bucket.p;
      one.typical = bucket.value;
      if (seen >= one.p / 2) break;
    }
  }
}

void LatencyClasses::draw(std::uint64_t n, Random& random,
                          std::vector<std::uint64_t>& counts) const {
  counts.resize(classes_.size());
  double left = 1 - timeout_share_;
  for (std::size_t i = 0; i < classes_.size() && n > 0; ++i) {
    const double p = classes_[i].p;
    const bool last = i + 1 == classes_.size() || p >= left * (1 - 1e-12);
    const std::uint64_t k = last ? n : random.binomial(n, p / left);
    counts[i] += k;
    n -= k;
    left -= p;
  }
}

void LatencyClasses::fill(const std::vector<std::uint64_t>& counts, Random& random,
                          Histogram& histogram) const {
  for (std::size_t i = 0; i < counts.size(); ++i) {
    std::uint64_t n = counts[i];
    double left = classes_[i].p;
    for (std::size_t b = 0; b < classes_[i].buckets.size() && n > 0; ++b) {
      const Bucket& bucket = classes_[i].buckets[b];
      const bool last = b + 1 == classes_[i].buckets.size();
      const std::uint64_t k = last ? n : random.binomial(n, std::min(1.0, bucket.p / left));
      if (k > 0) histogram.add(bucket.value, k);
      n -= k;
      left -= bucket.p;
    }
  }
}

}  // namespace coalmine::engine
