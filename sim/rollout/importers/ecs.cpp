// ECS-native deployments. Sources: ECS API 2014-11-13, ECS developer guide ("Canary deployments",
// "Linear deployments", "Amazon ECS deployment alarms", "Lifecycle hooks").
#include <cmath>

#include "sim/rollout/importers/fields.h"

namespace coalmine::importers {
namespace {

using rollout::Bake;
using rollout::Promote;
using rollout::SetWeight;
using std::chrono::minutes;

constexpr int kMaxBakeMinutes = 1440;

bool is_tenths(double percent) {
  return std::abs(percent * 10 - std::round(percent * 10)) < 1e-9;
}

class EcsImporter {
 public:
  explicit EcsImporter(const std::string& file) : report_(file) {}

  Imported run(const std::string& text, const std::string& file) {
    const auto root = scenario::parse_yaml(text, file);
    if (!root) {
      report_.add(root.error());
      return report_.finish({});
    }
    read(find_configuration(*root));
    return report_.finish(std::move(plan_));
  }

 private:
  /// The configuration itself, a service that has one, or an answer of DescribeServices.
  const YamlNode& find_configuration(const YamlNode& root) {
    const YamlNode* node = &root;
    for (int depth = 0; depth < 4; ++depth) {
      const YamlNode* inner = nullptr;
      for (const auto& [key, value] : node->pairs) {
        if (key.text == "deploymentConfiguration" || key.text == "service") inner = &value;
        if (key.text == "services" && !value.items.empty()) {
          inner = &value.items.front();
          if (value.items.size() > 1) {
            report_.warn(value.items[1], "only the first of {} services is read",
                         value.items.size());
          }
        }
      }
      if (inner == nullptr) break;
      node = inner;
    }
    return *node;
  }

  void read(const YamlNode& node) {
    Fields fields(node, report_, "deploymentConfiguration");
    const std::string strategy = fields.text("strategy").value_or("ROLLING");
    const YamlNode* named = fields.take("strategy");
    const YamlNode& at = named != nullptr ? *named : node;
    const auto bake = fields.whole("bakeTimeInMinutes", 0, kMaxBakeMinutes);
    std::vector<Pause> pauses = read_hooks(fields);
    if (strategy == "CANARY") {
      read_canary(fields, at);
    } else if (strategy == "LINEAR") {
      read_linear(fields, at);
    } else if (strategy == "BLUE_GREEN") {
      weight(100, at);
    } else if (strategy == "ROLLING") {
      report_.error(at,
                    "strategy ROLLING replaces tasks and has no weights, so there is no plan in "
                    "it; CANARY, LINEAR and BLUE_GREEN have one");
    } else {
      report_.error(at, "strategy is \"{}\", allowed are ROLLING, BLUE_GREEN, LINEAR, CANARY",
                    strategy);
    }
    if (bake && *bake > 0) bake_for(minutes{*bake}, at);
    // In the end blue is cleaned up.
    plan_.steps.push_back(
        {Promote{plan_.canary, rollout::PromoteKind::Replace, false}, report_.place(at)});
    add_pauses(pauses, report_.place(at));
    read_alarms(fields);
    fields.cannot("deploymentCircuitBreaker",
                  "it counts tasks that do not start; here they are waited for");
    fields.skip({"maximumPercent", "minimumHealthyPercent"});  // of ROLLING only
    fields.skip({"linearConfiguration", "canaryConfiguration"});
    fields.done();
    plan_.on_no_data = rollout::OnNoData::Continue;
    report_.note(
        "an alarm that is in ALARM as the deployment starts is ignored, and so are all the others");
  }

  void weight(double percent, const YamlNode& at) {
    plan_.steps.push_back({SetWeight{Percent{percent}}, report_.place(at)});
  }
  void bake_for(Duration length, const YamlNode& at) {
    if (length > Duration{}) plan_.steps.push_back({Bake{length}, report_.place(at)});
  }

  void read_canary(Fields& fields, const YamlNode& at) {
    double percent = 5.0;
    int bake = 10;
    const YamlNode* where = &at;
    if (auto canary = fields.map("canaryConfiguration")) {
      where = &canary->node();
      percent = canary->number("canaryPercent", 0.1, 100).value_or(percent);
      bake = canary->whole("canaryBakeTimeInMinutes", 0, kMaxBakeMinutes).value_or(bake);
      check_tenths(*canary, "canaryPercent", percent);
      canary->done();
    }
    weight(percent, *where);
    bake_for(minutes{bake}, *where);
    if (percent < 100) weight(100, *where);
  }

  void read_linear(Fields& fields, const YamlNode& at) {
    double step = 10.0;
    int bake = 6;
    const YamlNode* where = &at;
    if (auto linear = fields.map("linearConfiguration")) {
      where = &linear->node();
      step = linear->number("stepPercent", 3, 100).value_or(step);
      bake = linear->whole("stepBakeTimeInMinutes", 0, kMaxBakeMinutes).value_or(bake);
      check_tenths(*linear, "stepPercent", step);
      linear->done();
    }
    // In tenths, so that 3 x 33.3 is 99.9 and not almost that.
    const int tenths = static_cast<int>(std::round(step * 10));
    for (int at_now = tenths; at_now < 1000; at_now += tenths) {
      weight(at_now / 10.0, *where);
      bake_for(minutes{bake}, *where);
    }
    weight(100, *where);
  }

  void check_tenths(Fields& fields, const char* key, double percent) {
    if (is_tenths(percent)) return;
    report_.error(*fields.take(key), "{} is {}, allowed are steps of 0.1", key, percent);
  }

  // --- hooks -----------------------------------------------------------------------------------

  struct Pause {
    std::string stage;
    rollout::Pause step;
    Place place;
  };

  std::vector<Pause> read_hooks(Fields& fields) {
    std::vector<Pause> pauses;
    for (const YamlNode* item : fields.list("lifecycleHooks")) {
      Fields hook(*item, report_, "lifecycleHooks");
      const std::string type = hook.text("targetType").value_or("AWS_LAMBDA");
      rollout::Pause pause;
      pause.timeout = minutes{1440};
      if (auto limit = hook.map("timeoutConfiguration")) {
        pause.timeout = minutes{limit->whole("timeoutInMinutes", 1, 20160).value_or(1440)};
        if (limit->text("action").value_or("ROLLBACK") == "CONTINUE") {
          pause.on_timeout = rollout::OnTimeout::Continue;
        }
        limit->done();
      }
      for (const YamlNode* stage : hook.list("lifecycleStages")) {
        if (type == "PAUSE") {
          pauses.push_back({stage->text, pause, report_.place(*stage)});
        } else {
          report_.warn(*stage,
                       "the hook at {} is not carried over: a Lambda function cannot be called "
                       "here; it is taken to answer SUCCEEDED at once",
                       stage->text);
        }
      }
      hook.skip({"hookTargetArn", "roleArn", "hookDetails"});
      hook.done();
    }
    return pauses;
  }

  /// Pauses stand where their stage does: before traffic, before each step, after the last one.
  void add_pauses(const std::vector<Pause>& pauses, const Place& at) {
    std::vector<rollout::Step> steps;
    const auto put = [&](auto&& wanted) {
      for (const Pause& pause : pauses) {
        if (wanted(pause.stage)) steps.push_back({pause.step, pause.place});
      }
    };
    put([](const std::string& stage) {
      return stage == "RECONCILE_SERVICE" || stage == "PRE_SCALE_UP";
    });
    // Green has all its tasks before any traffic.
    steps.push_back({rollout::ScaleCanary{rollout::ScaleCanary::How::Percent, 100}, at});
    put([](const std::string& stage) {
      return stage == "POST_SCALE_UP" || stage == "TEST_TRAFFIC_SHIFT" ||
             stage == "POST_TEST_TRAFFIC_SHIFT";
    });
    double before = 0;
    for (const rollout::Step& step : plan_.steps) {
      const auto* weight = std::get_if<SetWeight>(&step.what);
      if (weight != nullptr) {
        put([](const std::string& s) { return s == "PRE_PRODUCTION_TRAFFIC_SHIFT"; });
        before = weight->canary.value;
      }
      steps.push_back(step);
      if (weight != nullptr) {
        put([](const std::string& s) { return s == "PRODUCTION_TRAFFIC_SHIFT"; });
        if (before >= 100) {
          put([](const std::string& s) { return s == "POST_PRODUCTION_TRAFFIC_SHIFT"; });
        }
      }
    }
    plan_.steps = std::move(steps);
  }

  // --- alarms ----------------------------------------------------------------------------------

  void read_alarms(Fields& fields) {
    auto alarms = fields.map("alarms");
    if (!alarms) return;
    const auto enabled = alarms->truth("enable");
    const auto back = alarms->truth("rollback");
    rollout::AlarmWatch watch;
    for (const YamlNode* name : alarms->list("alarmNames")) watch.names.push_back(name->text);
    for (const char* key : {"enable", "rollback", "alarmNames"}) {
      if (alarms->take(key) == nullptr) {
        report_.error(alarms->node(), "alarms needs the key \"{}\"", key);
      }
    }
    alarms->done();
    if (!enabled.value_or(true) || watch.names.empty()) return;
    watch.place = report_.place(alarms->node());
    watch.at_start = rollout::AlarmAtStart::Ignore;
    // Without rollback the deployment fails and the traffic stays where it is.
    watch.on_alarm = back.value_or(true) ? rollout::OnFail::Rollback : rollout::OnFail::Pause;
    if (!back.value_or(true)) {
      report_.warn(alarms->node(),
                   "rollback is false: an alarm stops the deployment and leaves the traffic as it "
                   "is; here the rollout pauses");
    }
    plan_.watch = std::move(watch);
  }

  Report report_;
  rollout::Plan plan_;
};

}  // namespace

Imported import_ecs(const std::string& text, const std::string& file) {
  return EcsImporter(file).run(text, file);
}

}  // namespace coalmine::importers
