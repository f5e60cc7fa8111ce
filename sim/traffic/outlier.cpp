#include "sim/traffic/outlier.h"

#include <algorithm>

namespace coalmine::traffic {

OutlierState::OutlierState(OutlierPolicy policy, std::size_t instances)
    : policy_(policy), hosts_(instances) {}

bool OutlierState::may_eject() const {
  if (ejected_ == 0 && policy_.always_eject_one) return true;
  return (ejected_ + 1) * 100 <=
         hosts_.size() * static_cast<std::size_t>(std::max(policy_.max_ejection_percent, 0));
}

Duration OutlierState::ejection_time(const Host& host) const {
  return std::min(policy_.base_ejection * std::max(host.ejections, 1),
                  std::max(policy_.max_ejection, policy_.base_ejection));
}

bool OutlierState::record(std::size_t instance, bool error, TimePoint now) {
  Host& host = hosts_[instance];
  if (!error) {
    host.errors_in_a_row = 0;
    return false;
  }
  ++host.errors_in_a_row;
  if (host.ejected || policy_.consecutive_errors <= 0 ||
      host.errors_in_a_row < policy_.consecutive_errors) {
    return false;
  }
  host.errors_in_a_row = 0;
  if (!may_eject()) return false;
  host.ejected = true;
  host.since = now;
  ++host.ejections;
  ++ejected_;
  return true;
}

void OutlierState::sweep(TimePoint now) {
  for (Host& host : hosts_) {
    if (!host.ejected) {
      host.ejections = std::max(host.ejections - 1, 0);
    } else if (now - host.since >= ejection_time(host)) {
      host.ejected = false;
      host.errors_in_a_row = 0;
      --ejected_;
    }
  }
}

void OutlierState::readmit(std::size_t instance) {
  Host& host = hosts_[instance];
  if (!host.ejected) return;
  host.ejected = false;
  host.errors_in_a_row = 0;
  --ejected_;
}

TimePoint OutlierState::back_at(std::size_t instance) const {
  const Host& host = hosts_[instance];
  return host.ejected ? host.since + ejection_time(host) : kNever;
}

}  // namespace coalmine::traffic
