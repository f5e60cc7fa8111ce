#pragma once

#include <memory>
#include <string>

#include "sim/core/result.h"
#include "sim/gateway/gateway.h"

namespace coalmine::gateway {

struct ControlOptions {
  std::string url;              ///< "http://127.0.0.1:4566"
  std::string virtual_gateway;  ///< "MESH/NAME"; or
  std::string load_balancer;    ///< a load balancer's name
  std::string scope;            ///< "ACCOUNT/REGION"
  Duration report_interval = std::chrono::seconds{1};
};

/// Keeps a gateway supplied by the control plane and tells it what was counted.
///
/// Routes: GET URL/_coalmine/routes?virtual-gateway=MESH/NAME&scope=S&after=VERSION waits at the
/// other end for a newer table: 200 with it, 204 without, 404 while the gateway is not known
/// there. A table that cannot be served is told back, as &refused=WHY of the next request. When the
/// control plane cannot be reached the last table stays in force.
/// Metrics: POST URL/_coalmine/metrics every report interval with what was counted since the last
/// time; what is refused is dropped and counted.
class ControlSource {
 public:
  /// The gateway must outlive it. Errors (Invalid): the URL, or not exactly one of the names.
  static Result<std::unique_ptr<ControlSource>> start(Gateway& gateway, ControlOptions options);
  virtual ~ControlSource() = default;
  virtual std::uint64_t dropped_reports() const = 0;
  /// Ends both threads; a last report is sent.
  virtual void stop() = 0;
};

/// The JSON of one report: what `now` has beyond `before`.
std::string metrics_report(const GatewayStats& before, const GatewayStats& now,
                           const ControlOptions& options, double epoch_s);

}  // namespace coalmine::gateway
