#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/core/time.h"
#include "sim/traffic/target_policy.h"

namespace coalmine::traffic {

/// Which instances of one target are ejected. Time is handed in; the owner asks in the order
/// things happened.
class OutlierState {
 public:
  OutlierState(OutlierPolicy policy, std::size_t instances);

  /// From now on there are `origin.size()` instances: number i is what number origin[i] was, or
  /// new if there is no such one. An ejection goes on; its length follows the new policy.
  void rearrange(OutlierPolicy policy, std::span<const std::size_t> origin);

  /// An attempt on `instance` ended with `status`, or without an answer: 0. True if it was ejected
  /// now.
  bool record(std::size_t instance, int status, TimePoint now);
  bool record(std::size_t instance, bool error, TimePoint now) = delete;
  /// To be called about every `interval`: takes ejected instances back whose time is over, then
  /// compares success rates. Returns who was ejected now.
  std::vector<std::size_t> sweep(TimePoint now);
  /// A passed active health check takes an ejected instance back at once.
  void readmit(std::size_t instance);

  bool ejected(std::size_t instance) const { return hosts_[instance].ejected; }
  std::size_t ejected_count() const { return ejected_; }
  /// When an ejected instance may come back; kNever if it is not ejected.
  TimePoint back_at(std::size_t instance) const;

 private:
  struct Host {
    int errors_in_a_row = 0;
    int gateway_errors_in_a_row = 0;
    std::uint64_t requests = 0;  ///< in this interval
    std::uint64_t good = 0;      ///< of them
    int ejections = 0;  ///< multiplies the next ejection; falls by one per healthy interval
    bool ejected = false;
    TimePoint since{};
  };
  bool may_eject() const;
  bool eject(Host& host, TimePoint now);
  void take_back(Host& host);
  std::vector<std::size_t> eject_by_success_rate(TimePoint now);
  Duration ejection_time(const Host& host) const;

  OutlierPolicy policy_;
  std::vector<Host> hosts_;
  std::size_t ejected_ = 0;
};

}  // namespace coalmine::traffic
