// CodeDeploy for ECS and Lambda. Sources: CodeDeploy API 2014-10-06, CodeDeploy user guide
// ("Working with deployment configurations", "Monitoring deployments with CloudWatch alarms").
#include <algorithm>

#include "sim/rollout/importers/fields.h"

namespace coalmine::importers {
namespace {

using rollout::Bake;
using rollout::Promote;
using rollout::SetWeight;
using std::chrono::minutes;

struct Shift {
  enum class Type { AllAtOnce, Canary, Linear } type = Type::AllAtOnce;
  int percent = 0, interval = 0;  ///< of TimeBasedCanary and TimeBasedLinear, minutes
};
struct Predefined {
  std::string_view name;
  Shift shift;
};
using Type = Shift::Type;

constexpr Predefined kPredefined[] = {
    {"CodeDeployDefault.ECSAllAtOnce", {}},
    {"CodeDeployDefault.ECSCanary10Percent5Minutes", {Type::Canary, 10, 5}},
    {"CodeDeployDefault.ECSCanary10Percent15Minutes", {Type::Canary, 10, 15}},
    {"CodeDeployDefault.ECSLinear10PercentEvery1Minutes", {Type::Linear, 10, 1}},
    {"CodeDeployDefault.ECSLinear10PercentEvery3Minutes", {Type::Linear, 10, 3}},
    {"CodeDeployDefault.LambdaAllAtOnce", {}},
    {"CodeDeployDefault.LambdaCanary10Percent5Minutes", {Type::Canary, 10, 5}},
    {"CodeDeployDefault.LambdaCanary10Percent10Minutes", {Type::Canary, 10, 10}},
    {"CodeDeployDefault.LambdaCanary10Percent15Minutes", {Type::Canary, 10, 15}},
    {"CodeDeployDefault.LambdaCanary10Percent30Minutes", {Type::Canary, 10, 30}},
    {"CodeDeployDefault.LambdaLinear10PercentEvery1Minute", {Type::Linear, 10, 1}},
    {"CodeDeployDefault.LambdaLinear10PercentEvery2Minutes", {Type::Linear, 10, 2}},
    {"CodeDeployDefault.LambdaLinear10PercentEvery3Minutes", {Type::Linear, 10, 3}},
    {"CodeDeployDefault.LambdaLinear10PercentEvery10Minutes", {Type::Linear, 10, 10}},
};

std::optional<Shift> predefined(std::string_view name) {
  for (const Predefined& one : kPredefined) {
    if (one.name == name) return one.shift;
  }
  return std::nullopt;
}

std::string predefined_names() {
  std::string text;
  for (const Predefined& one : kPredefined) {
    text += fmt::format("{}{}", text.empty() ? "" : ", ", one.name);
  }
  return text;
}

class CodeDeployImporter {
 public:
  explicit CodeDeployImporter(const std::string& file) : report_(file) {}

  Imported run(const std::string& text, const std::string& file) {
    const auto root = scenario::parse_yaml(text, file);
    if (!root) {
      report_.add(root.error());
      return report_.finish({});
    }
    at_ = report_.place(*root);
    if (root->kind == YamlNode::Kind::Scalar) {
      by_name(*root);
    } else {
      read(*root);
    }
    shift();
    // What the termination wait holds up is the end: the old tasks stay, and so does the way back.
    if (wait_after_ > Duration{}) plan_.steps.push_back({Bake{wait_after_}, at_});
    plan_.steps.push_back({Promote{plan_.canary, rollout::PromoteKind::Replace, false}, at_});
    // The replacement task set is there before any traffic.
    plan_.steps.insert(plan_.steps.begin(),
                       {rollout::ScaleCanary{rollout::ScaleCanary::How::Percent, 100}, at_});
    plan_.on_no_data = rollout::OnNoData::Continue;
    return report_.finish(std::move(plan_));
  }

 private:
  void by_name(const YamlNode& name) {
    at_ = report_.place(name);
    if (const auto found = predefined(name.text)) {
      shift_ = *found;
    } else {
      report_.error(name,
                    "\"{}\" is no predefined deployment configuration with traffic shifting "
                    "(allowed: {}); of one of your own give the JSON of get-deployment-config",
                    name.text, predefined_names());
    }
  }

  void read(const YamlNode& root) {
    Fields fields(root, report_, "");
    const bool wrapped = fields.take("deploymentConfigInfo") || fields.take("deploymentGroupInfo");
    if (!wrapped) return read_any(root);
    if (auto group = fields.map("deploymentGroupInfo")) {
      read_group(*group, fields.take("deploymentConfigInfo") == nullptr);
    }
    if (auto config = fields.map("deploymentConfigInfo")) read_config(*config);
    fields.done();
  }

  /// The bare inside of either, or the input of create-deployment-group.
  void read_any(const YamlNode& root) {
    Fields fields(root, report_, "");
    if (fields.take("trafficRoutingConfig") != nullptr) {
      read_config(fields);
    } else if (fields.take("deploymentConfigName") != nullptr) {
      read_group(fields, true);
    } else {
      report_.error(root,
                    "no trafficRoutingConfig and no deploymentConfigName: give the JSON of "
                    "get-deployment-config or get-deployment-group, or a predefined name");
    }
  }

  void read_config(Fields& config) {
    config.skip({"deploymentConfigId", "deploymentConfigName", "createTime", "computePlatform",
                 "trafficRoutingConfig"});
    config.cannot("minimumHealthyHosts", "it is for EC2 and on-premises deployments");
    if (auto routing = config.map("trafficRoutingConfig")) {
      read_routing(*routing);
      routing->done();
    }
    config.cannot("zonalConfig", "it is for EC2 deployments");
    config.done();
  }

  void read_routing(Fields& routing) {
    at_ = report_.place(routing.node());
    const std::string type = routing.text("type").value_or("AllAtOnce");
    auto canary = routing.map("timeBasedCanary");
    auto linear = routing.map("timeBasedLinear");
    if (type == "TimeBasedCanary" && canary) {
      shift_ = {Type::Canary, canary->whole("canaryPercentage", 1, 99).value_or(10),
                canary->whole("canaryInterval", 0, 2880).value_or(5)};
      canary->done();
    } else if (type == "TimeBasedLinear" && linear) {
      shift_ = {Type::Linear, linear->whole("linearPercentage", 1, 99).value_or(10),
                linear->whole("linearInterval", 0, 2880).value_or(1)};
      linear->done();
    } else if (type == "AllAtOnce") {
      shift_ = {};
    } else {
      report_.error(routing.node(),
                    "type is \"{}\"; allowed are TimeBasedCanary with timeBasedCanary, "
                    "TimeBasedLinear with timeBasedLinear, AllAtOnce",
                    type);
    }
  }

  void read_group(Fields& group, bool names_config) {
    group.skip({"applicationName", "deploymentGroupId", "deploymentGroupName", "serviceRoleArn",
                "ecsServices", "loadBalancerInfo", "computePlatform", "deploymentStyle",
                "targetRevision", "lastSuccessfulDeployment", "lastAttemptedDeployment",
                "ec2TagFilters", "onPremisesInstanceTagFilters", "autoScalingGroups",
                "deploymentConfigName", "outdatedInstancesStrategy", "tags",
                "terminationHookEnabled"});
    const YamlNode* name = group.take("deploymentConfigName");
    if (names_config) {
      if (name != nullptr) {
        by_name(*name);
      } else {
        report_.error(group.node(), "the deployment group names no deploymentConfigName");
      }
    }
    group.cannot("triggerConfigurations", "notifications change no traffic");
    read_alarms(group);
    if (auto style = group.map("blueGreenDeploymentConfiguration")) {
      read_blue_green(*style);
      style->done();
    }
    group.done();
  }

  void read_alarms(Fields& group) {
    bool rolls_back = false;
    if (auto back = group.map("autoRollbackConfiguration")) {
      const bool enabled = back->truth("enabled").value_or(false);
      for (const YamlNode* event : back->list("events")) {
        if (event->text == "DEPLOYMENT_STOP_ON_ALARM") rolls_back = enabled;
      }
      back->done();
    }
    auto alarms = group.map("alarmConfiguration");
    if (!alarms) return;
    const bool enabled = alarms->truth("enabled").value_or(false);
    if (const auto ignore = alarms->truth("ignorePollAlarmFailure"); ignore.value_or(false)) {
      report_.warn(*alarms->take("ignorePollAlarmFailure"),
                   "ignorePollAlarmFailure is not carried over: alarms can always be read here");
    }
    rollout::AlarmWatch watch;
    for (const YamlNode* item : alarms->list("alarms")) {
      Fields alarm(*item, report_, "alarms");
      if (const auto name = alarm.text("name")) watch.names.push_back(*name);
      alarm.done();
    }
    alarms->done();
    if (!enabled || watch.names.empty()) return;
    watch.place = report_.place(alarms->node());
    watch.at_start = rollout::AlarmAtStart::Stop;
    watch.on_alarm = rolls_back ? rollout::OnFail::Rollback : rollout::OnFail::Pause;
    if (!rolls_back) {
      report_.warn(alarms->node(),
                   "autoRollbackConfiguration has no DEPLOYMENT_STOP_ON_ALARM: an alarm stops the "
                   "deployment and leaves the traffic as it is; here the rollout pauses");
    }
    plan_.watch = std::move(watch);
  }

  void read_blue_green(Fields& style) {
    if (auto end = style.map("terminateBlueInstancesOnDeploymentSuccess")) {
      wait_after_ = minutes{end->whole("terminationWaitTimeInMinutes", 0, 2880).value_or(0)};
      end->skip({"action"});
      end->done();
    }
    style.skip({"greenFleetProvisioningOption"});
    auto ready = style.map("deploymentReadyOption");
    if (!ready) return;
    const std::string action = ready->text("actionOnTimeout").value_or("CONTINUE_DEPLOYMENT");
    const int wait = ready->whole("waitTimeInMinutes", 0, 2880).value_or(0);
    ready->done();
    if (action != "STOP_DEPLOYMENT") return;
    // Traffic is not shifted before somebody says so; after the wait the deployment is stopped.
    plan_.steps.push_back(
        {rollout::Pause{minutes{std::max(wait, 1)}, rollout::OnTimeout::Rollback, {}},
         report_.place(ready->node())});
  }

  void shift() {
    const auto weight = [this](int percent) {
      plan_.steps.push_back({SetWeight{Percent{static_cast<double>(percent)}}, at_});
    };
    const auto wait = [this] {
      if (shift_.interval > 0) plan_.steps.push_back({Bake{minutes{shift_.interval}}, at_});
    };
    if (shift_.type == Type::Canary) {
      weight(shift_.percent);
      wait();
    } else if (shift_.type == Type::Linear) {
      for (int now = shift_.percent; now < 100; now += shift_.percent) {
        weight(now);
        wait();
      }
    }
    weight(100);
  }

  Report report_;
  rollout::Plan plan_;
  Shift shift_;
  Duration wait_after_{};
  Place at_;
};

}  // namespace

Imported import_codedeploy(const std::string& text, const std::string& file) {
  return CodeDeployImporter(file).run(text, file);
}

}  // namespace coalmine::importers
