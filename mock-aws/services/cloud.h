// mock-aws/services/cloud: all services, wired together; one Region per account and region.
//
// A Cloud is the whole mock without I/O: bytes of an AWS request in, bytes of the answer out,
// at a time that the caller names. The virtual world calls it in-process, the HTTP shell
// (mock-aws/server) from sockets: the same code either way. Not thread-safe: one caller.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "mock-aws/protocol/service.h"
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
  std::vector<Service*> services() const;
};

}  // namespace coalmine::mock
