// The CloudWatch metrics that a rollout reads, named once for those who write them (the mock's
// data plane) and those who query them (rollouts on the mock or on real AWS).
//
// ALB writes its own metrics. App Mesh has none: Envoy's statistics reach CloudWatch through the
// CloudWatch agent, whose Prometheus names and namespace are used here.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace coalmine::aws::metrics {

using Dimensions = std::map<std::string, std::string>;

// --- App Mesh: Envoy's statistics per virtual node, as the gateway sees them ---------------------
inline constexpr std::string_view kMeshNamespace = "ECS/ContainerInsights/Prometheus";
inline constexpr std::string_view kMeshRequests = "envoy_cluster_upstream_rq";            ///< Count
inline constexpr std::string_view kMeshRequestsByClass = "envoy_cluster_upstream_rq_xx";  ///< Count
inline constexpr std::string_view kMeshLatency =
    "envoy_cluster_upstream_rq_time";  ///< Milliseconds
/// All answers of a gateway by class, its own (404 without a route, 503) included. Count.
inline constexpr std::string_view kMeshAnswersByClass = "envoy_http_downstream_rq_xx";
inline constexpr std::string_view kMesh = "Mesh";
inline constexpr std::string_view kVirtualGateway = "VirtualGateway";
inline constexpr std::string_view kVirtualNode = "VirtualNode";
inline constexpr std::string_view kResponseCodeClass = "envoy_response_code_class";  ///< "2" to "5"

// --- ALB ---------------------------------------------------------------------------------------
inline constexpr std::string_view kAlbNamespace = "AWS/ApplicationELB";
inline constexpr std::string_view kAlbRequests = "RequestCount";       ///< Count
inline constexpr std::string_view kAlbLatency = "TargetResponseTime";  ///< Seconds
/// Count: connections that were not established. One that is reset later is in none of a target
/// group's metrics: what the load balancer then answers is a code of its own.
inline constexpr std::string_view kAlbConnectionErrors = "TargetConnectionErrorCount";
inline constexpr std::string_view kLoadBalancer = "LoadBalancer";  ///< "app/NAME/ID"
inline constexpr std::string_view kTargetGroup = "TargetGroup";    ///< "targetgroup/NAME/ID"

// --- Segments: parts of the traffic, told by path or header -------------------------------------
// Neither Envoy's statistics nor ALB's metrics know paths. Whoever sees the requests (the
// application, a sidecar, a job that reads access logs) publishes these by PutMetricData, with
// the dimensions of the version's own metrics and the segment's name. In coalmine's own worlds it
// is the engine or the load generator.
inline constexpr std::string_view kSegmentNamespace = "coalmine";
inline constexpr std::string_view kSegmentRequests = "Requests";  ///< Count
inline constexpr std::string_view kSegmentErrors = "Errors";      ///< Count; no answer, or 5xx
inline constexpr std::string_view kSegment = "Segment";

namespace detail {
inline Dimensions dimensions(
    std::initializer_list<std::pair<std::string_view, std::string_view>> pairs) {
  Dimensions out;
  for (const auto& [name, value] : pairs) {
    if (!value.empty()) out.emplace(name, value);
  }
  return out;
}
}  // namespace detail

/// Of kMeshRequests and kMeshLatency; with a class ("2" to "5") of kMeshRequestsByClass; without
/// a node and with a class of kMeshAnswersByClass.
inline Dimensions mesh_dimensions(std::string_view mesh, std::string_view gateway,
                                  std::string_view node, std::string_view code_class = "") {
  return detail::dimensions({{kMesh, mesh},
                             {kVirtualGateway, gateway},
                             {kVirtualNode, node},
                             {kResponseCodeClass, code_class}});
}

/// Without a target group: of the whole load balancer.
inline Dimensions alb_dimensions(std::string_view load_balancer,
                                 std::string_view target_group = "") {
  return detail::dimensions({{kLoadBalancer, load_balancer}, {kTargetGroup, target_group}});
}

/// `version`: mesh_dimensions() or alb_dimensions() of one version.
inline Dimensions segment_dimensions(Dimensions version, std::string_view segment) {
  version.emplace(kSegment, segment);
  return version;
}

/// "HTTPCode_Target_5XX_Count": answers of targets; class is '2' to '5'. Absent when zero.
inline std::string alb_target_code(char code_class) {
  return std::string("HTTPCode_Target_") + code_class + "XX_Count";
}
/// "HTTPCode_ELB_5XX_Count": answers of the load balancer itself; class is '3' to '5'.
inline std::string alb_own_code(char code_class) {
  return std::string("HTTPCode_ELB_") + code_class + "XX_Count";
}
/// Those of them that have a metric by themselves: "HTTPCode_ELB_502_Count" and so on.
inline constexpr int kAlbOwnStatuses[] = {502, 503, 504};
inline std::string alb_own_status(int status) {
  return "HTTPCode_ELB_" + std::to_string(status) + "_Count";
}

/// The dimension value in an ARN: "app/NAME/ID" of a load balancer's, "targetgroup/NAME/ID" of a
/// target group's; empty if it is neither.
inline std::string dimension_of_arn(std::string_view arn) {
  constexpr std::string_view kBalancer = ":loadbalancer/";
  if (const auto at = arn.find(kBalancer); at != arn.npos) {
    return std::string(arn.substr(at + kBalancer.size()));
  }
  const auto at = arn.find(":targetgroup/");
  return at == arn.npos ? std::string() : std::string(arn.substr(at + 1));
}

}  // namespace coalmine::aws::metrics
