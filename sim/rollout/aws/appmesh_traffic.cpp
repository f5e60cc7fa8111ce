#include "sim/rollout/aws/appmesh_traffic.h"

#include <nlohmann/json.hpp>
#include <set>

namespace coalmine::rollout {

std::string describe_targets(const VersionNames& names) {
  std::string text =
      fmt::format("stable \"{}\" and canary \"{}\"", names.stable_target, names.canary_target);
  if (!names.baseline.empty()) text += fmt::format(" and baseline \"{}\"", names.baseline_target);
  return text;
}

Result<Weights> AppMeshTraffic::weights_for(const Shares& shares) const {
  TRY(const SplitWeights weights, to_weights(shares, kAppMeshWeights));
  return by_version(names_.in_plan(), weights);
}

/// The present weights; `spec` becomes the route's spec with all targets in it.
Result<SplitWeights> AppMeshTraffic::read(Json& spec) {
  TRY(spec, aws::describe_route_spec(client_, route_));
  Json* targets = aws::weighted_targets(spec);
  if (targets == nullptr || !targets->is_array()) {
    return error(ErrorKind::Failed, "{} has no weighted targets", describe());
  }
  SplitWeights weights{0, 0};
  std::optional<Json> stable;
  bool has_canary = false, has_baseline = names_.baseline.empty();
  for (const Json& target : *targets) {
    const std::string node = get_string(target, "virtualNode");
    const auto weight = static_cast<int>(get_int(target, "weight"));
    if (node == names_.stable_target) {
      stable = target;
      weights.stable = weight;
    } else if (node == names_.canary_target) {
      has_canary = true;
      weights.canary = weight;
    } else if (!names_.baseline.empty() && node == names_.baseline_target) {
      has_baseline = true;
      weights.baseline = weight;
    } else if (weight > 0) {
      return error(ErrorKind::Failed,
                   "{} sends weight {} to virtual node \"{}\"; a rollout needs {} alone",
                   describe(), weight, node, describe_targets(names_));
    }
  }
  if (!stable) {
    return error(ErrorKind::Failed, "{} has no target \"{}\" (the stable version's virtual node)",
                 describe(), names_.stable_target);
  }
  const auto add = [&](const std::string& node) {
    Json added = *stable;  // with its port, if any
    added["virtualNode"] = node;
    added["weight"] = 0;
    targets->push_back(std::move(added));
  };
  if (!has_canary) add(names_.canary_target);
  if (!has_baseline) add(names_.baseline_target);
  return weights;
}

Result<Weights> AppMeshTraffic::current_weights() {
  Json spec;
  TRY(const SplitWeights weights, read(spec));
  return by_version(names_.in_plan(), weights);
}

Result<AwsTraffic::Call> AppMeshTraffic::call_for(const Shares& shares) {
  TRY(const SplitWeights wanted, to_weights(shares, kAppMeshWeights));
  Json spec;
  TRY(const SplitWeights present, read(spec));
  for (Json& target : *aws::weighted_targets(spec)) {
    const std::string node = get_string(target, "virtualNode");
    if (node == names_.stable_target) target["weight"] = wanted.stable;
    if (node == names_.canary_target) target["weight"] = wanted.canary;
    if (!names_.baseline.empty() && node == names_.baseline_target) {
      target["weight"] = wanted.baseline;
    }
  }
  Json input = {{"meshName", route_.mesh},
                {"virtualRouterName", route_.router},
                {"routeName", route_.route},
                {"spec", spec}};
  return Call{"appmesh", "UpdateRoute", std::make_shared<const Json>(std::move(input)),
              !(present == wanted)};
}

Result<Weights> AppMeshTraffic::set_weights(const Shares& shares) {
  TRY(const Call call, call_for(shares));
  if (call.changes) {
    TRY_STATUS(aws::update_route_spec(client_, route_, (*call.input)["spec"]));
  }
  return weights_for(shares);
}

// --- routes by header, cookie or segment -------------------------------------------------------

namespace {

constexpr int kLastPriority = 1000;       // appmesh 2019-01-25 model: RoutePriority
constexpr std::size_t kMostHeaders = 10;  // HttpRouteHeaders

Json header_match(const HeaderCondition& header) {
  Json json = {{"name", header.name}};
  if (header.kind == HeaderCondition::Kind::Present) return json;
  const char* how = header.kind == HeaderCondition::Kind::Regex ? "regex" : "exact";
  json["match"] = {{how, header.any_of.front()}};
  return json;
}

}  // namespace

/// The route as it is, for those of its requests that match, and to the canary alone.
Result<Json> AppMeshTraffic::matching_spec(const Json& spec,
                                           const MatchConditions& conditions) const {
  Json made = spec;
  const char* kind = made.contains("httpRoute") ? "httpRoute" : "http2Route";
  if (!made.contains(kind)) {
    return error(ErrorKind::Failed, "{} is no HTTP route: it cannot look at headers and paths",
                 describe());
  }
  Json& match = made[kind]["match"];
  if (!conditions.path_prefix.empty()) {
    const std::string own = get_string(match, "prefix");
    if (own.empty() || !conditions.path_prefix.starts_with(own)) {
      return error(ErrorKind::Failed, "{} does not take requests to {}", describe(),
                   conditions.path_prefix);
    }
    match["prefix"] = conditions.path_prefix;
  }
  for (const HeaderCondition& header : conditions.headers) {
    match["headers"].push_back(header_match(header));
  }
  if (match.contains("headers") && match["headers"].size() > kMostHeaders) {
    return error(ErrorKind::Failed, "{} would look at {} headers, App Mesh allows {}", describe(),
                 match["headers"].size(), kMostHeaders);
  }
  Json& targets = *aws::weighted_targets(made);
  Json canary;
  for (const Json& target : targets) {
    if (get_string(target, "virtualNode") == names_.canary_target) canary = target;
  }
  canary["weight"] = 100;
  targets = Json::array({std::move(canary)});
  const auto priority = get_int(made, "priority", kLastPriority + 1);
  if (priority == 0) {
    return error(ErrorKind::Failed,
                 "{} has priority 0, so no other can come before it; give it a larger number",
                 describe());
  }
  made["priority"] = priority - 1;
  return made;
}

Result<std::vector<AwsTraffic::Call>> AppMeshTraffic::calls_for(
    const std::vector<RouteMatch>& any_of) {
  TRY(const auto all, conditions_of(any_of, TrafficApi::AppMesh));
  TRY(const auto names, aws::list_routes(client_, route_.mesh, route_.router));
  std::set<std::string> there;
  const std::string prefix = fmt::format("{}-to-{}-", route_.route, names_.canary_target);
  for (const std::string& name : names) {
    if (name.starts_with(prefix)) there.insert(name);
  }
  std::vector<Call> calls;
  const auto add = [&](const char* operation, const std::string& name, const Json* spec) {
    Json input = {
        {"meshName", route_.mesh}, {"virtualRouterName", route_.router}, {"routeName", name}};
    if (spec != nullptr) input["spec"] = *spec;
    calls.push_back({"appmesh", operation, std::make_shared<const Json>(std::move(input)), true});
  };
  Json spec;
  if (!all.empty()) TRY_STATUS(read(spec));
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::string name = fmt::format("{}{}", prefix, i + 1);
    TRY(const Json wanted, matching_spec(spec, all[i]));
    if (there.erase(name) == 0) {
      add("CreateRoute", name, &wanted);
      continue;
    }
    TRY(const Json present, aws::describe_route_spec(client_, {route_.mesh, route_.router, name}));
    if (present != wanted) add("UpdateRoute", name, &wanted);
  }
  for (const std::string& name : there) add("DeleteRoute", name, nullptr);
  return calls;
}

Status carry_out(aws::Client& client, const std::vector<AwsTraffic::Call>& calls) {
  for (const AwsTraffic::Call& call : calls) {
    TRY_STATUS(client.call(call.service, call.operation, *call.input));
  }
  return {};
}

Status AppMeshTraffic::set_matches(const std::vector<RouteMatch>& any_of) {
  TRY(const std::vector<Call> calls, calls_for(any_of));
  return carry_out(client_, calls);
}

Status AppMeshTraffic::check_matches(const std::vector<RouteMatch>& any_of) const {
  TRY_STATUS(conditions_of(any_of, TrafficApi::AppMesh));
  return {};
}

std::string AppMeshTraffic::describe() const {
  return fmt::format("App Mesh route {}/{}/{}", route_.mesh, route_.router, route_.route);
}

}  // namespace coalmine::rollout
