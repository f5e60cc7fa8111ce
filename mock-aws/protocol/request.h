// What the protocols have in common: the route of a request, the errors every service has.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "mock-aws/protocol/api_model.h"
#include "mock-aws/protocol/identity.h"
#include "mock-aws/protocol/service.h"
#include "sim/net/http.h"

namespace coalmine::mock {

enum class Protocol { RestJson, Json, Query, Ec2, Cbor };

/// Where a request goes. `model` and `operation` are null while unknown; `protocol` is then
/// the one that the answer is written in.
struct Route {
  Protocol protocol = Protocol::RestJson;
  const ApiModel* model = nullptr;
  const Operation* operation = nullptr;
  std::string json_version = "1.1";           ///< as the client spoke it
  std::map<std::string, std::string> labels;  ///< of the path, decoded
  std::string asked_for;                      ///< "ecs:Foo" or the target, for messages
  bool body_is_form = false;                  ///< query: parameters are in the body
};

/// Finds service, operation and protocol from X-Amz-Target, the path, or Action and Version.
Route find_route(const net::Request& request, const Caller& caller);

/// The kinds of failure that no operation declares.
enum class Failure {
  UnknownOperation,
  UnknownService,
  BadBody,
  Unsigned,
  Incomplete,
  UnknownKey,
  BadSignature,
  NotImplemented,
};
/// The failure as the protocol names it.
AwsError generic_error(Protocol protocol, Failure failure, std::string message);

// --- reading input -----------------------------------------------------------------------------

/// Members by model names, coerced but not validated; the error is a bad body.
Reply read_rest_json(const Route& route, const net::Request& request, std::string_view body);
Reply read_json(const Route& route, std::string_view body);
Reply read_cbor(const Route& route, std::string_view body);
Reply read_query(const Route& route, const net::Request& request, std::string_view body);

// --- writing answers ---------------------------------------------------------------------------

net::Response write_json(const Route& route, const Json& output);
net::Response write_cbor(const Route& route, const Json& output);
net::Response write_xml(const Route& route, const Json& output, const std::string& request_id);

/// An error with everything that goes on the wire decided.
struct WireError {
  std::string shape;  ///< "LoadBalancerNotFoundException"
  std::string code;   ///< what query clients see: "LoadBalancerNotFound"
  int status = 400;
  bool server_fault = false;
  std::string message_key = "message";
  std::string message;
  std::map<std::string, std::string> members;
};
net::Response write_json_error(const Route& route, const WireError& error);
net::Response write_cbor_error(const Route& route, const WireError& error);
net::Response write_xml_error(const Route& route, const WireError& error,
                              const std::string& request_id);

}  // namespace coalmine::mock
