#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "sim/traffic/outlier.h"
#include "sim/traffic/route_table.h"

namespace coalmine::traffic {

/// Which instances of a target may take requests, and whose turn it is.
///
/// Members are the instances that the table calls healthy; of none, all if the forward fails open
/// (ALB). A member is out while it is ejected or its active health checks fail or have not ended
/// yet. Once fewer than panic_percent of the members are in, all of them are used again (Envoy's
/// panic mode). Instances are meant by their index in Target::instances.
class ClusterState {
 public:
  static constexpr std::size_t kNobody = SIZE_MAX;

  /// `start` is where the round robin begins.
  explicit ClusterState(std::uint64_t start = 0) : turn_(start) {}

  /// The target is as described from now on. Instances that stay (same id, address and port) keep
  /// what is known of them; a policy that was not there before begins with nothing.
  void update(const Target& target, EmptyPolicy empty);

  /// Whose turn it is, by round robin; kNobody if no instance may take requests.
  std::size_t next() { return usable_.empty() ? kNobody : usable_[turn_++ % usable_.size()]; }
  const std::vector<std::size_t>& usable() const { return usable_; }

  /// An attempt on an instance ended with `status`, or without an answer: 0. True if it was ejected
  /// now.
  bool record(std::size_t instance, int status, TimePoint now) {
    if (!outlier_) return false;
    return record_outlier(instance, status, now);
  }
  bool record(std::size_t instance, bool error, TimePoint now) = delete;
  /// To be called every `interval` of the outlier policy: takes back whose time is over, and ejects
  /// whose success rate is an outlier. Returns the latter.
  std::vector<std::size_t> sweep(TimePoint now);
  /// An active health check ended. The first one of an instance counts alone, later ones from the
  /// thresholds on; a pass takes an ejected instance back.
  void checked(std::size_t instance, bool passed);

  std::size_t size() const { return instances_.size(); }
  bool ejected(std::size_t instance) const { return outlier_ && outlier_->ejected(instance); }
  /// Its active health checks fail, or none has ended yet.
  bool check_failed(std::size_t instance) const { return !in_by_checks(instances_[instance]); }
  /// Fewer than panic_percent of the members are in.
  bool panic() const { return panic_; }

 private:
  enum class Checks : std::uint8_t { Pending, Passing, Failing };
  struct Known {
    Instance instance;
    Checks checks = Checks::Pending;
    int streak = 0;  ///< checks in a row that speak against `checks`
  };
  bool record_outlier(std::size_t instance, int status, TimePoint now);
  bool in_by_checks(const Known& known) const {
    return !health_check_ || known.checks == Checks::Passing;
  }
  void refresh();

  std::vector<Known> instances_;
  std::optional<OutlierState> outlier_;
  std::optional<HealthCheck> health_check_;
  EmptyPolicy empty_ = EmptyPolicy::Refuse;
  int panic_percent_ = kDefaultPanicPercent;
  std::vector<std::size_t> usable_;
  bool panic_ = false;
  std::uint64_t turn_;
};

}  // namespace coalmine::traffic
