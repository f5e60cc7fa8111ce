// rest-json and aws-json 1.0/1.1: reading and writing.
#include <nlohmann/json.hpp>

#include "mock-aws/protocol/coerce.h"
#include "mock-aws/protocol/request.h"

namespace coalmine::mock {
namespace {

tl::unexpected<AwsError> bad_body(Protocol protocol, std::string message) {
  return tl::unexpected<AwsError>(generic_error(protocol, Failure::BadBody, std::move(message)));
}

Reply parse_object(Protocol protocol, std::string_view body) {
  if (body.find_first_not_of(" \t\r\n") == std::string_view::npos) return Json::object();
  Result<Json> parsed = parse_json(body);
  if (!parsed) return bad_body(protocol, to_string(parsed.error()));
  if (!parsed->is_object()) {
    return bad_body(protocol, "the body must be a JSON object");
  }
  return *std::move(parsed);
}

/// Sets `value` where the body's member would be. Labels and query strings win over the body.
Reply add_bound(const Member& member, const std::vector<std::string>& values, Json& input) {
  const Shape& shape = *member.shape;
  if (shape.type == ShapeType::List) {
    Json list = Json::array();
    for (const std::string& value : values) list.push_back(value);
    input[member.name] = std::move(list);
    return Json();
  }
  auto scalar = scalar_from_text(shape, values.front());
  if (!scalar) {
    return bad_body(Protocol::RestJson,
                    fmt::format("'{}' is not a valid value for '{}'", values.front(), member.name));
  }
  input[member.name] = *std::move(scalar);
  return Json();
}

/// The values that the request holds for a member outside the body.
std::vector<std::string> bound_values(
    const Member& member, const Route& route, const net::Request& request,
    const std::vector<std::pair<std::string, std::string>>& query) {
  std::vector<std::string> values;
  if (member.location == Location::Uri) {
    const auto it = route.labels.find(member.wire_name);
    if (it != route.labels.end()) values.push_back(it->second);
  } else if (member.location == Location::QueryString) {
    for (const auto& [name, value] : query) {
      if (name == member.wire_name) values.push_back(value);
    }
  } else if (member.location == Location::Header) {
    if (const std::string* value = request.headers.find(member.wire_name)) {
      values.push_back(*value);
    }
  }
  return values;
}

std::string content_type(const Route& route) {
  return route.protocol == Protocol::Json ? "application/x-amz-json-" + route.json_version
                                          : "application/json";
}

}  // namespace

Reply read_json(const Route& route, std::string_view body) {
  Reply input = parse_object(route.protocol, body);
  if (!input || route.operation->input == nullptr) return input;
  if (auto problem = coerce_input(*route.operation->input, *input)) {
    return bad_body(route.protocol, *std::move(problem));
  }
  return input;
}

Reply read_rest_json(const Route& route, const net::Request& request, std::string_view body) {
  const Shape* shape = route.operation->input;
  if (shape == nullptr) return Json::object();
  Reply input = parse_object(Protocol::RestJson, body);
  if (!input) return input;
  if (!shape->payload.empty()) {
    Json whole = Json::object();
    whole[shape->find(shape->payload)->wire_name] = *std::move(input);
    input = std::move(whole);
  }
  // A member bound elsewhere is not read from the body, even if it stands there.
  for (const Member& member : shape->members) {
    if (member.location != Location::Body) input->erase(member.wire_name);
  }
  if (auto problem = coerce_input(*shape, *input)) {
    return bad_body(Protocol::RestJson, *std::move(problem));
  }
  const auto query = net::parse_query(request.query());
  for (const Member& member : shape->members) {
    const auto values = bound_values(member, route, request, query);
    if (values.empty()) continue;
    if (Reply added = add_bound(member, values, *input); !added) return added;
  }
  return input;
}

net::Response write_json(const Route& route, const Json& output) {
  net::Response response;
  response.status = route.protocol == Protocol::RestJson ? route.operation->status : 200;
  const Shape* shape = route.operation->output;
  Json body = Json::object();
  if (shape != nullptr) {
    if (shape->payload.empty()) {
      body = shape_output(*shape, output);
    } else if (const Json* payload = find(output, shape->payload)) {
      body = shape_output(*shape->find(shape->payload)->shape, *payload);
    }
  }
  response.body = dump_json(body);
  response.headers.add("Content-Type", content_type(route));
  return response;
}

net::Response write_json_error(const Route& route, const WireError& error) {
  Json body = Json::object();
  for (const auto& [name, value] : error.members) body[name] = value;
  body["__type"] = error.shape;
  body[error.message_key] = error.message;
  net::Response response;
  response.status = error.status;
  response.body = dump_json(body);
  response.headers.add("Content-Type", content_type(route));
  if (route.protocol == Protocol::RestJson) response.headers.add("X-Amzn-ErrorType", error.shape);
  return response;
}

}  // namespace coalmine::mock
