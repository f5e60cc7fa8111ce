#include "mock-aws/protocol/endpoint.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <bit>

#include "tests/support/golden.h"
#include "tests/unit/mock_protocol/fake_service.h"

namespace coalmine::mock {
namespace {

using test::FakeCloud;
using test::kEcs;

std::string render(const net::Response& response) {
  std::string text = fmt::format("{}\n", response.status);
  for (const auto& [name, value] : response.headers) text += name + ": " + value + "\n";
  return text + "\n" + response.body + "\n";
}

TEST(RestJson, ReadsLabelsQueryAndBody) {
  FakeCloud cloud;
  const auto response =
      cloud.rest("PUT", "/v20190125/meshes/a%2Fb/virtualNodes?meshOwner=123456789012",
                 R"({"virtualNodeName":"n","spec":{"listeners":null},"x":1})");
  EXPECT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(cloud.asked_for, "appmesh");
  EXPECT_EQ(cloud.service().called, "CreateVirtualNode");
  EXPECT_EQ(cloud.service().received, (Json{{"meshName", "a/b"},
                                            {"meshOwner", "123456789012"},
                                            {"virtualNodeName", "n"},
                                            {"spec", Json::object()}}));
}

TEST(RestJson, AnswersThePayloadBare) {
  FakeCloud cloud;
  cloud.service().reply = Json{{"mesh", {{"meshName", "m"}, {"extra", 1}, {"spec", nullptr}}}};
  const auto response = cloud.rest("GET", "/v20190125/meshes/m");
  EXPECT_EQ(response.body, R"({"meshName":"m"})");
  EXPECT_EQ(response.headers.get("Content-Type"), "application/json");
}

TEST(RestJson, UnknownPathIs404) {
  FakeCloud cloud;
  EXPECT_EQ(cloud.rest("GET", "/v20190125/nothing").status, 404);
  EXPECT_EQ(cloud.rest("PATCH", "/v20190125/meshes").status, 404);
  EXPECT_EQ(cloud.rest("GET", "/").status, 404);
}

TEST(RestJson, WeightOutOfRangeSaysWhere) {
  FakeCloud cloud;
  const auto response = cloud.rest(
      "PUT", "/v20190125/meshes/m/virtualRouter/r/routes",
      R"({"routeName":"x","spec":{"httpRoute":{"match":{"prefix":"/"},"action":{"weightedTargets":
      [{"virtualNode":"n","weight":101}]}}}})");
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(response.headers.get("X-Amzn-ErrorType"), "BadRequestException");
  EXPECT_NE(response.body.find("1 validation error detected: Value '101' at "
                               "'spec.httpRoute.action.weightedTargets.1.member.weight' failed to "
                               "satisfy constraint: Member must have value less than or equal to "
                               "100"),
            std::string::npos)
      << response.body;
}

TEST(Union, TakesExactlyOneMember) {
  FakeCloud cloud;
  const auto create = [&](const std::string& discovery) {
    return cloud
        .rest("PUT", "/v20190125/meshes/m/virtualNodes",
              R"({"virtualNodeName":"n","spec":{"serviceDiscovery":)" + discovery + "}}")
        .status;
  };
  EXPECT_EQ(create(R"({"dns":{"hostname":"h"}})"), 200);
  EXPECT_EQ(create(R"({"dns":{"hostname":"h"},"awsCloudMap":null})"), 200);
  EXPECT_EQ(create("{}"), 400);
  EXPECT_EQ(
      create(R"({"dns":{"hostname":"h"},"awsCloudMap":{"namespaceName":"n","serviceName":"s"}})"),
      400);
}

TEST(Json, NullsAndTypes) {
  FakeCloud cloud;
  const auto code = [&](const std::string& body) {
    return cloud.json(kEcs + "DescribeServices", body);
  };
  EXPECT_EQ(code(R"({"services":["a"],"cluster":null})").status, 200);
  EXPECT_FALSE(cloud.service().received.contains("cluster"));
  for (const char* body : {R"({"services":[null]})", R"({"services":"a"})", R"({"services":[1]})",
                           "[]", "{", R"({"services":["a"],"cluster":{}})"}) {
    const auto response = code(body);
    EXPECT_EQ(response.status, 400) << body;
    EXPECT_NE(response.body.find("SerializationException"), std::string::npos) << response.body;
  }
  EXPECT_NE(code("{}").body.find("InvalidParameterException"), std::string::npos);
}

TEST(Json, EchoesTheVersion) {
  FakeCloud cloud;
  EXPECT_EQ(cloud.json(kEcs + "ListClusters", "{}").headers.get("Content-Type"),
            "application/x-amz-json-1.1");
  const auto response = cloud.send({"POST",
                                    "/",
                                    {{"X-Amz-Target", "GraniteServiceVersion20100801.ListMetrics"},
                                     {"Content-Type", "application/x-amz-json-1.0"}},
                                    "{}",
                                    ""});
  EXPECT_EQ(response.headers.get("Content-Type"), "application/x-amz-json-1.0");
}

TEST(Json, UnknownAndUnimplementedOperationsSaySo) {
  FakeCloud cloud;
  EXPECT_NE(cloud.json(kEcs + "Foo", "{}").body.find("UnknownOperationException"),
            std::string::npos);
  EXPECT_EQ(cloud.json("AnyScaleFrontendService.X", "{}").status, 400);
  cloud.service().implemented = false;
  const auto response = cloud.json(kEcs + "ListClusters", "{}");
  EXPECT_EQ(response.status, 501);
  EXPECT_NE(response.body.find("coalmine does not implement ecs:ListClusters yet"),
            std::string::npos);
}

TEST(Json, ErrorsHaveTheModelsStatusAndKeyCase) {
  FakeCloud cloud;
  cloud.service().reply = aws_error("ServerException", "oops");
  EXPECT_EQ(cloud.json(kEcs + "ListClusters", "{}").status, 500);
  cloud.service().reply = aws_error("NamespaceNotFound", "none");
  const auto response = cloud.json("Route53AutoNaming_v20170314.GetNamespace", R"({"Id":"ns-1"})");
  EXPECT_EQ(response.body, R"({"Message":"none","__type":"NamespaceNotFound"})");
}

TEST(QueryCompatible, SendsTheQueryCodeBeside) {
  FakeCloud cloud;
  cloud.service().reply = aws_error("ResourceNotFound", "no such alarm");
  const auto response = cloud.json("GraniteServiceVersion20100801.SetAlarmState",
                                   R"({"AlarmName":"a","StateValue":"OK","StateReason":"r"})");
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.headers.get("x-amzn-query-error"), "ResourceNotFound;Sender");
}

TEST(Query, ReadsListsMapsAndNesting) {
  FakeCloud cloud;
  const auto response = cloud.form(
      "Action=CreateTargetGroup&Version=2015-12-01&Name=tg&Port=80&HealthCheckEnabled=true"
      "&Matcher.HttpCode=200-299&Tags.member.2.Key=b&Tags.member.10.Key=c&Tags.member.1.Key=a+a");
  EXPECT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(cloud.asked_for, "elbv2");
  EXPECT_EQ(cloud.service().received,
            (Json{{"Name", "tg"},
                  {"Port", 80},
                  {"HealthCheckEnabled", true},
                  {"Matcher", {{"HttpCode", "200-299"}}},
                  {"Tags", {{{"Key", "a a"}}, {{"Key", "b"}}, {{"Key", "c"}}}}}));
}

TEST(Query, RefusesWhatDoesNotFit) {
  FakeCloud cloud;
  EXPECT_EQ(cloud.form("Action=CreateTargetGroup&Version=2015-12-01&Name=tg&Port=x").status, 400);
  EXPECT_NE(cloud.form("Action=Foo&Version=2015-12-01").body.find("InvalidAction"),
            std::string::npos);
  EXPECT_NE(
      cloud.form("Action=CreateTargetGroup&Version=2015-12-01")
          .body.find("Value null at 'name' failed to satisfy constraint: Member must not be null"),
      std::string::npos);
  const std::string deep(200, '.');
  EXPECT_EQ(cloud.form("Action=CreateTargetGroup&Version=2015-12-01&Tags" + deep + "=x").status,
            400);
}

TEST(Query, GoldenAnswers) {
  FakeCloud cloud;
  cloud.service().reply =
      Json{{"TargetGroups",
            {{{"TargetGroupName", "a<b&c"}, {"Port", 80}, {"LoadBalancerArns", {"x", "y"}}}}}};
  std::string text = render(cloud.form("Action=DescribeTargetGroups&Version=2015-12-01"));
  cloud.service().reply = aws_error("TargetGroupNotFoundException", "One or more not found");
  text += "\n" + render(cloud.form("Action=DescribeTargetGroups&Version=2015-12-01"));
  cloud.service().reply = Json{{"Role",
                                {{"Path", "/"},
                                 {"RoleName", "r"},
                                 {"RoleId", "AROA"},
                                 {"Arn", "arn"},
                                 {"CreateDate", 1767225600.0}}}};
  text += "\n" + render(cloud.form("Action=GetRole&Version=2010-05-08&RoleName=r"));
  cloud.service().reply = Json{{"Vpcs", {{{"VpcId", "vpc-1"}, {"IsDefault", true}}}}};
  text += "\n" + render(cloud.form("Action=DescribeVpcs&Version=2016-11-15&Filter.1.Name=is-default"
                                   "&Filter.1.Value.1=true"));
  cloud.service().reply = aws_error("InvalidVpcID.NotFound", "The vpc ID 'v' does not exist");
  text += "\n" + render(cloud.form("Action=DescribeVpcs&Version=2016-11-15&VpcId.1=v"));
  EXPECT_GOLDEN("protocol/query.txt", text);
  EXPECT_EQ(cloud.service().received, (Json{{"VpcIds", {"v"}}}));
}

TEST(Cbor, SpeaksToCloudWatch) {
  FakeCloud cloud;
  const Json input = {{"AlarmName", "a"}, {"StateValue", "OK"}, {"StateReason", "r"}};
  const auto bytes = Json::to_cbor(input);
  net::Request request{"POST",
                       "/service/GraniteServiceVersion20100801/operation/SetAlarmState",
                       {{"smithy-protocol", "rpc-v2-cbor"}, {"Content-Type", "application/cbor"}},
                       std::string(bytes.begin(), bytes.end()),
                       ""};
  const auto response = cloud.send(request);
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.headers.get("smithy-protocol"), "rpc-v2-cbor");
  EXPECT_EQ(cloud.service().received, input);
  request.body = std::string(100000, '\x81');
  EXPECT_EQ(cloud.send(request).status, 400);
  request.body = "\xBF\xFF\xFF";
  EXPECT_EQ(cloud.send(request).status, 400);
}

TEST(Cbor, ReadsTagsHalvesAndIndefiniteItems) {
  FakeCloud cloud;
  // {_ "Namespace": (_ "A", "B"), "MetricData": [_ {"MetricName": "m", "Timestamp": 1(2),
  //    "Value": 1.5 as a half}]}
  std::string body = "\xBF\x69Namespace\x7F\x61";
  body += "A\x61";
  body += "B\xFF\x6AMetricData\x9F\xA3\x6AMetricName\x61m\x69Timestamp\xC1\x02\x65Value\xF9";
  body += std::string("\x3E\0\xFF\xFF", 4);
  const auto response =
      cloud.send({"POST",
                  "/service/GraniteServiceVersion20100801/operation/PutMetricData",
                  {{"smithy-protocol", "rpc-v2-cbor"}},
                  body,
                  ""});
  EXPECT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(cloud.service().received,
            (Json{{"Namespace", "AB"},
                  {"MetricData", {{{"MetricName", "m"}, {"Timestamp", 2}, {"Value", 1.5}}}}}));
}

TEST(Cbor, WritesTimesWithTheirTag) {
  FakeCloud cloud;
  cloud.service().reply = Json{{"Datapoints", {{{"Timestamp", 1767225600}, {"Sum", 2}}}}};
  const auto bytes = Json::to_cbor(Json{
      {"Namespace", "n"}, {"MetricName", "m"}, {"StartTime", 0}, {"EndTime", 1}, {"Period", 60}});
  const auto response =
      cloud.send({"POST",
                  "/service/GraniteServiceVersion20100801/operation/GetMetricStatistics",
                  {{"smithy-protocol", "rpc-v2-cbor"}},
                  std::string(bytes.begin(), bytes.end()),
                  ""});
  // {"Datapoints": [{"Sum": 2.0, "Timestamp": 1(1767225600.0)}]}
  std::string want = "\xA1\x6A";
  want += "Datapoints\x81\xA2\x63Sum\xFB";
  want += std::string("\x40\0\0\0\0\0\0\0\x69", 9) + "Timestamp\xC1\xFB";
  for (int shift = 56; shift >= 0; shift -= 8) {
    want += static_cast<char>(std::bit_cast<std::uint64_t>(1767225600.0) >> shift & 0xFF);
  }
  EXPECT_EQ(response.body, want);
}

std::string gzip(const std::string& text) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(text.size() + 100, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

TEST(Gzip, IsUnpacked) {
  FakeCloud cloud;
  const std::string json = R"({"Namespace":"n","MetricData":[{"MetricName":"m","Value":1}]})";
  net::Request request{"POST",
                       "/",
                       {{"X-Amz-Target", "GraniteServiceVersion20100801.PutMetricData"},
                        {"Content-Encoding", "gzip"}},
                       gzip(json),
                       ""};
  EXPECT_EQ(cloud.send(request).status, 200);
  EXPECT_EQ(cloud.service().received, Json::parse(json));
  const auto form = cloud.send({"POST",
                                "/",
                                {{"Content-Encoding", "gzip"}},
                                gzip("Action=PutMetricData&Version=2010-08-01&Namespace=q"),
                                ""});
  EXPECT_EQ(form.status, 200);
  EXPECT_EQ(cloud.service().received.at("Namespace"), "q");
  request.body.resize(20);
  EXPECT_EQ(cloud.send(request).status, 400);
}

TEST(Identity, ComesFromKeyAndScope) {
  FakeCloud cloud;
  net::Request request{
      "POST", "/", {{"Host", "h"}, {"X-Amz-Target", kEcs + "ListClusters"}}, "{}", ""};
  const auto scope_of = [&](const std::string& key) {
    net::Request copy = request;
    aws::sign(copy, {key, "s", ""}, {"ap-south-1", "ecs"}, cloud.now);
    cloud.send(copy);
    return cloud.service().scope;
  };
  EXPECT_EQ(scope_of("111122223333"), (Scope{"111122223333", "ap-south-1"}));
  EXPECT_EQ(scope_of("ASIAY34FZKBOKMUTVV7A"), (Scope{"609629065308", "ap-south-1"}));
  EXPECT_EQ(scope_of("test"), (Scope{"000000000000", "ap-south-1"}));
  EXPECT_EQ(scope_of("AKIAIOSFODNN7EXAMPLE"), (Scope{"000000000000", "ap-south-1"}));
  cloud.send(request);
  EXPECT_EQ(cloud.service().scope, Scope{});
}

TEST(Signatures, AreCheckedWhenAsked) {
  EndpointOptions options{true, [](std::string_view key) {
                            return key == "known" ? std::optional<std::string>("secret")
                                                  : std::nullopt;
                          }};
  FakeCloud cloud(options);
  const auto answer = [&](const std::string& key, const std::string& secret, TimePoint signed_at,
                          const std::string& target = kEcs + "ListClusters") {
    net::Request request{"POST", "/", {{"Host", "h"}}, "{}", ""};
    if (target[0] == '/') {
      request = {"GET", target, {{"Host", "h"}}, "", ""};
    } else {
      request.headers.set("X-Amz-Target", target);
    }
    if (!key.empty()) aws::sign(request, {key, secret, ""}, {"us-east-1", "ecs"}, signed_at);
    const auto response = cloud.send(request);
    return fmt::format("{} {}", response.status, response.body);
  };
  const auto has = [](const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
  };
  const TimePoint now = cloud.now;
  EXPECT_EQ(answer("known", "secret", now).substr(0, 3), "200");
  EXPECT_EQ(answer("known", "secret", now - kMaxClockSkew).substr(0, 3), "200");
  EXPECT_TRUE(has(answer("known", "secret", now - kMaxClockSkew - std::chrono::seconds{1}),
                  "Signature expired: 20251231T234459Z is now earlier than 20251231T234500Z "
                  "(20260101T000000Z - 15 min.)"));
  EXPECT_TRUE(has(answer("known", "secret", now + std::chrono::minutes{16}), "not yet current"));
  EXPECT_TRUE(has(answer("known", "other", now), "InvalidSignatureException"));
  EXPECT_TRUE(has(answer("other", "secret", now), "UnrecognizedClientException"));
  EXPECT_TRUE(has(answer("", "", now), "MissingAuthenticationTokenException"));
  EXPECT_EQ(answer("", "", now, "/v20190125/meshes").substr(0, 3), "403");
  const std::string sts = "/?Action=GetCallerIdentity&Version=2011-06-15";
  EXPECT_TRUE(has(answer("known", "other", now, sts), "<Code>SignatureDoesNotMatch</Code>"));
  EXPECT_TRUE(has(answer("other", "other", now, sts), "<Code>InvalidClientTokenId</Code>"));
}

TEST(Refuse, SpeaksTheRequestsProtocol) {
  FakeCloud cloud;
  const net::Request form{"POST", "/", {}, "Action=GetRole&Version=2010-05-08&RoleName=r", ""};
  EXPECT_EQ(cloud.endpoint.identify(form), (ApiCall{"iam", "GetRole"}));
  const auto response = cloud.endpoint.refuse(form, {"Throttling", "Rate exceeded", 400, {}});
  EXPECT_NE(response.body.find("<Code>Throttling</Code>"), std::string::npos);
  EXPECT_EQ(cloud.endpoint.identify({"GET", "/", {}, "", ""}), std::nullopt);
}

}  // namespace
}  // namespace coalmine::mock
