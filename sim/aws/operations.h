#pragma once

#include <string>
#include <string_view>

#include "sim/aws/client.h"

namespace coalmine::aws {

// How the operations that a rollout uses look on the wire (public service models:
// appmesh 2019-01-25, ecs 2014-11-13, cloudwatch 2010-08-01, elasticloadbalancingv2 2015-12-01,
// sts 2011-06-15).

enum class Protocol { RestJson, AwsJson10, AwsJson11, Query };

struct ServiceFacts {
  std::string_view name;      ///< the model's
  std::string_view endpoint;  ///< host prefix of the regional endpoint
  std::string_view signing;   ///< name in the credential scope
  Protocol protocol;
  std::string_view prefix;  ///< X-Amz-Target prefix, or API version of the query protocol
};

/// Of the rest-json service only; the others need no more than the operation's name.
struct RestFacts {
  std::string_view operation;
  std::string_view method;
  std::string_view path;     ///< with {members}
  std::string_view payload;  ///< output member that the whole body is; empty: none
};

const ServiceFacts* find_service(std::string_view name);
const RestFacts* find_rest(std::string_view operation);

/// https://SERVICE.REGION.amazonaws.com, .com.cn in the Chinese regions.
std::string regional_endpoint(const ServiceFacts& service, std::string_view region);

/// The unsigned request; Error (Invalid): an operation or path member is not known.
Result<net::Request> make_request(const ServiceFacts& service, std::string_view operation,
                                  const Json& input);
/// Output members by model name, from a 2xx answer.
Result<Json> read_answer(const ServiceFacts& service, std::string_view operation,
                         const net::Response& response);
/// From any other answer.
ServiceError read_error(const ServiceFacts& service, const net::Response& response);

}  // namespace coalmine::aws
