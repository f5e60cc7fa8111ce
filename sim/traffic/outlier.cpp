#include "sim/traffic/outlier.h"

#include <algorithm>
#include <cmath>

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

bool OutlierState::eject(Host& host, TimePoint now) {
  if (!may_eject()) return false;
  host.ejected = true;
  host.since = now;
  ++host.ejections;
  ++ejected_;
  return true;
}

void OutlierState::take_back(Host& host) {
  host.ejected = false;
  host.errors_in_a_row = 0;
  host.gateway_errors_in_a_row = 0;
  --ejected_;
}

// Envoy, DetectorHostMonitorImpl::putHttpResponseCode(): any 5xx counts, and of those the gateway's
// own kind counts by itself, too; another 5xx ends a row of that kind.
bool OutlierState::record(std::size_t instance, int status, TimePoint now) {
  Host& host = hosts_[instance];
  ++host.requests;
  if (status != 0 && status < 500) {
    ++host.good;
    host.errors_in_a_row = 0;
    host.gateway_errors_in_a_row = 0;
    return false;
  }
  const bool of_gateway = status == 0 || (status >= 502 && status <= 504);
  host.gateway_errors_in_a_row = of_gateway ? host.gateway_errors_in_a_row + 1 : 0;
  ++host.errors_in_a_row;
  if (host.ejected) return false;
  const auto reached = [](int& in_a_row, int limit) {
    if (limit <= 0 || in_a_row < limit) return false;
    in_a_row = 0;
    return true;
  };
  const bool by_gateway_errors =
      reached(host.gateway_errors_in_a_row, policy_.consecutive_gateway_errors);
  const bool by_errors = reached(host.errors_in_a_row, policy_.consecutive_errors);
  return (by_gateway_errors || by_errors) && eject(host, now);
}

std::vector<std::size_t> OutlierState::sweep(TimePoint now) {
  for (Host& host : hosts_) {
    if (!host.ejected) {
      host.ejections = std::max(host.ejections - 1, 0);
    } else if (now - host.since >= ejection_time(host)) {
      take_back(host);
    }
  }
  std::vector<std::size_t> ejected;
  if (policy_.success_rate) ejected = eject_by_success_rate(now);
  for (Host& host : hosts_) host.requests = host.good = 0;
  return ejected;
}

// Envoy, DetectorImpl::processSuccessRateEjections() and successRateEjectionThreshold().
std::vector<std::size_t> OutlierState::eject_by_success_rate(TimePoint now) {
  const SuccessRatePolicy& policy = *policy_.success_rate;
  std::vector<std::pair<std::size_t, double>> rates;
  double sum = 0;
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    const Host& host = hosts_[i];
    if (host.ejected || host.requests == 0) continue;
    if (host.requests < static_cast<std::uint64_t>(std::max(policy.request_volume, 0))) continue;
    rates.emplace_back(i, static_cast<double>(host.good) / static_cast<double>(host.requests));
    sum += rates.back().second;
  }
  if (rates.empty() || rates.size() < static_cast<std::size_t>(std::max(policy.minimum_hosts, 0))) {
    return {};
  }
  const auto count = static_cast<double>(rates.size());
  const double mean = sum / count;
  double squares = 0;
  for (const auto& [i, rate] : rates) squares += (rate - mean) * (rate - mean);
  const double threshold = mean - policy.stdev_factor * std::sqrt(squares / count);
  std::vector<std::size_t> ejected;
  for (const auto& [i, rate] : rates) {
    if (rate < threshold && eject(hosts_[i], now)) ejected.push_back(i);
  }
  return ejected;
}

void OutlierState::readmit(std::size_t instance) {
  if (hosts_[instance].ejected) take_back(hosts_[instance]);
}

TimePoint OutlierState::back_at(std::size_t instance) const {
  const Host& host = hosts_[instance];
  return host.ejected ? host.since + ejection_time(host) : kNever;
}

}  // namespace coalmine::traffic
