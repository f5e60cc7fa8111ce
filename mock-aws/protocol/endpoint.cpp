#include "mock-aws/protocol/endpoint.h"

#include <nlohmann/json.hpp>

#include "mock-aws/protocol/gzip.h"
#include "mock-aws/protocol/request.h"
#include "mock-aws/protocol/validate.h"
#include "sim/core/ids.h"

namespace coalmine::mock {
namespace {

/// The error shape by its shape name, else by the code that query clients see.
const Shape* error_shape(const ApiModel* model, std::string_view code) {
  if (model == nullptr) return nullptr;
  if (const Shape* shape = model->shape(code); shape != nullptr && shape->is_exception)
    return shape;
  for (const auto& [name, shape] : model->shapes()) {
    if (shape.is_exception && shape.error_code == code) return &shape;
  }
  return nullptr;
}

/// Code, status and member names from the model; what the model does not know stays as it is.
WireError on_the_wire(const Route& route, const AwsError& error) {
  WireError wire;
  wire.shape = error.code;
  wire.code = error.code;
  wire.message = error.message;
  wire.members = error.members;
  wire.status = error.status != 0 ? error.status : 400;
  wire.server_fault = wire.status >= 500;
  const Shape* shape = error_shape(route.model, error.code);
  if (shape == nullptr) return wire;
  wire.shape = shape->name;
  if (!shape->error_code.empty()) wire.code = shape->error_code;
  if (error.status == 0 && shape->error_status != 0) wire.status = shape->error_status;
  wire.server_fault = shape->server_fault;
  for (const Member& member : shape->members) {
    if (member.name == "Message" || member.name == "message") wire.message_key = member.wire_name;
  }
  return wire;
}

net::Response write_error(const Route& route, const AwsError& error,
                          const std::string& request_id) {
  const WireError wire = on_the_wire(route, error);
  net::Response response;
  switch (route.protocol) {
    case Protocol::RestJson:
    case Protocol::Json:
      response = write_json_error(route, wire);
      break;
    case Protocol::Cbor:
      response = write_cbor_error(route, wire);
      break;
    case Protocol::Query:
    case Protocol::Ec2:
      response = write_xml_error(route, wire, request_id);
      break;
  }
  // Clients that came from the query protocol read the code here.
  if (route.model != nullptr && route.model->query_compatible() &&
      (route.protocol == Protocol::Json || route.protocol == Protocol::Cbor)) {
    response.headers.add("x-amzn-query-error",
                         wire.code + (wire.server_fault ? ";Receiver" : ";Sender"));
  }
  return response;
}

net::Response write_output(const Route& route, const Json& output, const std::string& request_id) {
  switch (route.protocol) {
    case Protocol::RestJson:
    case Protocol::Json:
      return write_json(route, output);
    case Protocol::Cbor:
      return write_cbor(route, output);
    case Protocol::Query:
    case Protocol::Ec2:
      return write_xml(route, output, request_id);
  }
  return {};
}

Reply read_input(const Route& route, const net::Request& request) {
  const std::string& body = request.body;
  switch (route.protocol) {
    case Protocol::RestJson:
      return read_rest_json(route, request, body);
    case Protocol::Json:
      return read_json(route, body);
    case Protocol::Cbor:
      return read_cbor(route, body);
    case Protocol::Query:
    case Protocol::Ec2:
      return read_query(route, request, body);
  }
  return Json::object();
}

Failure failure_of(AuthFailure failure) {
  switch (failure) {
    case AuthFailure::Unsigned:
      return Failure::Unsigned;
    case AuthFailure::Incomplete:
      return Failure::Incomplete;
    case AuthFailure::UnknownKey:
      return Failure::UnknownKey;
    case AuthFailure::BadSignature:
      return Failure::BadSignature;
  }
  return Failure::BadSignature;
}

tl::unexpected<AwsError> refused(const Route& route, Failure failure, std::string message) {
  return tl::unexpected<AwsError>(generic_error(route.protocol, failure, std::move(message)));
}

tl::unexpected<AwsError> too_large(std::size_t bytes) {
  return tl::unexpected<AwsError>(
      AwsError{"RequestEntityTooLargeException",
               fmt::format("The body has {} bytes, allowed are {}", bytes, kMaxRequestBytes),
               413,
               {}});
}

tl::unexpected<AwsError> unknown(const Route& route) {
  if (route.model == nullptr) {
    return refused(route, Failure::UnknownService,
                   fmt::format("coalmine serves no such AWS operation: {}", route.asked_for));
  }
  return refused(route, Failure::UnknownOperation,
                 fmt::format("Could not find operation {} in the API of {}", route.asked_for,
                             route.model->service()));
}

/// The request with its body as the client meant it; a damaged one is left as it is and false.
bool unpack(net::Request& request) {
  auto body = gunzip(request.body);
  if (!body) return false;
  request.body = *std::move(body);
  return true;
}

Reply checked_input(const Route& route, const net::Request& request) {
  Reply input = read_input(route, request);
  if (!input || route.operation->input == nullptr) return input;
  const bool lower_paths = route.protocol == Protocol::Query;
  const auto problems = validate(*route.operation->input, *input, lower_paths);
  if (problems.empty()) return input;
  return tl::unexpected<AwsError>(validation_error(route.model->service(), problems));
}

}  // namespace

Endpoint::Endpoint(EndpointOptions options, ServiceFinder find_service, Random random)
    : options_(std::move(options)), find_service_(std::move(find_service)), random_(random) {}

Reply Endpoint::call(const Route& route, const net::Request& request, const Caller& caller,
                     TimePoint now) {
  Reply input = checked_input(route, request);
  if (!input) return input;
  Service* service = find_service_(caller.scope, route.model->service());
  if (service == nullptr || !service->implements(route.operation->name)) {
    return refused(route, Failure::NotImplemented,
                   fmt::format("coalmine does not implement {}:{} yet", route.model->service(),
                               route.operation->name));
  }
  CallContext context{now, caller.scope.account, caller.scope.region, caller.access_key, random_};
  try {
    return service->call(route.operation->name, *input, context);
  } catch (const Json::exception& e) {
    // A service that trips over a value the model allows: an error of ours, said as AWS would.
    return tl::unexpected<AwsError>(
        AwsError{"InternalFailure",
                 fmt::format("coalmine failed in {}:{}: {}", route.model->service(),
                             route.operation->name, e.what()),
                 500,
                 {}});
  }
}

net::Response Endpoint::handle(const net::Request& sent, TimePoint now) {
  const Caller caller = identify_caller(sent);
  net::Request plain;  // only made when the body is packed
  bool damaged = false;
  const bool packed = sent.headers.get("Content-Encoding") == "gzip";
  if (packed) {
    plain = sent;
    damaged = !unpack(plain);
  }
  const net::Request& request = packed ? plain : sent;
  const Route route = find_route(request, caller);
  const std::string request_id = random_uuid(random_);
  const auto answer = [&]() -> Reply {
    if (request.body.size() > kMaxRequestBytes) return too_large(request.body.size());
    if (damaged) {
      return refused(route, Failure::BadBody, "the gzip body is damaged or too large");
    }
    if (route.operation == nullptr) return unknown(route);
    if (options_.verify_signatures) {
      // What was signed is the body as sent.
      if (const auto problem = check_signature(sent, caller, options_.secret_of, now)) {
        return refused(route, failure_of(problem->failure), problem->message);
      }
    }
    return call(route, request, caller, now);
  };
  const Reply reply = answer();
  net::Response response = reply ? write_output(route, *reply, request_id)
                                 : write_error(route, reply.error(), request_id);
  response.headers.add("x-amzn-RequestId", request_id);
  return response;
}

std::optional<ApiCall> Endpoint::identify(const net::Request& request) const {
  const Route route = find_route(request, identify_caller(request));
  if (route.operation == nullptr) return std::nullopt;
  return ApiCall{route.model->service(), route.operation->name};
}

net::Response Endpoint::refuse(const net::Request& request, const AwsError& refusal) {
  const Route route = find_route(request, identify_caller(request));
  const std::string request_id = random_uuid(random_);
  net::Response response = write_error(route, refusal, request_id);
  response.headers.add("x-amzn-RequestId", request_id);
  return response;
}

}  // namespace coalmine::mock
