#pragma once

#include <cstdint>
#include <vector>

#include "sim/core/time.h"

namespace coalmine::traffic {

/// Outlier detection of a target (Envoy's names and defaults; App Mesh sets maxServerErrors,
/// interval, baseEjectionDuration and maxEjectionPercent).
struct OutlierPolicy {
  int consecutive_errors = 5;  ///< 5xx answers and local failures; 0: off
  Duration interval = std::chrono::seconds{10};
  Duration base_ejection = std::chrono::seconds{30};
  Duration max_ejection = std::chrono::seconds{300};
  int max_ejection_percent = 10;
  bool always_eject_one = true;  ///< App Mesh and Envoy before 1.31
};

/// Which instances of one target are ejected. Time is handed in; the owner asks in the order
/// things happened.
class OutlierState {
 public:
  OutlierState(OutlierPolicy policy, std::size_t instances);

  /// An attempt on `instance` ended; `error` for a 5xx or no answer. True if it was ejected now.
  bool record(std::size_t instance, bool error, TimePoint now);
  /// To be called about every `interval`: returns ejected instances whose time is over.
  void sweep(TimePoint now);
  /// A passed active health check takes an ejected instance back at once.
  void readmit(std::size_t instance);

  bool ejected(std::size_t instance) const { return hosts_[instance].ejected; }
  std::size_t ejected_count() const { return ejected_; }
  /// When an ejected instance may come back; kNever if it is not ejected.
  TimePoint back_at(std::size_t instance) const;

 private:
  struct Host {
    int errors_in_a_row = 0;
    int ejections = 0;  ///< multiplies the next ejection; falls by one per healthy interval
    bool ejected = false;
    TimePoint since{};
  };
  bool may_eject() const;
  Duration ejection_time(const Host& host) const;

  OutlierPolicy policy_;
  std::vector<Host> hosts_;
  std::size_t ejected_ = 0;
};

}  // namespace coalmine::traffic
