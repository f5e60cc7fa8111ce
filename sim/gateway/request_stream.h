// Every request's result, for whoever analyses a canary without waiting for metrics.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "sim/gateway/stats.h"

namespace coalmine::gateway {

inline constexpr std::size_t kRequestRing = 1 << 16;  ///< results kept by a worker between readings
inline constexpr std::size_t kRequestsKept = 1 << 18;    ///< and by the gateway, for all readers
inline constexpr std::size_t kRequestsAtOnce = 1 << 16;  ///< in one answer

/// How one request ended.
struct RequestResult {
  std::int64_t end_epoch_us = 0;
  const StatsKey* key = nullptr;  ///< listener, route, target; lives as long as its worker
  std::uint64_t latency_us = 0;
  std::uint64_t route_table_version = 0;
  std::uint16_t status = 0;  ///< 0: the client left or was cut
  std::uint16_t attempts = 0;
  std::string_view flag;  ///< Envoy's, of literals
};

/// The newest results of one worker. Nothing is kept, and nothing paid, before the first reading.
class RequestRing {
 public:
  bool on() const { return !ring_.empty(); }
  void push(const RequestResult& result) { ring_[count_++ % ring_.size()] = result; }
  struct Batch {
    std::uint64_t lost = 0;  ///< overwritten before they were read; older than all of `results`
    std::vector<RequestResult> results;
  };
  /// What came since the last time; the first time turns it on.
  Batch drain();

 private:
  std::vector<RequestResult> ring_;
  std::uint64_t count_ = 0;
  std::uint64_t drained_ = 0;
};

/// Puts the workers' batches in one numbered row that any number of readers may follow.
class RequestStream {
 public:
  void add(RequestRing::Batch batch);
  /// Results from number `from` on, as JSON lines behind a line
  /// {"from":N,"next":M,"lost":K}: K of the numbers N to M-1 are not to be had any more.
  std::string read(std::uint64_t from) const;

 private:
  struct Numbered {
    std::uint64_t number;
    RequestResult result;
  };
  std::deque<Numbered> kept_;
  std::uint64_t next_ = 0;
};

}  // namespace coalmine::gateway
