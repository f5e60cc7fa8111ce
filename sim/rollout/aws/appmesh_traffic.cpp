#include "sim/rollout/aws/appmesh_traffic.h"

#include <nlohmann/json.hpp>

namespace coalmine::rollout {
namespace {

Weights by_version(const VersionNames& names, const WeightPair& pair) {
  return {{names.stable, pair.stable}, {names.canary, pair.canary}};
}

}  // namespace

Result<Weights> AppMeshTraffic::weights_for(Percent canary) const {
  TRY(const WeightPair pair, to_weights(canary, kAppMeshWeights));
  return by_version(names_, pair);
}

/// The present weights; `spec` becomes the route's spec with both targets in it.
Result<WeightPair> AppMeshTraffic::read(Json& spec) {
  TRY(spec, aws::describe_route_spec(client_, route_));
  Json* targets = aws::weighted_targets(spec);
  if (targets == nullptr || !targets->is_array()) {
    return error(ErrorKind::Failed, "{} has no weighted targets", describe());
  }
  WeightPair pair{0, 0};
  const Json* stable = nullptr;
  bool has_canary = false;
  for (const Json& target : *targets) {
    const std::string node = get_string(target, "virtualNode");
    const auto weight = static_cast<int>(get_int(target, "weight"));
    if (node == names_.stable_target) {
      stable = &target;
      pair.stable = weight;
    } else if (node == names_.canary_target) {
      has_canary = true;
      pair.canary = weight;
    } else if (weight > 0) {
      return error(ErrorKind::Failed,
                   "{} sends weight {} to virtual node \"{}\"; a rollout needs stable \"{}\" and "
                   "canary \"{}\" alone",
                   describe(), weight, node, names_.stable_target, names_.canary_target);
    }
  }
  if (stable == nullptr) {
    return error(ErrorKind::Failed, "{} has no target \"{}\" (the stable version's virtual node)",
                 describe(), names_.stable_target);
  }
  if (!has_canary) {
    Json added = *stable;  // with its port, if any
    added["virtualNode"] = names_.canary_target;
    added["weight"] = 0;
    targets->push_back(std::move(added));
  }
  return pair;
}

Result<Weights> AppMeshTraffic::current_weights() {
  Json spec;
  TRY(const WeightPair pair, read(spec));
  return by_version(names_, pair);
}

Result<AwsTraffic::Call> AppMeshTraffic::call_for(Percent canary) {
  TRY(const WeightPair wanted, to_weights(canary, kAppMeshWeights));
  Json spec;
  TRY(const WeightPair present, read(spec));
  for (Json& target : *aws::weighted_targets(spec)) {
    const std::string node = get_string(target, "virtualNode");
    if (node == names_.stable_target) target["weight"] = wanted.stable;
    if (node == names_.canary_target) target["weight"] = wanted.canary;
  }
  Json input = {{"meshName", route_.mesh},
                {"virtualRouterName", route_.router},
                {"routeName", route_.route},
                {"spec", spec}};
  return Call{"appmesh", "UpdateRoute", std::make_shared<const Json>(std::move(input)),
              !(present == wanted)};
}

Result<Weights> AppMeshTraffic::set_weights(Percent canary) {
  TRY(const Call call, call_for(canary));
  if (call.changes) {
    TRY_STATUS(aws::update_route_spec(client_, route_, (*call.input)["spec"]));
  }
  return weights_for(canary);
}

std::string AppMeshTraffic::describe() const {
  return fmt::format("App Mesh route {}/{}/{}", route_.mesh, route_.router, route_.route);
}

}  // namespace coalmine::rollout
