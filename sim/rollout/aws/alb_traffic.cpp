#include "sim/rollout/aws/alb_traffic.h"

#include <nlohmann/json.hpp>

namespace coalmine::rollout {

Result<Weights> AlbTraffic::weights_for(Percent canary) const {
  TRY(const WeightPair pair, to_weights(canary, kAlbWeights));
  return Weights{{names_.stable, pair.stable}, {names_.canary, pair.canary}};
}

Result<AlbArns> AlbTraffic::arns() {
  if (!arns_) {
    TRY(const auto balancer, aws::describe_load_balancer(client_, place_.load_balancer));
    TRY(const auto stable, aws::describe_target_group(client_, names_.stable_target));
    TRY(const auto canary, aws::describe_target_group(client_, names_.canary_target));
    arns_ = AlbArns{balancer.arn, stable.arn, canary.arn};
  }
  return *arns_;
}

Result<AlbTraffic::Found> AlbTraffic::read() {
  TRY(const AlbArns arns, this->arns());
  auto place = place_.rule_arn.empty()
                   ? aws::describe_listener(client_, {arns.load_balancer, place_.load_balancer, ""},
                                            place_.listener_port)
                   : aws::describe_rule(client_, place_.rule_arn);
  if (!place) return tl::unexpected(place.error());
  Found found{*std::move(place), {0, 0}};
  bool has_stable = false;
  for (const auto& [arn, weight] : aws::forward_weights(*found.place.actions)) {
    if (arn == arns.stable) {
      has_stable = true;
      found.weights.stable = weight;
    } else if (arn == arns.canary) {
      found.weights.canary = weight;
    } else if (weight > 0) {
      return error(
          ErrorKind::Failed,
          "{} sends weight {} to {}; a rollout needs target groups \"{}\" and \"{}\" alone",
          describe(), weight, arn, names_.stable_target, names_.canary_target);
    }
  }
  if (!has_stable) {
    return error(ErrorKind::Failed, "{} does not forward to target group \"{}\" (the stable one)",
                 describe(), names_.stable_target);
  }
  return found;
}

Result<Weights> AlbTraffic::current_weights() {
  TRY(const Found found, read());
  return Weights{{names_.stable, found.weights.stable}, {names_.canary, found.weights.canary}};
}

Result<AwsTraffic::Call> AlbTraffic::call_for(Percent canary) {
  TRY(const WeightPair wanted, to_weights(canary, kAlbWeights));
  TRY(const Found found, read());
  TRY(const AlbArns arns, this->arns());
  TRY(const Json actions,
      aws::with_forward_weights(*found.place.actions,
                                {{arns.stable, wanted.stable}, {arns.canary, wanted.canary}}));
  const bool rule = found.place.is_rule;
  Json input = {{rule ? "RuleArn" : "ListenerArn", found.place.arn},
                {rule ? "Actions" : "DefaultActions", actions}};
  return Call{"elbv2", rule ? "ModifyRule" : "ModifyListener",
              std::make_shared<const Json>(std::move(input)), !(found.weights == wanted)};
}

Result<Weights> AlbTraffic::set_weights(Percent canary) {
  TRY(const Call call, call_for(canary));
  if (call.changes) {
    TRY_STATUS(client_.call(call.service, call.operation, *call.input));
  }
  return weights_for(canary);
}

std::string AlbTraffic::describe() const {
  if (!place_.rule_arn.empty()) return fmt::format("ALB rule {}", place_.rule_arn);
  return fmt::format("ALB {} listener {}", place_.load_balancer, place_.listener_port);
}

}  // namespace coalmine::rollout
