#include "sim/traffic/outlier.h"

#include <algorithm>

namespace coalmine::traffic {

OutlierState::OutlierState(OutlierPolicy policy, std::size_t instances)
    : policy_(policy), hosts_(instances) {}

void OutlierState::rearrange(OutlierPolicy policy, std::span<const std::size_t> origin) {
  std::vector<Host> hosts;
  for (const std::size_t i : origin) hosts.push_back(i < hosts_.size() ? hosts_[i] : Host{});
  policy_ = policy;
  hosts_ = std::move(hosts);
  ejected_ = static_cast<std::size_t>(
      std::count_if(hosts_.begin(), hosts_.end(), [](const Host& host) { return host.ejected; }));
}

bool OutlierState::may_eject() const {
  if (ejected_ == 0 && policy_.always_eject_one) return true;
  return (ejected_ + 1) * 100 <=
         hosts_.size() * static_cast<std::size_t>(std::max(policy_.max_ejection_percent, 0));
}

Duration OutlierState::ejection_time(const Host& host) const {
  const Duration cap = std::max(policy_.max_ejection, policy_.base_ejection);
  const std::int64_t times = std::max(host.ejections, 1);
  if (times > cap / policy_.base_ejection) return cap;  // the product might overflow
  return std::min(policy_.base_ejection * times, cap);
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
