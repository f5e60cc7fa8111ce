// mock-aws/services/cloudmap: AWS Cloud Map (service discovery).
//
// Namespaces, services and instances, with AWS's asynchronous operations: what returns an
// OperationId takes effect after a short delay of `now`. ECS, which calls through
// InstanceRegistry, sees its registrations at once. Names resolve only for the data plane; no
// DNS server is run.
//
//   store.h          the records
//   cloudmap.cpp     dispatch, asynchronous operations, tags
//   namespaces.cpp   namespaces and services;  instances.cpp  instances and discovery
//
// Below: mock-aws/protocol (Service), mock-aws/services/ports.h. Above: mock-aws/dataplane.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mock-aws/protocol/service.h"
#include "mock-aws/services/ports.h"

namespace coalmine::mock {

namespace cloudmap {
struct Store;
struct Namespace;
struct DiscoveryService;
struct Instance;
struct Operation;
}  // namespace cloudmap

class CloudMap final : public Service, public InstanceRegistry {
 public:
  struct Options {
    /// From an asynchronous call to its effect. AWS takes up to a minute for a namespace.
    Duration operation_delay = std::chrono::milliseconds{500};
    /// From UpdateInstanceCustomHealthStatus to its effect, as measured on AWS.
    Duration custom_health_delay = std::chrono::seconds{30};
  };
  static constexpr std::size_t kMaxCustomAttributes = 30;
  static constexpr std::size_t kMaxAttributeCharacters = 5000;
  static constexpr std::size_t kMaxTags = 200;
  static constexpr std::size_t kMaxOperations = 1000;  ///< remembered; finished ones go first

  /// `events` must outlive the object.
  CloudMap(Scope scope, Random random, EventSink& events);
  CloudMap(Scope scope, Random random, EventSink& events, Options options);
  ~CloudMap() override;

  std::string_view name() const override { return "servicediscovery"; }
  bool implements(std::string_view operation) const override;
  Reply call(std::string_view operation, const Json& input, CallContext& context) override;
  void tick(TimePoint now) override;
  TimePoint next_wakeup() const override;
  Json state() const override;

  bool register_instance(const std::string& service, const std::string& instance_id,
                         const std::map<std::string, std::string>& attributes,
                         TimePoint now) override;
  bool deregister_instance(const std::string& service, const std::string& instance_id,
                           TimePoint now) override;
  bool has_service(const std::string& service) const override;
  std::optional<std::vector<DiscoveredInstance>> discover(
      const std::string& namespace_name, const std::string& service_name,
      const std::map<std::string, std::string>& attributes) const override;
  std::optional<std::vector<DiscoveredInstance>> resolve(
      const std::string& hostname) const override;
  std::vector<std::string> hostnames() const override;
  std::uint64_t revision() const override { return revision_; }

 private:
  using Check = tl::expected<void, AwsError>;
  static const OperationTable<CloudMap>& operations();

  Reply create_http_namespace(const Json& input, CallContext& context);
  Reply create_private_namespace(const Json& input, CallContext& context);
  Reply create_public_namespace(const Json& input, CallContext& context);
  Reply create_namespace(std::string_view type, const Json& input, CallContext& context);
  Reply get_namespace(const Json& input, CallContext& context);
  Reply list_namespaces(const Json& input, CallContext& context);
  Reply delete_namespace(const Json& input, CallContext& context);
  Reply create_service(const Json& input, CallContext& context);
  Reply get_service(const Json& input, CallContext& context);
  Reply list_services(const Json& input, CallContext& context);
  Reply update_service(const Json& input, CallContext& context);
  Reply delete_service(const Json& input, CallContext& context);
  Reply register_instance_call(const Json& input, CallContext& context);
  Reply deregister_instance_call(const Json& input, CallContext& context);
  Reply get_instance(const Json& input, CallContext& context);
  Reply list_instances(const Json& input, CallContext& context);
  Reply get_health(const Json& input, CallContext& context);
  Reply set_health(const Json& input, CallContext& context);
  Reply discover_instances(const Json& input, CallContext& context);
  Reply discover_revision(const Json& input, CallContext& context);
  Reply get_operation(const Json& input, CallContext& context);
  Reply list_operations(const Json& input, CallContext& context);
  Reply tag_resource(const Json& input, CallContext& context);
  Reply untag_resource(const Json& input, CallContext& context);
  Reply list_tags(const Json& input, CallContext& context);

  Reply start(cloudmap::Operation operation, TimePoint now);
  void finish(cloudmap::Operation& operation, TimePoint now);
  void put_instance(cloudmap::DiscoveryService& service, const std::string& id,
                    const std::string& creator,
                    const std::map<std::string, std::string>& attributes, TimePoint now);
  bool drop_instance(cloudmap::DiscoveryService& service, const std::string& id, TimePoint now);
  Check check_instance(const cloudmap::DiscoveryService& service, const Json& attributes) const;
  Check check_service(const Json& input, const cloudmap::Namespace& space) const;

  tl::expected<cloudmap::Namespace*, AwsError> require_namespace(const std::string& id) const;
  tl::expected<cloudmap::DiscoveryService*, AwsError> require_service(const std::string& id) const;
  cloudmap::DiscoveryService* find_service(const std::string& id_or_arn) const;
  cloudmap::DiscoveryService* find_service(const std::string& space, const std::string& name) const;
  tl::expected<cloudmap::DiscoveryService*, AwsError> require_by_name(const Json& input) const;
  std::map<std::string, std::string>* find_tags(const std::string& arn) const;
  Json describe(const cloudmap::Namespace& space) const;
  Json describe(const cloudmap::DiscoveryService& service) const;
  DiscoveredInstance discovered(const cloudmap::DiscoveryService& service,
                                const cloudmap::Instance& instance) const;

  Scope scope_;
  Random random_;
  EventSink& events_;
  Options options_;
  std::unique_ptr<cloudmap::Store> store_;
  std::uint64_t revision_ = 0;
};

}  // namespace coalmine::mock
