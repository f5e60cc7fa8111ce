#include "sim/aws/operations.h"

#include <nlohmann/json.hpp>

#include "sim/aws/xml.h"

namespace coalmine::aws {
namespace {

constexpr ServiceFacts kServices[] = {
    {"appmesh", "appmesh", "appmesh", Protocol::RestJson, ""},
    {"cloudmap", "servicediscovery", "servicediscovery", Protocol::AwsJson11,
     "Route53AutoNaming_v20170314"},
    {"cloudwatch", "monitoring", "monitoring", Protocol::AwsJson10,
     "GraniteServiceVersion20100801"},
    {"ecs", "ecs", "ecs", Protocol::AwsJson11, "AmazonEC2ContainerServiceV20141113"},
    {"elbv2", "elasticloadbalancing", "elasticloadbalancing", Protocol::Query, "2015-12-01"},
    {"logs", "logs", "logs", Protocol::AwsJson11, "Logs_20140328"},
    {"sts", "sts", "sts", Protocol::Query, "2011-06-15"},
};

constexpr std::string_view kRoute =
    "/v20190125/meshes/{meshName}/virtualRouter/{virtualRouterName}/routes/{routeName}";
constexpr std::string_view kMesh = "/v20190125/meshes/{meshName}";
constexpr RestFacts kRest[] = {
    {"CreateMesh", "PUT", "/v20190125/meshes", "mesh"},
    {"CreateVirtualNode", "PUT", "/v20190125/meshes/{meshName}/virtualNodes", "virtualNode"},
    {"CreateVirtualRouter", "PUT", "/v20190125/meshes/{meshName}/virtualRouters", "virtualRouter"},
    {"CreateRoute", "PUT", "/v20190125/meshes/{meshName}/virtualRouter/{virtualRouterName}/routes",
     "route"},
    {"CreateVirtualService", "PUT", "/v20190125/meshes/{meshName}/virtualServices",
     "virtualService"},
    {"CreateVirtualGateway", "PUT", "/v20190125/meshes/{meshName}/virtualGateways",
     "virtualGateway"},
    {"CreateGatewayRoute", "PUT",
     "/v20190125/meshes/{meshName}/virtualGateway/{virtualGatewayName}/gatewayRoutes",
     "gatewayRoute"},
    {"DescribeRoute", "GET", kRoute, "route"},
    {"UpdateRoute", "PUT", kRoute, "route"},
    {"ListRoutes", "GET", "/v20190125/meshes/{meshName}/virtualRouter/{virtualRouterName}/routes",
     ""},
    {"DescribeMesh", "GET", kMesh, "mesh"},
    {"DeleteGatewayRoute", "DELETE",
     "/v20190125/meshes/{meshName}/virtualGateway/{virtualGatewayName}/gatewayRoutes/"
     "{gatewayRouteName}",
     "gatewayRoute"},
    {"DeleteVirtualGateway", "DELETE",
     "/v20190125/meshes/{meshName}/virtualGateways/{virtualGatewayName}", "virtualGateway"},
    {"DeleteRoute", "DELETE", kRoute, "route"},
    {"DeleteVirtualService", "DELETE",
     "/v20190125/meshes/{meshName}/virtualServices/{virtualServiceName}", "virtualService"},
    {"DeleteVirtualRouter", "DELETE",
     "/v20190125/meshes/{meshName}/virtualRouters/{virtualRouterName}", "virtualRouter"},
    {"DeleteVirtualNode", "DELETE", "/v20190125/meshes/{meshName}/virtualNodes/{virtualNodeName}",
     "virtualNode"},
    {"DeleteMesh", "DELETE", kMesh, "mesh"},
};

std::string scalar(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  return dump_json(value);
}

/// "Actions.member.1.ForwardConfig.TargetGroups.member.1.Weight=99"
void flatten(const std::string& name, const Json& value, std::string& body) {
  if (value.is_object()) {
    for (const auto& [key, child] : value.items()) {
      flatten(name.empty() ? key : name + "." + key, child, body);
    }
  } else if (value.is_array()) {
    int n = 0;
    for (const Json& child : value) flatten(fmt::format("{}.member.{}", name, ++n), child, body);
  } else if (!value.is_null()) {
    body += fmt::format("&{}={}", name, net::percent_encode(scalar(value)));
  }
}

Result<net::Request> rest_request(std::string_view operation, const Json& input) {
  const RestFacts* facts = find_rest(operation);
  if (facts == nullptr) return error("appmesh: the operation {} is not known here", operation);
  net::Request request;
  request.method = std::string(facts->method);
  Json rest = input;
  std::string target;
  for (std::string_view path = facts->path; !path.empty();) {
    const std::size_t open = path.find('{');
    target += path.substr(0, open);
    if (open == std::string_view::npos) break;
    const std::size_t close = path.find('}', open);
    const std::string member(path.substr(open + 1, close - open - 1));
    const std::string value = get_string(input, member);
    if (value.empty()) return error("appmesh {}: {} is missing", operation, member);
    target += net::percent_encode(value);
    rest.erase(member);
    path.remove_prefix(close + 1);
  }
  if (facts->method == "GET" || facts->method == "DELETE") {
    char mark = '?';
    for (const auto& [key, value] : rest.items()) {
      target += fmt::format("{}{}={}", mark, key, net::percent_encode(scalar(value)));
      mark = '&';
    }
  } else {
    request.headers.add("Content-Type", "application/json");
    request.body = dump_json(rest);
  }
  request.target = std::move(target);
  return request;
}

std::string before(std::string_view text, char end) {
  return std::string(text.substr(0, text.find(end)));
}

std::string behind(std::string_view text, char mark) {
  const std::size_t at = text.rfind(mark);
  return std::string(at == std::string_view::npos ? text : text.substr(at + 1));
}

}  // namespace

const ServiceFacts* find_service(std::string_view name) {
  for (const ServiceFacts& service : kServices) {
    if (service.name == name) return &service;
  }
  return nullptr;
}

const RestFacts* find_rest(std::string_view operation) {
  for (const RestFacts& facts : kRest) {
    if (facts.operation == operation) return &facts;
  }
  return nullptr;
}

std::string regional_endpoint(const ServiceFacts& service, std::string_view region) {
  return fmt::format("https://{}.{}.amazonaws.com{}", service.endpoint, region,
                     region.starts_with("cn-") ? ".cn" : "");
}

Result<net::Request> make_request(const ServiceFacts& service, std::string_view operation,
                                  const Json& input) {
  if (service.protocol == Protocol::RestJson) return rest_request(operation, input);
  net::Request request;
  request.method = "POST";
  if (service.protocol == Protocol::Query) {
    request.headers.add("Content-Type", "application/x-www-form-urlencoded; charset=utf-8");
    request.body = fmt::format("Action={}&Version={}", operation, service.prefix);
    flatten("", input, request.body);
    return request;
  }
  const bool one_zero = service.protocol == Protocol::AwsJson10;
  request.headers.add("Content-Type",
                      one_zero ? "application/x-amz-json-1.0" : "application/x-amz-json-1.1");
  request.headers.add("X-Amz-Target", fmt::format("{}.{}", service.prefix, operation));
  request.body = input.is_null() ? "{}" : dump_json(input);
  return request;
}

Result<Json> read_answer(const ServiceFacts& service, std::string_view operation,
                         const net::Response& response) {
  if (service.protocol == Protocol::Query) {
    TRY(const Json root, parse_xml(response.body));
    const Json* result = find(root, fmt::format("{}Result", operation));
    // An operation without output has no result element, or an empty one.
    return result != nullptr && result->is_object() ? *result : Json::object();
  }
  if (response.body.empty()) return Json::object();
  TRY(Json body, parse_json(response.body, fmt::format("{}'s answer", operation)));
  if (service.protocol == Protocol::RestJson) {
    const RestFacts* facts = find_rest(operation);
    if (facts != nullptr && !facts->payload.empty()) {
      Json wrapped = Json::object();
      wrapped[std::string(facts->payload)] = std::move(body);
      return wrapped;
    }
  }
  return body;
}

ServiceError read_error(const ServiceFacts& service, const net::Response& response) {
  ServiceError found{"", "", response.status};
  if (service.protocol == Protocol::Query) {
    if (const auto root = parse_xml(response.body)) {
      if (const Json* part = find(*root, "Error")) {
        found.code = get_string(*part, "Code");
        found.message = get_string(*part, "Message");
      }
    }
  } else if (const auto body = parse_json(response.body)) {
    found.code = before(behind(get_string(*body, "__type", get_string(*body, "code")), '#'), ':');
    found.message = get_string(*body, "message", get_string(*body, "Message"));
  }
  if (const std::string* type = response.headers.find("x-amzn-ErrorType")) {
    found.code = behind(before(*type, ':'), '#');
  }
  if (const std::string* code = response.headers.find("x-amzn-query-error")) {
    found.code = before(*code, ';');
  }
  if (found.code.empty()) found.code = fmt::format("HTTP {}", response.status);
  if (found.message.empty()) found.message = response.body.substr(0, 200);
  return found;
}

}  // namespace coalmine::aws
