#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "mock-aws/protocol/api_call.h"
#include "mock-aws/protocol/identity.h"
#include "mock-aws/protocol/service.h"
#include "sim/core/random.h"
#include "sim/net/http.h"

namespace coalmine::mock {

/// Longest request body that is looked at; longer ones answer RequestEntityTooLarge.
inline constexpr std::size_t kMaxRequestBytes = 64 << 20;

struct Route;

struct EndpointOptions {
  bool verify_signatures = false;
  /// Asked only with verify_signatures.
  SecretOf secret_of;
};

/// The service of an account and region by its model's name; null: coalmine has none.
using ServiceFinder = std::function<Service*(const Scope&, std::string_view service)>;

/// Bytes of an AWS request in, bytes of the answer out. Holds no state but the random stream
/// that request ids and services draw from.
class Endpoint {
 public:
  Endpoint(EndpointOptions options, ServiceFinder find_service, Random random);

  /// Never fails: errors are answers, in the protocol that the request speaks.
  net::Response handle(const net::Request& request, TimePoint now);
  /// The operation asked for, without carrying it out; nullopt when there is none.
  std::optional<ApiCall> identify(const net::Request& request) const;
  /// `refusal` as an answer in the protocol that the request speaks.
  net::Response refuse(const net::Request& request, const AwsError& refusal);

 private:
  Reply call(const Route& route, const net::Request& request, const Caller& caller, TimePoint now);

  EndpointOptions options_;
  ServiceFinder find_service_;
  Random random_;
};

}  // namespace coalmine::mock
