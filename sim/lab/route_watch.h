#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/core/time.h"

namespace coalmine::lab {

/// Weights by target, on their way into a gateway: until `sent` it certainly used the ones before,
/// from `adopted` on it certainly uses these.
struct RouteChange {
  TimePoint sent;
  std::optional<TimePoint> adopted;
  std::uint64_t version = 0;
  std::map<std::string, std::uint32_t> weights;  ///< of the route that has most targets
  bool by_marks = false;                         ///< others send some requests to fewer of them
};

/// Follows what the mock's event stream says about one gateway's routes. Pure.
class RouteWatch {
 public:
  /// `gateway`: MESH/NAME of a virtual gateway, or a load balancer's name.
  explicit RouteWatch(std::string gateway) : gateway_(std::move(gateway)) {}

  /// One event of the stream, as JSON; those that concern others are passed over.
  void see(std::string_view event);

  /// Changes of weights, or whether others go before them, oldest first; that of the first table
  /// too.
  const std::vector<RouteChange>& changes() const { return changes_; }
  /// Whether the newest weights are in force.
  bool settled() const { return !changes_.empty() && changes_.back().adopted.has_value(); }
  /// How many healthy tasks the gateway knows of, by target.
  const std::map<std::string, std::uint32_t>& healthy() const { return healthy_; }
  /// Why the gateway cannot be served; empty: nothing is known against it.
  const std::string& failure() const { return failure_; }

 private:
  std::string gateway_;
  std::vector<RouteChange> changes_;
  std::map<std::string, std::uint32_t> healthy_;
  std::string failure_;
};

}  // namespace coalmine::lab
