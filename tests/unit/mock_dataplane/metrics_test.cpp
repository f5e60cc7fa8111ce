#include "mock-aws/dataplane/metrics.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "mock-aws/services/elbv2/elbv2.h"
#include "sim/aws/metric_names.h"
#include "tests/support/service_harness.h"

namespace coalmine::mock {
namespace {

namespace names = aws::metrics;

/// One line per datum: "name{dimension=value,…} unit value x count …".
std::vector<std::string> lines_of(const MetricBatch& batch) {
  std::vector<std::string> lines;
  for (const MetricDatum& datum : batch.data) {
    std::string line = datum.metric + "{";
    for (const auto& [name, value] : datum.dimensions) line += name + "=" + value + ",";
    line.back() = '}';
    line += " " + datum.unit;
    for (std::size_t i = 0; i < datum.values.size(); ++i) {
      line += fmt::format(" {}x{}", datum.values[i], datum.counts[i]);
    }
    lines.push_back(line);
  }
  return lines;
}

TEST(AppMeshMetrics, CountPerNodeAndPerGateway) {
  const auto report = parse_gateway_report(Json::parse(R"({
    "source":{"virtual-gateway":"m/g","scope":"000000000000/us-east-1"},"time":1767225660,
    "targets":[
      {"listener":"g:9080","route":"a","target":"v1","requests":2,"codes":{"2xx":2},
       "latency_us":{"buckets":[[1000,2]]}},
      {"listener":"g:9080","route":"b","target":"v1","requests":3,"codes":{"2xx":1,"5xx":1},
       "local_codes":{"5xx":1},"latency_us":{"buckets":[[1000,1],[2500,1]]}},
      {"listener":"g:9080","route":"","target":"","requests":4,"codes":{"4xx":4}}]})"));
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->scope, (Scope{"000000000000", "us-east-1"}));
  const MetricBatch batch = app_mesh_metrics(*report);
  EXPECT_EQ(batch.metric_namespace, "ECS/ContainerInsights/Prometheus");
  EXPECT_EQ(batch.data.at(0).time, from_epoch_seconds(1767225660));
  EXPECT_TRUE(batch.data.at(0).high_resolution);
  EXPECT_EQ(
      lines_of(batch),
      (std::vector<std::string>{
          "envoy_cluster_upstream_rq{Mesh=m,VirtualGateway=g,VirtualNode=v1} Count 5x1",
          "envoy_cluster_upstream_rq_xx{Mesh=m,VirtualGateway=g,VirtualNode=v1,"
          "envoy_response_code_class=2} Count 3x1",
          "envoy_cluster_upstream_rq_xx{Mesh=m,VirtualGateway=g,VirtualNode=v1,"
          "envoy_response_code_class=5} Count 2x1",
          "envoy_cluster_upstream_rq_time{Mesh=m,VirtualGateway=g,VirtualNode=v1} Milliseconds "
          "1x3 2.5x1",
          "envoy_http_downstream_rq_xx{Mesh=m,VirtualGateway=g,envoy_response_code_class=2} "
          "Count 3x1",
          "envoy_http_downstream_rq_xx{Mesh=m,VirtualGateway=g,envoy_response_code_class=4} "
          "Count 4x1",
          "envoy_http_downstream_rq_xx{Mesh=m,VirtualGateway=g,envoy_response_code_class=5} "
          "Count 2x1"}));
}

TEST(AlbMetrics, CountPerTargetGroupAndInAll) {
  test::RecordingSink sink;
  Elbv2 elb{Scope{}, Random{1}, sink};
  test::Caller call{elb};
  const std::string balancer =
      call.ok("CreateLoadBalancer", {{"Name", "web"}, {"Subnets", {"subnet-a", "subnet-b"}}})
          .at("LoadBalancers")[0]
          .at("LoadBalancerArn");
  const std::string group = call.ok("CreateTargetGroup", {{"Name", "blue"},
                                                          {"Protocol", "HTTP"},
                                                          {"Port", 9080},
                                                          {"TargetType", "ip"},
                                                          {"VpcId", "vpc-1"}})
                                .at("TargetGroups")[0]
                                .at("TargetGroupArn");
  call.ok("CreateListener",
          {{"LoadBalancerArn", balancer},
           {"Protocol", "HTTP"},
           {"Port", 80},
           {"DefaultActions", {{{"Type", "forward"}, {"TargetGroupArn", group}}}}});
  const auto report = parse_gateway_report(Json::parse(R"({
    "source":{"load-balancer":"web","scope":"000000000000/us-east-1"},"time":1767225660,
    "targets":[
      {"target":"blue","requests":6,"codes":{"2xx":2},
       "local_codes":{"502":3,"503":5,"504":1,"5xx":1,"4xx":1},"connect_failures":2,
       "latency_us":{"buckets":[[500000,2]]}},
      {"target":"","requests":1,"codes":{"4xx":1}}]})"));
  ASSERT_TRUE(report) << report.error().message;
  const MetricBatch batch = load_balancer_metrics(*report, elb);
  EXPECT_EQ(batch.metric_namespace, "AWS/ApplicationELB");
  const std::string lb = "LoadBalancer=" + names::dimension_of_arn(balancer);
  const std::string both = lb + ",TargetGroup=" + names::dimension_of_arn(group);
  EXPECT_EQ(lb.substr(0, 21), "LoadBalancer=app/web/");
  EXPECT_EQ(lines_of(batch),
            (std::vector<std::string>{"RequestCount{" + both + "} Count 6x1",
                                      "HTTPCode_Target_2XX_Count{" + both + "} Count 2x1",
                                      "TargetConnectionErrorCount{" + both + "} Count 2x1",
                                      "TargetResponseTime{" + both + "} Seconds 0.5x2",
                                      "RequestCount{" + lb + "} Count 6x1",
                                      "HTTPCode_Target_2XX_Count{" + lb + "} Count 2x1",
                                      "TargetConnectionErrorCount{" + lb + "} Count 2x1",
                                      "TargetResponseTime{" + lb + "} Seconds 0.5x2",
                                      "HTTPCode_ELB_4XX_Count{" + lb + "} Count 2x1",
                                      "HTTPCode_ELB_5XX_Count{" + lb + "} Count 10x1",
                                      "HTTPCode_ELB_502_Count{" + lb + "} Count 3x1",
                                      "HTTPCode_ELB_503_Count{" + lb + "} Count 5x1",
                                      "HTTPCode_ELB_504_Count{" + lb + "} Count 1x1"}));
  GatewayReport gone = *report;
  gone.load_balancer = "gone";
  EXPECT_TRUE(load_balancer_metrics(gone, elb).data.empty());

  GatewayReport with_segments = *report;
  with_segments.targets["blue"].segments = {{"pay", {3, 1}}};
  const MetricBatch parts = segment_metrics(with_segments, elb);
  EXPECT_EQ(parts.metric_namespace, "coalmine");
  EXPECT_EQ(lines_of(parts),
            (std::vector<std::string>{
                "Requests{" + lb + ",Segment=pay" + both.substr(lb.size()) + "} Count 3x1",
                "Errors{" + lb + ",Segment=pay" + both.substr(lb.size()) + "} Count 1x1"}));
  with_segments.load_balancer = "gone";
  EXPECT_TRUE(segment_metrics(with_segments, elb).data.empty());
}

TEST(SegmentMetrics, HaveTheDimensionsOfTheirVirtualNode) {
  test::RecordingSink sink;
  const Elbv2 elb{Scope{}, Random{1}, sink};
  GatewayReport report;
  report.mesh = "m";
  report.virtual_gateway = "g";
  report.targets["v2"].segments = {{"pay", {2, 0}}, {"browse", {0, 0}}};
  report.targets[""].requests = 4;
  EXPECT_EQ(lines_of(segment_metrics(report, elb)),
            (std::vector<std::string>{
                "Requests{Mesh=m,Segment=pay,VirtualGateway=g,VirtualNode=v2} Count 2x1"}));
}

struct BadReport {
  const char* name;
  const char* json;
  const char* want;
};
class GatewayReportIsChecked : public testing::TestWithParam<BadReport> {};

TEST_P(GatewayReportIsChecked, WithItsPlace) {
  const auto report = parse_gateway_report(Json::parse(GetParam().json));
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().message.substr(0, std::string(GetParam().want).size()), GetParam().want);
}

#define SOURCE R"("source":{"virtual-gateway":"m/g","scope":"1/r"})"
INSTANTIATE_TEST_SUITE_P(
    Rows, GatewayReportIsChecked,
    testing::Values(
        BadReport{"NoObject", "[]", "source is missing"},
        BadReport{"Scope", R"({"source":{"scope":"x"}})", "source.scope is \"x\""},
        BadReport{"Gateway", R"({"source":{"scope":"1/r","virtual-gateway":"m"}})",
                  "source needs \"virtual-gateway\""},
        BadReport{"Time", "{" SOURCE "}", "time must be epoch seconds"},
        BadReport{"Targets", "{" SOURCE R"(,"time":1})", "targets must be an array"},
        BadReport{"Target", "{" SOURCE R"(,"time":1,"targets":[1]})", "targets[0] must be"},
        BadReport{"Code", "{" SOURCE R"(,"time":1,"targets":[{"codes":{"9xx":1}}]})",
                  "targets[0].codes has \"9xx\""},
        BadReport{"OwnCode", "{" SOURCE R"(,"time":1,"targets":[{"local_codes":{"5ab":1}}]})",
                  "targets[0].local_codes has \"5ab\""},
        BadReport{"StatusOfTarget",
                  "{" SOURCE R"(,"time":1,"targets":[{"target":"v1","codes":{"503":1}}]})",
                  "targets[0].codes has \"503\""},
        BadReport{"Bucket", "{" SOURCE R"(,"time":1,"targets":[{"latency_us":{"buckets":[1]}}]})",
                  "targets[0].latency_us.buckets has 1"}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace coalmine::mock
