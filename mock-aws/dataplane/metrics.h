// What gateways count, as CloudWatch metrics. Names: sim/aws/metric_names.h.
//
// A gateway posts, every metric period:
//   {"source":{"virtual-gateway":"MESH/NAME" or "load-balancer":"NAME","scope":"ACCOUNT/REGION"},
//    "time":EPOCH_S,
//    "targets":[{"listener":"…","route":"…","target":"NAME","requests":N,
//                "codes":{"2xx":N,"5xx":N,…},"local_codes":{"503":N,…},
//                "connect_failures":N,
//                "latency_us":{"buckets":[[VALUE_US,COUNT],…]}}]}
// Counts are of this period only. `target` is the virtual node or target group that was picked;
// empty: none was, the gateway answered itself. `local_codes` (optional; by status or class) counts
// those of a picked target that the gateway answered for it: 503 for want of an instance, 502 or
// 504 when there was no answer. They are not in `codes`; those for want of an instance a load
// balancer does not count in `requests` either. Of an entry without target all codes are the
// gateway's own. `connect_failures` (optional): attempts that found no connection.
#pragma once

#include <array>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "mock-aws/protocol/service.h"
#include "mock-aws/services/ports.h"
#include "sim/core/json.h"
#include "sim/core/result.h"

namespace coalmine::mock {

class Elbv2;

/// Counts by the first digit of the status; index 0 is not used.
using CodeClasses = std::array<double, 6>;

struct PartCounts {
  double requests = 0, errors = 0;
};

struct TargetCounts {
  double requests = 0;
  CodeClasses codes{};                   ///< answers of the target
  CodeClasses local_codes{};             ///< answers of the gateway itself
  std::map<int, double> local_statuses;  ///< of those, by status, where that was told
  double connect_failures = 0;
  std::map<double, double> latency_us;  ///< value -> count
  /// By segment of the traffic. Gateways know none and do not report them; the virtual world does.
  std::map<std::string, PartCounts> segments;
};

struct GatewayReport {
  std::string mesh, virtual_gateway;  ///< or
  std::string load_balancer;
  Scope scope;
  TimePoint time;
  std::map<std::string, TargetCounts> targets;  ///< by name, listeners and routes added up
};

/// Error: a missing or wrong member, with its path. Unknown members are passed over.
Result<GatewayReport> parse_gateway_report(const Json& json);

struct MetricBatch {
  std::string metric_namespace;
  std::vector<MetricDatum> data;
};

/// Envoy's statistics of a virtual gateway's report, kept by the second.
MetricBatch app_mesh_metrics(const GatewayReport& report);

/// ALB's metrics, by the minute, with the dimension values of the load balancer's and its target
/// groups' ARNs. Counts that are zero are left out, as ALB does. A load balancer that does not
/// exist any more gives none.
MetricBatch load_balancer_metrics(const GatewayReport& report, const Elbv2& elb);

/// The segments' metrics, with the dimensions of the report's own metrics and "Segment".
MetricBatch segment_metrics(const GatewayReport& report, const Elbv2& elb);

}  // namespace coalmine::mock
