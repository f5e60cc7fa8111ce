// Argo Rollouts (argoproj.io/v1alpha1): canary strategy and AnalysisTemplates of one file. Source:
// argoproj/argo-rollouts, utils/evaluate/evaluate.go, analysis/analysis.go,
// utils/defaults/defaults.go and pkg/apis/rollouts/v1alpha1/{types,analysis_types}.go; where the
// manual says otherwise, the code is followed.
#include <algorithm>
#include <map>

#include "sim/rollout/importers/argo_metrics.h"
#include "sim/rollout/importers/fields.h"
#include "sim/rollout/matches.h"

namespace coalmine::importers {
namespace {

using rollout::CheckSpec;
using std::chrono::seconds;

class ArgoImporter {
 public:
  explicit ArgoImporter(const std::string& file) : report_(file) {}

  Imported run(const std::string& text, const std::string& file) {
    const auto documents = scenario::parse_yaml_documents(text, file);
    if (!documents) {
      report_.add(documents.error());
      return report_.finish({});
    }
    const YamlNode* rollout = nullptr;
    for (const YamlNode& root : *documents) {
      Fields fields(root, report_, "");
      const std::string kind = fields.text("kind").value_or("");
      if (kind == "AnalysisTemplate" || kind == "ClusterAnalysisTemplate") {
        std::string name;
        if (auto meta = fields.map("metadata")) name = meta->text("name").value_or("");
        templates_[name] = &root;
      } else if (kind == "Rollout" && rollout == nullptr) {
        rollout = &root;
      } else {
        report_.warn(root, "{} is not carried over: {}",
                     kind.empty() ? "a document without kind" : kind,
                     kind == "Rollout" ? "only the first Rollout is read"
                                       : "only a Rollout and its AnalysisTemplates hold a plan");
      }
    }
    if (rollout == nullptr) {
      report_.error(documents->front(), "there is no document of kind Rollout");
      return report_.finish({});
    }
    read_rollout(*rollout);
    return report_.finish(std::move(plan_));
  }

 private:
  void read_rollout(const YamlNode& root) {
    Fields fields(root, report_, "");
    fields.skip({"apiVersion", "kind", "metadata", "status"});
    auto spec = fields.map("spec");
    fields.done();
    if (!spec) return report_.error(root, "the Rollout has no spec");
    spec->skip({"replicas", "selector", "template", "workloadRef", "revisionHistoryLimit",
                "minReadySeconds", "restartAt"});
    if (const auto deadline = spec->whole("progressDeadlineSeconds", 1, 1'000'000)) {
      plan_.task_patience = seconds{*deadline};
    }
    if (!spec->truth("progressDeadlineAbort").value_or(true)) {
      spec->cannot("progressDeadlineAbort", "tasks that do not come up roll back here");
    }
    spec->cannot("rollbackWindow", "every rollout here goes through all steps");
    spec->cannot("analysis", "it only keeps old runs");
    spec->cannot("paused", "a plan begins at the beginning");
    auto strategy = spec->map("strategy");
    spec->done();
    if (!strategy) return report_.error(spec->node(), "spec has no strategy");
    if (const YamlNode* other = strategy->take("blueGreen")) {
      report_.error(*other, "the strategy blueGreen has no weights; canary has a plan");
    }
    auto canary = strategy->map("canary");
    strategy->done();
    if (!canary) return report_.error(strategy->node(), "spec.strategy has no canary");
    read_canary(*canary);
  }

  void read_canary(Fields& canary) {
    canary.skip({"canaryService", "stableService", "canaryMetadata", "stableMetadata", "maxSurge",
                 "maxUnavailable", "antiAffinity", "pingPong"});
    for (const char* key : {"abortScaleDownDelaySeconds", "scaleDownDelaySeconds"}) {
      const auto delay = canary.whole(key, 0, 1'000'000);
      if (delay && seconds{*delay} != plan_.settle) {
        canary.cannot(key, fmt::format("tasks go {} after their traffic here",
                                       coalmine::to_string(plan_.settle)));
      }
    }
    canary.cannot("scaleDownDelayRevisionLimit", "there are two versions here");
    canary.cannot("dynamicStableScale",
                  "stable keeps its tasks here, so that a roll-back finds somebody");
    if (canary.whole("minPodsPerReplicaSet", 1, 1'000'000).value_or(1) > 1) {
      canary.cannot("minPodsPerReplicaSet", "a canary with a weight has one task at least here");
    }
    canary.cannot("replicaProgressThreshold", "all tasks are waited for here");
    read_routing(canary);
    const YamlNode* list = canary.take("steps");
    for (const YamlNode* step : canary.list("steps")) {
      first_of_step_.push_back(plan_.steps.size());
      read_step(*step);
    }
    if (plan_.steps.empty()) {
      report_.error(list != nullptr ? *list : canary.node(),
                    "there are no steps: such a rollout replaces pods and shifts no traffic");
    }
    if (auto analysis = canary.map("analysis")) read_background(*analysis);
    canary.done();
    plan_.steps.push_back({rollout::Promote{plan_.canary, rollout::PromoteKind::Replace, false},
                           report_.place(canary.node())});
    plan_.on_no_data = rollout::OnNoData::Continue;
  }

  void read_routing(Fields& canary) {
    auto routing = canary.map("trafficRouting");
    if (!routing) {
      report_.warn(canary.node(),
                   "without trafficRouting Argo approximates weights by the number of pods; here "
                   "they are exact");
      return;
    }
    // As many pods as the weight says, unless a step says otherwise.
    plan_.capacity = rollout::CanaryCapacity::FollowWeight;
    if (const auto max = routing->number("maxTrafficWeight", 1, 1e9)) max_weight_ = *max;
    // Which mesh or load balancer it is does not change the plan.
    for (const auto& [name, value] : routing->node().pairs) routing->skip({name.text});
  }

  // --- steps -----------------------------------------------------------------------------------

  void add(rollout::StepKind what, const YamlNode& at) {
    plan_.steps.push_back({std::move(what), report_.place(at)});
  }

  void read_step(const YamlNode& node) {
    Fields step(node, report_, "steps");
    if (const auto weight = step.number("setWeight", 0, max_weight_)) {
      add(rollout::SetWeight{Percent{*weight * 100 / max_weight_}}, *step.take("setWeight"));
    }
    read_pause(step, node);
    if (auto analysis = step.map("analysis")) {
      rollout::Examine examine{read_analysis(*analysis, true)};
      analysis->done();
      if (!examine.checks.empty()) {
        add(std::move(examine), node);
      } else {
        report_.warn(node, "no metric of this analysis is left: the step passes at once");
      }
    }
    if (auto scale = step.map("setCanaryScale")) add(read_scale(*scale), node);
    if (auto route = step.map("setHeaderRoute")) add(read_header_route(*route, node), node);
    if (auto mirror = step.map("setMirrorRoute")) {
      mirror->skip({"name"});
      mirror->cannot("match", "all requests are mirrored alike here");
      add(rollout::Mirror{Percent{mirror->number("percentage", 0, 100).value_or(0)}}, node);
      mirror->done();
    }
    if (auto experiment = step.map("experiment")) read_experiment(*experiment, node);
    step.cannot("plugin", "what a plugin does is not known here");
    step.done();
  }

  /// `pause: {}` is written as a map without keys, or as nothing at all.
  void read_pause(Fields& step, const YamlNode& node) {
    for (const auto& [name, value] : node.pairs) {
      if (name.text != "pause") continue;
      step.take("pause");
      if (value.kind == YamlNode::Kind::Null) return add(rollout::Pause{}, name);
      Fields pause(value, report_, "pause");
      const auto length = pause.duration("duration", true);
      pause.done();
      if (!length) return add(rollout::Pause{}, name);
      if (*length > Duration{}) add(rollout::Bake{*length}, value);
      return;
    }
  }

  rollout::ScaleCanary read_scale(Fields& scale) {
    rollout::ScaleCanary step;
    if (const auto replicas = scale.number("replicas", 0, 1e6)) {
      step = {rollout::ScaleCanary::How::Tasks, *replicas};
    } else if (const auto weight = scale.number("weight", 0, 100)) {
      step = {rollout::ScaleCanary::How::Percent, *weight};
    }
    scale.skip({"matchTrafficWeight"});
    scale.done();
    return step;
  }

  /// Routes of other names stay; one without match is taken away.
  rollout::RouteMatching read_header_route(Fields& route, const YamlNode& node) {
    const std::string name = route.text("name").value_or("");
    std::vector<rollout::RouteMatch> any_of;
    for (const YamlNode* item : route.list("match")) {
      Fields match(*item, report_, "match");
      rollout::RouteMatch one;
      one.name = match.text("headerName").value_or("");
      if (auto value = match.map("headerValue")) {
        if (const auto exact = value->text("exact")) one.value = *exact;
        if (const auto regex = value->text("regex")) {
          one.value = *regex;
          one.regex = true;
        }
        if (const auto prefix = value->text("prefix")) {
          one.value = rollout::as_regex(*prefix) + ".*";
          one.regex = true;
        }
        value->done();
      }
      match.done();
      any_of.push_back(std::move(one));
    }
    route.done();
    const auto same = [&name](const auto& other) { return other.first == name; };
    if (any_of.empty() && std::none_of(header_routes_.begin(), header_routes_.end(), same)) {
      report_.warn(node, "there is no header route \"{}\" to take away", name);
    }
    std::erase_if(header_routes_, same);
    if (!any_of.empty()) header_routes_.emplace_back(name, std::move(any_of));
    rollout::RouteMatching step;
    for (const auto& [other, matches] : header_routes_) {
      step.any_of.insert(step.any_of.end(), matches.begin(), matches.end());
    }
    return step;
  }

  void read_experiment(Fields& experiment, const YamlNode& node) {
    rollout::Experiment step;
    const auto length = experiment.duration("duration");
    step.length = length.value_or(Duration{});
    std::map<std::string, double> shares;  // by what a template is a copy of
    for (const YamlNode* item : experiment.list("templates")) {
      Fields one(*item, report_, "templates");
      double& share = shares[one.text("specRef").value_or("")];
      share = std::max(share, one.number("weight", 0, 100).value_or(0));
      one.skip({"name", "replicas", "metadata", "selector", "service"});
      one.done();
    }
    experiment.cannot("analyses", "an experiment's own analyses are not read");
    experiment.skip({"dryRun", "analysisRunMetadata"});
    experiment.done();
    step.share = Percent{shares["canary"]};
    if (!length) {
      report_.warn(node, "an experiment without a duration ends with its analyses; it is left out");
    } else if (!(step.share.value > 0) || shares["stable"] != step.share.value) {
      report_.warn(node,
                   "the experiment gives weight {} to the canary's template and {} to stable's; "
                   "only equal ones above 0 are a comparison, so it is left out",
                   step.share.value, shares["stable"]);
    } else {
      add(step, node);
    }
  }

  // --- analyses --------------------------------------------------------------------------------

  void read_background(Fields& analysis) {
    const auto from = analysis.whole("startingStep", 0, 10000).value_or(0);
    std::vector<CheckSpec> checks = read_analysis(analysis, false);
    analysis.done();
    for (CheckSpec& spec : checks) {
      const auto step = static_cast<std::size_t>(from);
      if (step < first_of_step_.size()) spec.from_step = first_of_step_[step];
      if (step >= first_of_step_.size() && step > 0) {
        report_.warn(*analysis.take("startingStep"),
                     "startingStep is {}, but there are {} steps: the analysis never runs", from,
                     first_of_step_.size());
        return;
      }
      plan_.checks.push_back(std::move(spec));
    }
  }

  std::vector<CheckSpec> read_analysis(Fields& analysis, bool inline_step) {
    Arguments given;
    for (const YamlNode* item : analysis.list("args")) {
      Fields arg(*item, report_, "args");
      const std::string name = arg.text("name").value_or("");
      if (const auto value = arg.text("value")) given[name] = *value;
      arg.skip({"valueFrom"});
      arg.done();
    }
    std::vector<CheckSpec> checks;
    for (const YamlNode* item : analysis.list("templates")) {
      Fields ref(*item, report_, "templates");
      const std::string name = ref.text("templateName").value_or("");
      ref.skip({"clusterScope"});
      ref.done();
      const auto found = templates_.find(name);
      if (found == templates_.end()) {
        report_.warn(*item,
                     "the AnalysisTemplate \"{}\" is not in this file, so it is not carried over; "
                     "put both into one file, parted by ---",
                     name);
        continue;
      }
      read_template(*found->second, given, inline_step, checks);
    }
    read_dry_run(analysis, checks);
    analysis.skip({"measurementRetention", "analysisRunMetadata"});
    return checks;
  }

  void read_template(const YamlNode& root, const Arguments& given, bool inline_step,
                     std::vector<CheckSpec>& checks) {
    Fields fields(root, report_, "");
    fields.skip({"apiVersion", "kind", "metadata"});
    auto spec = fields.map("spec");
    if (!spec) return report_.error(root, "the AnalysisTemplate has no spec");
    Arguments arguments;
    for (const YamlNode* item : spec->list("args")) {
      Fields arg(*item, report_, "args");
      const std::string name = arg.text("name").value_or("");
      if (const auto value = arg.text("value")) arguments[name] = *value;
      arg.skip({"valueFrom"});
      arg.done();
    }
    for (const auto& [name, value] : given) arguments[name] = value;
    for (const YamlNode* item : spec->list("metrics")) {
      auto check = read_argo_metric(*item, arguments, report_);
      if (!check) continue;
      if (inline_step && !check->count && !check->successes) {
        report_.error(*item,
                      "the metric {} has an interval and no count: as a step of its own it would "
                      "never end",
                      check->name);
      }
      checks.push_back(std::move(*check));
    }
    read_dry_run(*spec, checks);
    spec->cannot("templates", "templates of templates are not read");
    spec->skip({"measurementRetention"});
    spec->done();
  }

  /// Metrics that are only looked at.
  void read_dry_run(Fields& fields, std::vector<CheckSpec>& checks) {
    for (const YamlNode* item : fields.list("dryRun")) {
      Fields one(*item, report_, "dryRun");
      const std::string name = one.text("metricName").value_or("");
      one.done();
      for (CheckSpec& spec : checks) {
        if (name != spec.name && name != ".*") continue;
        spec.on_fail = spec.on_inconclusive = rollout::OnFail::Ignore;
      }
    }
  }

  Report report_;
  rollout::Plan plan_;
  double max_weight_ = 100;
  std::map<std::string, const YamlNode*> templates_;
  std::vector<std::size_t> first_of_step_;  ///< of the plan, by Argo's step
  /// Those in force at the step that is read, by name.
  std::vector<std::pair<std::string, std::vector<rollout::RouteMatch>>> header_routes_;
};

}  // namespace

Imported import_argo(const std::string& text, const std::string& file) {
  return ArgoImporter(file).run(text, file);
}

}  // namespace coalmine::importers
