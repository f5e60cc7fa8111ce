// mock-aws/services/cloud: all services, wired together; one Region per account and region.
//
// A Cloud is the whole mock without I/O: bytes of an AWS request in, bytes of the answer out,
// at a time that the caller names. The virtual world calls it in-process, the HTTP shell
// (mock-aws/server) from sockets: the same code either way. What must be done outside (start a
// container, probe a target) waits in the services until a shell asks for it.
// Not thread-safe: one caller at a time.
//
//   handle(request, now) -> Endpoint -> Region of the caller's account -> Service -> answer
//   tick(now)            -> every service moves what time moves
//
// Below: the services, mock-aws/protocol. Above: mock-aws/dataplane, mock-aws/server, sim/engine.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mock-aws/protocol/endpoint.h"
#include "mock-aws/protocol/service.h"
#include "mock-aws/services/address_pool.h"
#include "mock-aws/services/ecs/ecs.h"
#include "mock-aws/services/ports.h"
#include "sim/net/http.h"

namespace coalmine::mock {

class AppMesh;
class CloudMap;
class CloudWatch;
class Ec2;
class Ecr;
class Ecs;
class Elbv2;
class Iam;
class Logs;
class Sts;

/// The services of one account in one region.
struct Region {
  Region();
  ~Region();
  std::unique_ptr<AppMesh> appmesh;
  std::unique_ptr<CloudMap> cloudmap;
  std::unique_ptr<CloudWatch> cloudwatch;
  std::unique_ptr<Ec2> ec2;
  std::unique_ptr<Ecr> ecr;
  std::unique_ptr<Ecs> ecs;
  std::unique_ptr<Elbv2> elbv2;
  std::unique_ptr<Iam> iam;
  std::unique_ptr<Logs> logs;
  std::unique_ptr<Sts> sts;

  /// In the order in which tick() visits them: whoever is read before whoever reads.
  std::vector<Service*> services() const;
  /// By the model's name; nullptr: coalmine has no such service.
  Service* find(std::string_view service) const;
  /// Rises whenever what a gateway or load balancer serves may have changed.
  std::uint64_t dataplane_revision() const;
};

struct CloudOptions {
  std::uint64_t seed = 1;  ///< of every identifier the mock draws
  /// Where the registry answers: host:port of repository URIs.
  std::string registry_host = "127.0.0.1:4566";
  bool verify_signatures = false;
  /// Loopback addresses for tasks and load balancers (a /16 without its edges).
  std::uint32_t first_address = 0x7f010001;
  std::uint32_t last_address = 0x7f01fffe;
  EcsOptions ecs = {};
};

class Cloud {
 public:
  /// `events` must outlive the object.
  Cloud(CloudOptions options, EventSink& events);
  ~Cloud();

  /// Answers one AWS request. Never fails: errors are answers.
  net::Response handle(const net::Request& request, TimePoint now);
  /// The operation asked for, without carrying it out; nullopt when there is none.
  std::optional<ApiCall> identify(const net::Request& request) const;
  /// `refusal` as an answer in the protocol that the request speaks.
  net::Response refuse(const net::Request& request, const AwsError& refusal);
  /// Moves everything to `now`, which never falls.
  void tick(TimePoint now);
  /// When tick() has something to do next; kNever if nothing is pending.
  TimePoint next_wakeup() const;
  /// Forgets everything but the options.
  void reset();

  /// HOST:PORT of repository URIs, once the server knows its port.
  void set_registry_host(const std::string& host);

  /// Made when it is first asked for.
  Region& region(const Scope& scope);
  const std::map<Scope, std::unique_ptr<Region>>& regions() const { return regions_; }
  /// {"ACCOUNT/REGION": {"appmesh": {...}, ...}}
  Json state() const;

 private:
  std::unique_ptr<Region> make_region(const Scope& scope);

  CloudOptions options_;
  EventSink& events_;
  Random random_;
  AddressPool addresses_;
  std::map<Scope, std::unique_ptr<Region>> regions_;
  std::unique_ptr<Endpoint> endpoint_;
};

}  // namespace coalmine::mock
