// From the bytes of a request to service, operation and protocol.
#include <algorithm>
#include <charconv>
#include <mutex>

#include "mock-aws/protocol/request.h"

namespace coalmine::mock {
namespace {

constexpr std::string_view kAppMeshPrefix = "/v20190125/";

/// X-Amz-Target prefix -> model.
const std::map<std::string_view, std::string_view>& targets() {
  static const std::map<std::string_view, std::string_view> kTargets = {
      {"AmazonEC2ContainerRegistry_V20150921", "ecr"},
      {"AmazonEC2ContainerServiceV20141113", "ecs"},
      {"GraniteServiceVersion20100801", "cloudwatch"},
      {"Logs_20140328", "logs"},
      {"Route53AutoNaming_v20170314", "servicediscovery"}};
  return kTargets;
}

/// Query API version -> model. Versions are unique among the services here.
const std::map<std::string_view, std::string_view>& versions() {
  static const std::map<std::string_view, std::string_view> kVersions = {
      {"2010-05-08", "iam"},
      {"2010-08-01", "cloudwatch"},
      {"2011-06-15", "sts"},
      {"2015-12-01", "elbv2"},
      {"2016-11-15", "ec2"}};
  return kVersions;
}

/// Signing name -> model, for query requests without Version.
std::string_view model_of_signing_name(std::string_view name) {
  static const std::map<std::string_view, std::string_view> kNames = {
      {"ec2", "ec2"},
      {"elasticloadbalancing", "elbv2"},
      {"iam", "iam"},
      {"monitoring", "cloudwatch"},
      {"sts", "sts"}};
  const auto it = kNames.find(name);
  return it == kNames.end() ? std::string_view() : it->second;
}

bool begins_with(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

Route json_route(const net::Request& request, std::string_view target) {
  Route route;
  route.protocol = Protocol::Json;
  route.asked_for = target;
  const std::string type = request.headers.get("Content-Type");
  if (type.find("json-1.0") != std::string::npos) route.json_version = "1.0";
  const auto dot = target.rfind('.');
  const auto it = targets().find(target.substr(0, dot));
  if (dot == std::string_view::npos || it == targets().end()) return route;
  route.model = find_model(it->second);
  route.operation = route.model->operation(target.substr(dot + 1));
  return route;
}

/// /service/GraniteServiceVersion20100801/operation/PutMetricData
Route cbor_route(std::string_view path) {
  Route route;
  route.protocol = Protocol::Cbor;
  route.asked_for = path;
  constexpr std::string_view kService = "/service/", kOperation = "/operation/";
  if (!begins_with(path, kService)) return route;
  path.remove_prefix(kService.size());
  const auto middle = path.find(kOperation);
  if (middle == std::string_view::npos) return route;
  const auto it = targets().find(path.substr(0, middle));
  if (it == targets().end()) return route;
  route.model = find_model(it->second);
  route.operation = route.model->operation(path.substr(middle + kOperation.size()));
  return route;
}

std::vector<std::string_view> segments(std::string_view path) {
  std::vector<std::string_view> parts;
  for (std::size_t at = 1; at <= path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    parts.push_back(path.substr(at, end - at));
    at = end + 1;
  }
  if (parts.size() > 1 && parts.back().empty()) parts.pop_back();  // a trailing slash
  return parts;
}

/// Splits before decoding: a label may hold an encoded slash.
bool matches(const Operation& operation, const std::vector<std::string_view>& path,
             std::map<std::string, std::string>& labels) {
  if (operation.path.size() != path.size()) return false;
  labels.clear();
  for (std::size_t i = 0; i < path.size(); ++i) {
    const std::string& wanted = operation.path[i];
    if (wanted.size() > 2 && wanted.front() == '{') {
      if (path[i].empty()) return false;
      labels[wanted.substr(1, wanted.size() - 2)] = net::percent_decode(path[i]);
    } else if (path[i] != wanted) {
      return false;
    }
  }
  return true;
}

Route rest_route(const net::Request& request) {
  Route route;
  route.asked_for = request.method + " " + std::string(request.path());
  if (!begins_with(request.path(), kAppMeshPrefix)) return route;
  route.model = find_model("appmesh");
  const auto path = segments(request.path());
  for (const auto& [name, operation] : route.model->operations()) {
    if (operation.method == request.method && matches(operation, path, route.labels)) {
      route.operation = &operation;
      return route;
    }
  }
  return route;
}

/// The first value of a form field without decoding the whole form.
std::string form_field(std::string_view form, std::string_view name) {
  for (std::size_t at = 0; at < form.size();) {
    const std::size_t end = std::min(form.find('&', at), form.size());
    const std::string_view pair = form.substr(at, end - at);
    if (pair.size() > name.size() && begins_with(pair, name) && pair[name.size()] == '=') {
      return net::percent_decode(pair.substr(name.size() + 1), true);
    }
    at = end + 1;
  }
  return "";
}

Route query_route(std::string_view form, const std::string& action, const Caller& caller) {
  Route route;
  route.protocol = Protocol::Query;
  const std::string version = form_field(form, "Version");
  const auto it = versions().find(version);
  const std::string_view by_name = model_of_signing_name(caller.signing_name);
  route.asked_for = fmt::format("{} of version {}", action, version.empty() ? "(none)" : version);
  if (it != versions().end()) {
    route.model = find_model(it->second);
  } else if (version.empty() && !by_name.empty()) {
    route.model = find_model(by_name);
  }
  if (route.model == nullptr) return route;
  if (route.model->protocol() == "ec2") route.protocol = Protocol::Ec2;
  route.operation = route.model->operation(action);
  route.asked_for = route.model->service() + ":" + action;
  return route;
}

}  // namespace

Route find_route(const net::Request& request, const Caller& caller) {
  if (const std::string* target = request.headers.find("X-Amz-Target")) {
    return json_route(request, *target);
  }
  if (request.headers.get("smithy-protocol") == "rpc-v2-cbor") return cbor_route(request.path());
  if (begins_with(request.path(), kAppMeshPrefix)) return rest_route(request);
  const std::string_view query = request.query();
  if (const std::string action = form_field(query, "Action"); !action.empty()) {
    return query_route(query, action, caller);
  }
  if (request.method == "POST") {
    if (const std::string action = form_field(request.body, "Action"); !action.empty()) {
      Route route = query_route(request.body, action, caller);
      route.body_is_form = true;
      return route;
    }
    if (!model_of_signing_name(caller.signing_name).empty() ||
        begins_with(request.headers.get("Content-Type"), "application/x-www-form-urlencoded")) {
      Route route;
      route.protocol = caller.signing_name == "ec2" ? Protocol::Ec2 : Protocol::Query;
      route.asked_for = "a request without Action";
      return route;
    }
  }
  return rest_route(request);
}

}  // namespace coalmine::mock
