#include "sim/aws/client.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "sim/aws/appmesh.h"
#include "sim/aws/cloudwatch.h"
#include "sim/aws/elbv2.h"
#include "sim/aws/sts.h"
#include "sim/aws/xml.h"
#include "tests/unit/sim_aws/fake_transport.h"

namespace coalmine::aws {
namespace {

using namespace std::chrono_literals;
using test::Fixture;

net::Response answer(int status, std::string body, net::Headers headers = {}) {
  net::Response response;
  response.status = status;
  response.body = std::move(body);
  response.headers = std::move(headers);
  return response;
}

TEST(Client, RestJsonFillsThePathAndWrapsTheBareAnswer) {
  Fixture f;
  f.transport.answers = {answer(200, R"({"routeName":"x/y","spec":{"httpRoute":{}}})")};
  const auto spec = describe_route_spec(f.client, {"m", "r", "x/y"});
  ASSERT_TRUE(spec) << to_string(spec.error());
  const net::Request& sent = f.transport.requests.at(0);
  EXPECT_EQ(sent.method, "GET");
  EXPECT_EQ(sent.target, "/v20190125/meshes/m/virtualRouter/r/routes/x%2Fy");
  EXPECT_EQ(f.transport.origins[0], "https://appmesh.us-east-1.amazonaws.com");
  EXPECT_EQ(sent.headers.get("Host"), "appmesh.us-east-1.amazonaws.com");
  EXPECT_NE(sent.headers.get("Authorization").find("/us-east-1/appmesh/aws4_request"),
            std::string::npos);
}

TEST(Client, UpdateRouteSendsTheSpecOnly) {
  Fixture f({.endpoint = "http://127.0.0.1:4566"});
  f.transport.answers = {answer(200, "{}")};
  ASSERT_TRUE(update_route_spec(f.client, {"m", "r", "x"}, Json{{"httpRoute", Json::object()}}));
  EXPECT_EQ(f.transport.requests[0].method, "PUT");
  EXPECT_EQ(f.transport.requests[0].body, R"({"spec":{"httpRoute":{}}})");
  EXPECT_EQ(f.transport.origins[0], "http://127.0.0.1:4566");
}

TEST(Client, QueryFlattensListsAndReadsXml) {
  Fixture f;
  f.transport.answers = {answer(200, R"(<?xml version="1.0"?>
<DescribeTargetGroupsResponse xmlns="http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/">
  <DescribeTargetGroupsResult><TargetGroups><member>
    <TargetGroupName>a&amp;b</TargetGroupName><TargetGroupArn>arn:1</TargetGroupArn>
  </member></TargetGroups></DescribeTargetGroupsResult>
  <ResponseMetadata><RequestId>1</RequestId></ResponseMetadata>
</DescribeTargetGroupsResponse>)")};
  const auto group = describe_target_group(f.client, "a b");
  ASSERT_TRUE(group) << to_string(group.error());
  EXPECT_EQ(group->arn, "arn:1");
  EXPECT_EQ(f.transport.requests[0].body,
            "Action=DescribeTargetGroups&Version=2015-12-01&Names.member.1=a%20b");
}

TEST(Client, ForwardWeightsChangeNothingElse) {
  const Json actions = Json::parse(R"([{"Type":"authenticate-oidc","Order":"1"},
    {"Type":"forward","TargetGroupArn":"a","ForwardConfig":{"TargetGroups":[
      {"TargetGroupArn":"a","Weight":"99"},{"TargetGroupArn":"c","Weight":"7"}],
      "TargetGroupStickinessConfig":{"Enabled":"false"}}}])");
  EXPECT_EQ(forward_weights(actions), (std::map<std::string, int>{{"a", 99}, {"c", 7}}));
  const auto changed = with_forward_weights(actions, {{"a", 90}, {"b", 10}});
  ASSERT_TRUE(changed);
  EXPECT_EQ(forward_weights(Json::parse(R"([{"Type":"forward","TargetGroupArn":"z"}])")),
            (std::map<std::string, int>{{"z", 1}}));
  EXPECT_EQ((*changed)[0], actions[0]);
  EXPECT_EQ((*changed)[1]["ForwardConfig"]["TargetGroups"],
            Json::parse(R"([{"TargetGroupArn":"a","Weight":90},{"TargetGroupArn":"b","Weight":10},
                            {"TargetGroupArn":"c","Weight":7}])"));
  EXPECT_EQ((*changed)[1]["ForwardConfig"]["TargetGroupStickinessConfig"]["Enabled"], "false");
  EXPECT_FALSE(with_forward_weights(Json::array(), {{"a", 1}}));
}

TEST(Client, MetricDataIsReadPageByPage) {
  Fixture f;
  f.transport.answers = {
      answer(200, R"({"MetricDataResults":[{"Id":"a","Timestamps":[1767225600],"Values":[3]}],
                      "NextToken":"t"})"),
      answer(200,
             R"({"MetricDataResults":[{"Id":"a","Timestamps":[1767225660.0],"Values":[4]}]})")};
  const auto series = get_metric_data(
      f.client,
      {{"a", "NS", "Count", {{"k", "v"}}, "Sum", 60s}, {"b", "NS", "Other", {}, "Sum", 60s}},
      kVirtualEpoch, kVirtualEpoch + 2min);
  ASSERT_TRUE(series) << to_string(series.error());
  EXPECT_EQ(series->at("a"), (MetricSeries{{kVirtualEpoch, 3}, {kVirtualEpoch + 1min, 4}}));
  EXPECT_TRUE(series->at("b").empty());
  EXPECT_EQ(f.transport.requests[0].headers.get("X-Amz-Target"),
            "GraniteServiceVersion20100801.GetMetricData");
  EXPECT_NE(f.transport.requests[1].body.find(R"("NextToken":"t")"), std::string::npos);
}

TEST(Client, ThrottlingIsRetriedWithJitterAndRefusalsAreNot) {
  Fixture f;
  f.transport.answers = {
      answer(429, R"({"message":"slow"})", {{"x-amzn-ErrorType", "TooManyRequestsException:"}}),
      answer(503, ""), answer(200, R"({"spec":{}})")};
  EXPECT_TRUE(describe_route_spec(f.client, {"m", "r", "x"}));
  EXPECT_GT(f.clock.slept, 0s);
  EXPECT_LE(f.clock.slept, 3s);
  f.transport.answers = {
      answer(404, R"({"message":"no such route"})", {{"x-amzn-ErrorType", "NotFoundException"}}),
      answer(200, "{}")};
  const auto refused = describe_route_spec(f.client, {"m", "r", "x"});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "NotFoundException: no such route");
  EXPECT_EQ(refused.error().kind, ErrorKind::Failed);
  EXPECT_EQ(f.client.last_error()->status, 404);
  EXPECT_EQ(f.transport.answers.size(), 1U);
}

TEST(Client, UnreachableSaysWhatWasTried) {
  Fixture f({.endpoint = "http://127.0.0.1:1", .max_attempts = 3});
  const auto who = get_caller_identity(f.client);
  ASSERT_FALSE(who);
  EXPECT_EQ(who.error().kind, ErrorKind::Environment);
  EXPECT_TRUE(who.error().message.starts_with(
      "cannot reach http://127.0.0.1:1 for GetCallerIdentity: connection refused (tried 3 times"))
      << who.error().message;
  EXPECT_EQ(f.transport.requests.size(), 3U);
}

TEST(Client, WrongClockIsLearntFromTheAnswersDate) {
  Fixture f;
  const std::string body =
      R"(<ErrorResponse><Error><Type>Sender</Type><Code>SignatureDoesNotMatch</Code>
         <Message>Signature expired: 20260101T000000Z is now earlier than x</Message></Error></ErrorResponse>)";
  f.transport.answers = {
      answer(403, body, {{"Date", "Thu, 01 Jan 2026 02:00:00 GMT"}}),
      answer(200,
             "<GetCallerIdentityResponse><GetCallerIdentityResult><Account>1</Account>"
             "</GetCallerIdentityResult></GetCallerIdentityResponse>")};
  const auto who = get_caller_identity(f.client);
  ASSERT_TRUE(who) << to_string(who.error());
  EXPECT_EQ(f.transport.requests[0].headers.get("X-Amz-Date"), "20260101T000000Z");
  EXPECT_TRUE(f.transport.requests[1].headers.get("X-Amz-Date").starts_with("20260101T02000"));
}

TEST(Client, WrongKeyIsNotMistakenForAWrongClock) {
  EXPECT_FALSE(is_clock_skew(
      {"SignatureDoesNotMatch", "The request signature we calculated does not match", 403}));
  EXPECT_TRUE(is_throttling({"Throttling", "", 400}));
  EXPECT_FALSE(is_throttling({"LimitExceededException", "", 400}));
}

TEST(HttpDate, ReadsTheOneForm) {
  EXPECT_EQ(parse_http_date("Thu, 01 Jan 2026 00:00:07 GMT"), kVirtualEpoch + 7s);
  for (const char* bad : {"", "Thu, 01 Jan 2026 00:00:07 CET", "Thu, 32 Jan 2026 00:00:07 GMT",
                          "Thu, 01 Xxx 2026 00:00:07 GMT", "Thu, 1 Jan 2026 00:00:07 GMT "}) {
    EXPECT_FALSE(parse_http_date(bad)) << bad;
  }
}

TEST(Xml, ReadsElementsListsAndReferences) {
  const auto json = parse_xml(
      "<?xml version='1.0'?><!-- c --><r a=\"1>\"><a>x&lt;&#65;&#x42;</a>"
      "<l><member>1</member><member><b/></member></l><e/>"
      "<d><![CDATA[<&>]]></d></r>\n");
  ASSERT_TRUE(json) << to_string(json.error());
  EXPECT_EQ(dump_json(*json), R"({"a":"x<AB","d":"<&>","e":"","l":["1",{"b":""}]})");
}

TEST(Xml, BrokenTextIsRefusedAndNeverHangs) {
  for (const char* bad : {"", "x", "<a>", "<a></b>", "<a", "<a b>", "<a b=c/>", "<a>&x;</a>",
                          "<a>&#xZZ;</a>", "<a/><b/>", "<!-- ", "<a><![CDATA[", "<a>&</a>"}) {
    EXPECT_FALSE(parse_xml(bad)) << bad;
  }
  const std::string whole = "<r a='1'><l><member>&amp;</member></l><!--x--></r>";
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    EXPECT_FALSE(parse_xml(whole.substr(0, cut))) << cut;
  }
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "<a>";
  EXPECT_FALSE(parse_xml(deep));
}

}  // namespace
}  // namespace coalmine::aws
