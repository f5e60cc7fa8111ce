#include "mock-aws/services/cloudmap/cloudmap.h"

#include <gtest/gtest.h>

#include <cstring>

#include <nlohmann/json.hpp>

#include "tests/support/service_harness.h"

namespace coalmine::mock {
namespace {

using namespace std::chrono_literals;

class CloudMapTest : public testing::Test {
 protected:
  /// Waits for an asynchronous operation and gives the id of its target.
  std::string finish(const Json& reply, const char* target) {
    call.now += 1s;
    const Json done = call.ok("GetOperation", reply).at("Operation");
    EXPECT_EQ(done.at("Status"), "SUCCESS");
    return done.at("Targets").at(target);
  }
  void build(Json more = Json::object()) {
    space = finish(call.ok("CreatePrivateDnsNamespace", {{"Name", "app.local"}, {"Vpc", "vpc-1"}}),
                   "NAMESPACE");
    Json in = {{"Name", "v1"},
               {"NamespaceId", space},
               {"DnsConfig", {{"DnsRecords", {{{"Type", "A"}, {"TTL", 10}}}}}}};
    in.update(more);
    service = call.ok("CreateService", in).at("Service").at("Id");
  }
  Json discover(Json more = Json::object()) {
    Json in = {{"NamespaceName", "app.local"}, {"ServiceName", "v1"}};
    in.update(more);
    return call.ok("DiscoverInstances", in);
  }

  test::RecordingSink sink;
  CloudMap map{Scope{}, Random{1}, sink};
  test::Caller call{map};
  std::string space, service;
};

TEST_F(CloudMapTest, NamespaceAppearsWhenItsOperationSucceeds) {
  const Json reply = call.ok("CreatePrivateDnsNamespace", {{"Name", "app.local"}, {"Vpc", "v"}});
  const Json pending = call.ok("GetOperation", reply).at("Operation");
  EXPECT_EQ(pending.at("Status"), "PENDING");
  EXPECT_EQ(pending.at("Type"), "CREATE_NAMESPACE");
  EXPECT_TRUE(call.ok("ListNamespaces", Json::object()).at("Namespaces").empty());
  EXPECT_EQ(map.next_wakeup(), call.now + 500ms);
  const std::string id = finish(reply, "NAMESPACE");
  EXPECT_EQ(map.next_wakeup(), kNever);
  const Json made = call.ok("GetNamespace", {{"Id", id}}).at("Namespace");
  EXPECT_EQ(made.at("Type"), "DNS_PRIVATE");
  EXPECT_EQ(made.at("Arn"), "arn:aws:servicediscovery:us-east-1:000000000000:namespace/" + id);
  EXPECT_EQ(call.ok("GetNamespace", {{"Id", made.at("Arn")}}).at("Namespace"), made);
  EXPECT_EQ(call.fails("CreateHttpNamespace", {{"Name", "app.local"}}),
            "NamespaceAlreadyExists: Namespace app.local already exists");
}

TEST_F(CloudMapTest, SameCreatorRequestIdReplays) {
  const Json in = {{"Name", "app.local"}, {"CreatorRequestId", "c"}};
  EXPECT_EQ(call.ok("CreateHttpNamespace", in), call.ok("CreateHttpNamespace", in));
}

TEST_F(CloudMapTest, RegistrationByEcsActsAtOnceAndResolves) {
  build();
  const auto before = map.revision();
  EXPECT_TRUE(map.register_instance(service, "t1", {{"AWS_INSTANCE_IPV4", "127.1.0.2"}}, call.now));
  EXPECT_GT(map.revision(), before);
  for (const char* host : {"v1.app.local", "V1.App.Local", "v1.app.local."}) {
    const auto found = map.resolve(host);
    ASSERT_TRUE(found && found->size() == 1) << host;
    EXPECT_EQ(found->front().ipv4, "127.1.0.2");
  }
  EXPECT_FALSE(map.resolve("v2.app.local"));
  EXPECT_EQ(map.hostnames(), std::vector<std::string>{"v1.app.local"});
  const Json list = discover().at("Instances");
  ASSERT_EQ(list.size(), 1U);
  EXPECT_EQ(list[0].at("HealthStatus"), "UNKNOWN");
  EXPECT_TRUE(map.deregister_instance(service, "t1", call.now));
  EXPECT_FALSE(map.deregister_instance(service, "t1", call.now));
  EXPECT_FALSE(map.register_instance("srv-nope", "t1", {}, call.now));
  EXPECT_TRUE(map.resolve("v1.app.local")->empty());
}

TEST_F(CloudMapTest, RegistrationByApiTakesAnOperation) {
  build();
  const auto reply =
      call.ok("RegisterInstance", {{"ServiceId", service},
                                   {"InstanceId", "i"},
                                   {"Attributes", {{"AWS_INSTANCE_IPV4", "10.0.0.1"}}}});
  EXPECT_TRUE(discover().at("Instances").empty());
  const auto revision = discover().at("InstancesRevision").get<int>();
  EXPECT_EQ(finish(reply, "INSTANCE"), "i");
  EXPECT_EQ(discover().at("Instances").size(), 1U);
  EXPECT_EQ(discover().at("InstancesRevision"), revision + 1);
  finish(call.ok("DeregisterInstance", {{"ServiceId", service}, {"InstanceId", "i"}}), "INSTANCE");
  EXPECT_TRUE(discover().at("Instances").empty());
}

TEST_F(CloudMapTest, CustomHealthActsLateAndFiltersDiscovery) {
  build({{"HealthCheckCustomConfig", {{"FailureThreshold", 1}}}});
  map.register_instance(service, "a", {{"AWS_INSTANCE_IPV4", "10.0.0.1"}}, call.now);
  map.register_instance(
      service, "b", {{"AWS_INSTANCE_IPV4", "10.0.0.2"}, {"AWS_INIT_HEALTH_STATUS", "UNHEALTHY"}},
      call.now);
  EXPECT_EQ(discover().at("Instances").size(), 1U);
  EXPECT_EQ(discover({{"HealthStatus", "ALL"}}).at("Instances").size(), 2U);
  const auto revision = discover().at("InstancesRevision");
  call.ok("UpdateInstanceCustomHealthStatus",
          {{"ServiceId", service}, {"InstanceId", "a"}, {"Status", "UNHEALTHY"}});
  call.now += 29s;
  EXPECT_EQ(discover().at("Instances").size(), 1U);
  call.now += 1s;
  EXPECT_EQ(discover().at("Instances").size(), 0U);
  EXPECT_EQ(discover({{"HealthStatus", "HEALTHY_OR_ELSE_ALL"}}).at("Instances").size(), 2U);
  EXPECT_EQ(discover().at("InstancesRevision"), revision);
  EXPECT_EQ(call.ok("GetInstancesHealthStatus", {{"ServiceId", service}}).at("Status"),
            Json({{"a", "UNHEALTHY"}, {"b", "UNHEALTHY"}}));
  EXPECT_FALSE(map.resolve("v1.app.local")->front().healthy);
}

TEST_F(CloudMapTest, DiscoveryMatchesAllAttributes) {
  build();
  map.register_instance(service, "a", {{"AWS_INSTANCE_IPV4", "1.1.1.1"}, {"stack", "x"}}, call.now);
  map.register_instance(service, "b", {{"AWS_INSTANCE_IPV4", "1.1.1.2"}, {"stack", "y"}}, call.now);
  EXPECT_EQ(discover({{"QueryParameters", {{"stack", "x"}}}}).at("Instances").size(), 1U);
  EXPECT_EQ(discover({{"OptionalParameters", {{"stack", "z"}}}}).at("Instances").size(), 2U);
  EXPECT_EQ(map.discover("app.local", "v1", {{"stack", "y"}})->size(), 1U);
}

TEST_F(CloudMapTest, DeletesOnlyWhatIsEmpty) {
  build();
  map.register_instance(service, "a", {{"AWS_INSTANCE_IPV4", "1.1.1.1"}}, call.now);
  EXPECT_EQ(call.fails("DeleteNamespace", {{"Id", space}}),
            "ResourceInUse: Namespace has associated services; delete the services before "
            "deleting the namespace");
  EXPECT_EQ(call.fails("DeleteService", {{"Id", service}}),
            "ResourceInUse: Service contains registered instances; delete the instances before "
            "deleting the service");
  map.deregister_instance(service, "a", call.now);
  call.ok("DeleteService", {{"Id", service}});
  finish(call.ok("DeleteNamespace", {{"Id", space}}), "NAMESPACE");
  EXPECT_EQ(call.fails("GetNamespace", {{"Id", space}}).substr(0, 17), "NamespaceNotFound");
}

struct RefusedCase {
  const char* name;
  const char* operation;
  const char* input;  ///< NS and SRV stand for the ids
  const char* want;
};
class CloudMapRefuses : public CloudMapTest, public testing::WithParamInterface<RefusedCase> {};

TEST_P(CloudMapRefuses, BadCalls) {
  build();
  std::string text = GetParam().input;
  for (const auto& [word, id] : {std::pair{"$NS", &space}, {"$SRV", &service}}) {
    if (const auto at = text.find(word); at != text.npos) text.replace(at, strlen(word), *id);
  }
  const std::string got = call.fails(GetParam().operation, Json::parse(text));
  EXPECT_EQ(got.substr(0, strlen(GetParam().want)), GetParam().want) << got;
}

INSTANTIATE_TEST_SUITE_P(
    Rows, CloudMapRefuses,
    testing::Values(
        RefusedCase{"UnknownNamespace", "CreateService", R"({"Name":"a","NamespaceId":"ns-x"})",
                    "NamespaceNotFound"},
        RefusedCase{"SameName", "CreateService", R"({"Name":"v1","NamespaceId":"$NS"})",
                    "ServiceAlreadyExists"},
        RefusedCase{"BothHealthChecks", "CreateService",
                    R"({"Name":"a","NamespaceId":"$NS","HealthCheckConfig":{},)"
                    R"("HealthCheckCustomConfig":{}})",
                    "InvalidInput"},
        RefusedCase{"HealthCheckInPrivateDns", "CreateService",
                    R"({"Name":"a","NamespaceId":"$NS","HealthCheckConfig":{}})", "InvalidInput"},
        RefusedCase{"RecordsThatDoNotMix", "CreateService",
                    R"({"Name":"a","NamespaceId":"$NS","DnsConfig":{"DnsRecords":[)"
                    R"({"Type":"A"},{"Type":"CNAME"}]}})",
                    "InvalidInput"},
        RefusedCase{"MissingAddress", "RegisterInstance",
                    R"({"ServiceId":"$SRV","InstanceId":"i","Attributes":{}})",
                    "InvalidInput: Attribute AWS_INSTANCE_IPV4 is required"},
        RefusedCase{"UnknownService", "RegisterInstance",
                    R"({"ServiceId":"srv-x","InstanceId":"i","Attributes":{}})", "ServiceNotFound"},
        RefusedCase{"UnknownInstance", "DeregisterInstance",
                    R"({"ServiceId":"$SRV","InstanceId":"i"})", "InstanceNotFound"},
        RefusedCase{"UnknownOperation", "GetOperation", R"({"OperationId":"x"})",
                    "OperationNotFound"},
        RefusedCase{"UnknownNamespaceName", "DiscoverInstances",
                    R"({"NamespaceName":"x","ServiceName":"v1"})", "NamespaceNotFound"},
        RefusedCase{"UnknownServiceName", "DiscoverInstances",
                    R"({"NamespaceName":"app.local","ServiceName":"x"})", "ServiceNotFound"},
        RefusedCase{"BadToken", "ListServices", R"({"NextToken":"x"})", "InvalidInput"},
        RefusedCase{"UnknownArn", "ListTagsForResource", R"({"ResourceARN":"arn:x"})",
                    "ResourceNotFoundException"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST_F(CloudMapTest, AttributesAreLimited) {
  build();
  Json attributes = {{"AWS_INSTANCE_IPV4", "1.1.1.1"}};
  for (std::size_t i = 0; i < CloudMap::kMaxCustomAttributes; ++i) {
    attributes[std::to_string(i)] = "x";
  }
  const auto in = [&] {
    return Json{{"ServiceId", service}, {"InstanceId", "i"}, {"Attributes", attributes}};
  };
  call.ok("RegisterInstance", in());
  attributes["one-more"] = "x";
  EXPECT_EQ(call.fails("RegisterInstance", in()).substr(0, 13), "InvalidInput:");
}

}  // namespace
}  // namespace coalmine::mock
