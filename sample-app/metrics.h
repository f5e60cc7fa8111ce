#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "sim/core/time.h"

namespace coalmine::sample {

/// Request counts and latencies in the Prometheus text format. Thread-safe.
class Metrics {
 public:
  explicit Metrics(std::string version) : version_(std::move(version)) {}

  void begin();
  /// A begun request is over. `path` must come from a small set; `code` 0 means that no answer was
  /// given.
  void count(const std::string& path, int code, Duration took);
  std::string render() const;

 private:
  /// Upper bounds in seconds, from 1 ms to 10 s; +Inf comes last.
  static constexpr std::array<double, 13> kBounds{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                  0.25,  0.5,    1,     2.5,  5,     10};
  struct Latencies {
    std::array<std::uint64_t, kBounds.size()> within{};  // not cumulative
    std::uint64_t count = 0;
    double sum_s = 0;
  };

  std::string version_;
  mutable std::mutex mutex_;
  std::int64_t in_flight_ = 0;
  std::map<std::pair<std::string, int>, std::uint64_t> requests_;
  std::map<std::string, Latencies> latencies_;
};

}  // namespace coalmine::sample
