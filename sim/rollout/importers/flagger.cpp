// Flagger's Canary (flagger.app/v1beta1). Source: fluxcd/flagger, pkg/controller/scheduler.go,
// scheduler_metrics.go and pkg/apis/flagger/v1beta1/canary.go; where its manual says otherwise,
// the code is followed.
//
// Flagger's controller is a tick every `interval`. A new revision is noticed at one tick, gets its
// first weight at the next, and from then on each tick first asks whether too many checks have
// failed, then checks, then moves on. So a failure is acted on one interval after the check that
// was one too many, and a check that fails keeps the weight for another interval.
#include <algorithm>

#include "sim/rollout/importers/fields.h"
#include "sim/rollout/matches.h"

namespace coalmine::importers {
namespace {

using rollout::Bake;
using rollout::CheckSpec;
using rollout::SetWeight;
using std::chrono::seconds;

constexpr Duration kDefaultInterval = seconds{60};
constexpr Duration kShortestInterval = seconds{10};
constexpr Duration kMetricWindow = seconds{60};
constexpr int kMaxIterations = 1000;

class FlaggerImporter {
 public:
  explicit FlaggerImporter(const std::string& file) : report_(file) {}

  Imported run(const std::string& text, const std::string& file) {
    const auto documents = scenario::parse_yaml_documents(text, file);
    if (!documents) {
      report_.add(documents.error());
      return report_.finish({});
    }
    const YamlNode* canary = nullptr;
    for (const YamlNode& root : *documents) {
      Fields fields(root, report_, "");
      const std::string kind = fields.text("kind").value_or("");
      if (kind == "Canary" && canary == nullptr) {
        canary = &root;
      } else {
        report_.warn(root, "{} is not carried over: {}",
                     kind.empty() ? "a document without kind" : kind,
                     kind == "Canary"           ? "only the first Canary is read"
                     : kind == "MetricTemplate" ? "its query cannot be run here"
                                                : "only a Canary holds a plan");
      }
    }
    if (canary == nullptr) {
      report_.error(documents->front(), "there is no document of kind Canary");
      return report_.finish({});
    }
    read_canary(*canary);
    return report_.finish(std::move(plan_));
  }

 private:
  void read_canary(const YamlNode& root) {
    Fields fields(root, report_, "");
    fields.skip({"apiVersion", "kind", "metadata"});
    fields.cannot("status", "a plan begins at the beginning");
    auto spec = fields.map("spec");
    fields.done();
    if (!spec) return report_.error(root, "the Canary has no spec");
    spec->skip({"targetRef", "provider", "ingressRef", "routeRef", "upstreamRef", "metricsServer"});
    spec->cannot("autoscalerRef", "nothing scales with the load here");
    if (const auto deadline = spec->whole("progressDeadlineSeconds", 1, 1'000'000)) {
      plan_.task_patience = seconds{*deadline};
    }
    spec->cannot("revertOnDeletion", "nothing is deleted here");
    spec->cannot("suspend", "a suspended canary has no rollout to play");
    read_service(*spec);
    const auto skip_analysis = spec->truth("skipAnalysis").value_or(false);
    const YamlNode* old_name = spec->take("canaryAnalysis");
    auto analysis = spec->map("analysis");
    if (!analysis && old_name != nullptr) analysis = spec->map("canaryAnalysis");
    if (!analysis) {
      report_.error(spec->node(), "spec has no analysis, so there is no plan in it");
    } else if (skip_analysis) {
      report_.warn(*spec->take("skipAnalysis"),
                   "skipAnalysis promotes every revision unseen: that is the plan now");
      analysis_skipped(*analysis);
    } else {
      read_analysis(*analysis);
    }
    spec->done();
  }

  void read_service(Fields& spec) {
    auto service = spec.map("service");
    if (!service) return;
    service->skip({"name", "port", "portName", "portDiscovery", "targetPort", "appProtocol",
                   "hosts", "gateways", "gatewayRefs", "meshName", "backends", "apex", "primary",
                   "canary", "delegation", "unmanagedMetadata"});
    for (const char* key : {"timeout", "retries", "headers", "match", "rewrite", "mirror",
                            "trafficPolicy", "corsPolicy"}) {
      service->cannot(key, "it configures the mesh, which is the scenario's given part");
    }
    service->done();
  }

  void analysis_skipped(Fields& analysis) {
    plan_.steps = {{SetWeight{Percent{100}}, report_.place(analysis.node())},
                   {rollout::Promote{plan_.canary}, report_.place(analysis.node())}};
  }

  // --- steps -----------------------------------------------------------------------------------

  void read_analysis(Fields& analysis) {
    interval_ =
        std::max(analysis.duration("interval").value_or(kDefaultInterval), kShortestInterval);
    if (const YamlNode* given = analysis.take("interval")) {
      const auto typed = parse_duration(given->text);
      if (typed && *typed < kShortestInterval) {
        report_.warn(*given, "interval is {}; Flagger takes 10s, its shortest", given->text);
      }
    }
    const int threshold = std::max(analysis.whole("threshold", 0, 100000).value_or(0), 1);
    const auto iterations = analysis.whole("iterations", 0, kMaxIterations).value_or(0);
    read_hooks(analysis);
    const YamlNode* match = analysis.take("match");
    if (iterations > 0) {
      add_iterations(analysis, iterations, match);
    } else {
      if (match != nullptr) {
        report_.warn(*match, "match without iterations is not carried over: weights go by");
      }
      add_weights(analysis);
    }
    read_metrics(analysis, threshold);
    read_affinity(analysis);
    analysis.cannot("alerts", "messages change no traffic");
    analysis.cannot("canaryReadyThreshold", "all tasks are waited for here");
    analysis.cannot("primaryReadyThreshold", "all tasks are waited for here");
    if (const auto step = analysis.whole("stepWeightPromotion", 0, 100); step.value_or(0) > 0) {
      report_.warn(*analysis.take("stepWeightPromotion"),
                   "stepWeightPromotion is not carried over: by then both versions are the same "
                   "build, so users see no difference");
    }
    analysis.done();
    plan_.on_no_data = rollout::OnNoData::Continue;
    report_.note(
        "Flagger's last ticks: promote (the primary gets the new build, the weights stay), route "
        "back, finalise (the canary is stopped); Flagger waits for its next tick each time, the "
        "plan only for the tasks");
  }

  void add(rollout::StepKind step, const YamlNode& at) {
    plan_.steps.push_back({std::move(step), report_.place(at)});
  }

  void begin(const YamlNode& at) {
    // The tick that notices the revision scales it up and returns.
    add(SetWeight{Percent{0}}, at);
    add(Bake{interval_}, at);
    if (!gate_at_start_.empty()) add(rollout::Pause{{}, {}, gate_at_start_}, at);
  }

  void end(const YamlNode& at) {
    if (!gate_at_end_.empty()) add(rollout::Pause{{}, {}, gate_at_end_}, at);
    last_check_step_ = plan_.steps.size();
    add(rollout::Promote{plan_.canary, rollout::PromoteKind::ImageSwap, true}, at);
  }

  void add_weights(Fields& analysis) {
    const auto mirror = analysis.truth("mirror").value_or(false);
    const auto mirror_weight = analysis.number("mirrorWeight", 0, 100).value_or(100);
    const auto step = analysis.number("stepWeight", 0, 100).value_or(0);
    const auto max = analysis.number("maxWeight", 0, 100).value_or(0);
    std::vector<double> weights;
    const YamlNode* list = analysis.take("stepWeights");
    for (const YamlNode* item : analysis.list("stepWeights")) {
      const auto weight = read_number(item->text);
      if (!weight || !(*weight > 0 && *weight <= 100)) {
        report_.error(*item, "a step weight is {}, allowed is above 0 and up to 100",
                      scenario::describe(*item));
        continue;
      }
      if (!weights.empty() && *weight <= weights.back()) {
        report_.error(*item, "the weights do not rise: {} comes after {}", *weight, weights.back());
      }
      weights.push_back(*weight);
    }
    const YamlNode* step_node = analysis.take("stepWeight");
    const YamlNode& at = list != nullptr        ? *list
                         : step_node != nullptr ? *step_node
                                                : analysis.node();
    if (list == nullptr && step <= 0) {
      // With a step of 0 Flagger's canary never moves on and never ends.
      return report_.error(analysis.node(),
                           "there is neither stepWeight nor stepWeights nor iterations: the canary "
                           "would get no traffic");
    }
    if (list != nullptr && step_node != nullptr) {
      report_.warn(*step_node, "stepWeight does not count beside stepWeights");
    }
    if (list == nullptr) {
      // A step more than maxWeight is still taken in full, up to 100.
      const double end = max > 0 ? max : 100;
      for (double now = 0; now < end;) weights.push_back(now = std::min(100.0, now + step));
    }
    begin(at);
    if (mirror) {
      add(rollout::Mirror{Percent{mirror_weight}}, at);
      add(Bake{interval_}, at);
      add(rollout::Mirror{Percent{0}}, at);
    }
    first_check_step_ = plan_.steps.size() + 1;
    for (const double weight : weights) {
      add(SetWeight{Percent{weight}}, at);
      add(Bake{interval_}, at);
    }
    end(at);
  }

  /// A/B testing (with match) and blue/green (without): so many ticks, no weights.
  void add_iterations(Fields& analysis, int iterations, const YamlNode* match) {
    for (const char* key : {"stepWeight", "stepWeights", "maxWeight"}) {
      analysis.cannot(key, "with iterations Flagger shifts no weights");
    }
    analysis.skip({"mirrorWeight"});
    const YamlNode& at = *analysis.take("iterations");
    begin(at);
    if (match != nullptr) {
      add(read_match(*match), *match);
    } else if (analysis.truth("mirror").value_or(false)) {
      add(rollout::Mirror{Percent{100}}, *analysis.take("mirror"));
    } else {
      report_.warn(at,
                   "iterations without match or mirror is blue/green: the canary gets no users "
                   "before it gets all of them, so there is nothing for the checks to see");
    }
    first_check_step_ = plan_.steps.size();
    for (int i = 0; i < iterations; ++i) add(Bake{interval_}, at);
    end(at);
  }

  rollout::RouteMatching read_match(const YamlNode& list) {
    rollout::RouteMatching route;
    for (const YamlNode& item : list.items) {
      Fields one(item, report_, "match");
      auto headers = one.map("headers");
      if (headers) {
        const auto& pairs = headers->node().pairs;
        if (pairs.size() > 1) {
          report_.warn(item,
                       "the headers of one match must all be there in Flagger; here each of the {} "
                       "suffices",
                       pairs.size());
        }
        for (const auto& [name, value] : pairs) {
          Fields how(value, report_, "headers");
          rollout::RouteMatch match;
          match.name = name.text;
          if (const auto exact = how.text("exact")) match.value = *exact;
          if (const auto regex = how.text("regex")) {
            match.value = *regex;
            match.regex = true;
          }
          if (const auto prefix = how.text("prefix")) {
            match.value = rollout::as_regex(*prefix) + ".*";
            match.regex = true;
          }
          how.done();
          route.any_of.push_back(as_cookie(match).value_or(match));
        }
      }
      one.cannot("queryParams", "requests here are told apart by header or cookie");
      one.cannot("sourceLabels", "requests here are told apart by header or cookie");
      one.done();
    }
    return route;
  }

  /// Flagger's manual asks for a cookie by `^(.*?;)?(NAME=VALUE)(;.*)?$` of the whole header.
  static std::optional<rollout::RouteMatch> as_cookie(const rollout::RouteMatch& header) {
    constexpr std::string_view kBefore = "^(.*?;)?(", kBehind = ")(;.*)?$";
    std::string_view text = header.value;
    if (header.name != "cookie" || !header.regex || !text.starts_with(kBefore) ||
        !text.ends_with(kBehind) || text.size() <= kBefore.size() + kBehind.size()) {
      return std::nullopt;
    }
    text = text.substr(kBefore.size(), text.size() - kBefore.size() - kBehind.size());
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    rollout::RouteMatch cookie;
    cookie.by = rollout::RouteMatch::By::Cookie;
    cookie.name = text.substr(0, equals);
    cookie.value = text.substr(equals + 1);
    // What has no sign of an expression is a value.
    cookie.regex = rollout::as_regex(cookie.value) != cookie.value;
    return cookie;
  }

  // --- checks ----------------------------------------------------------------------------------

  void read_metrics(Fields& analysis, int threshold) {
    CheckSpec spec;
    spec.name = "flagger";
    spec.every = interval_;
    spec.window = kMetricWindow;
    spec.delay = interval_;
    // The limit counts all failed checks of the rollout; it is reached at `threshold`.
    spec.failures = threshold - 1;
    spec.inconclusives = std::nullopt;
    spec.counted = rollout::Tally::Rollout;
    spec.no_data = rollout::CheckResult::Failed;  // "Halt advancement no values found for metric"
    spec.holds_step = true;
    spec.acts_late = true;
    spec.from_step = first_check_step_;
    spec.to_step = last_check_step_;
    const YamlNode* at = analysis.take("metrics");
    spec.place = report_.place(at != nullptr ? *at : analysis.node());
    for (const YamlNode* item : analysis.list("metrics")) {
      Fields metric(*item, report_, "metrics");
      if (auto limit = read_metric(metric)) spec.limits.push_back(std::move(*limit));
      metric.done();
    }
    if (spec.limits.empty()) {
      report_.warn(at != nullptr ? *at : analysis.node(),
                   "no metric is left to check: every revision is promoted");
      return;
    }
    plan_.checks.push_back(std::move(spec));
  }

  std::optional<rollout::Limit> read_metric(Fields& metric) {
    const std::string name = metric.text("name").value_or("");
    const bool success = name == "request-success-rate";
    const bool duration = name == "request-duration";
    rollout::Limit limit;
    limit.name = name;
    limit.window = metric.duration("interval");
    if (metric.take("templateRef") != nullptr || metric.take("query") != nullptr ||
        !(success || duration)) {
      metric.skip({"templateVariables", "thresholdRange", "threshold"});
      report_.warn(metric.node(),
                   "the metric {} is not carried over: its query cannot be run here; only "
                   "request-success-rate and request-duration can be measured",
                   name);
      return std::nullopt;
    }
    std::optional<double> min, max;
    if (auto range = metric.map("thresholdRange")) {
      min = range->number("min", 0, 1e9);
      max = range->number("max", 0, 1e9);
      range->done();
    } else if (const auto old = metric.number("threshold", 0, 1e9)) {
      (success ? min : max) = old;
    }
    metric.skip({"threshold"});
    if (!min && !max) {
      report_.warn(metric.node(), "the metric {} has no thresholdRange: it never fails", name);
      return std::nullopt;
    }
    if (success) {
      limit.signal = rollout::Signal::Errors;
      if (min) limit.pass_max = rollout::Bound{complement(*min)};
      if (max) limit.pass_min = rollout::Bound{complement(*max)};
      return limit;
    }
    limit.signal = rollout::Signal::Latency;  // p99, in milliseconds
    if (max) limit.pass_max = rollout::Bound{*max / 1000};
    if (min) {
      report_.warn(metric.node(),
                   "min of request-duration is not carried over: a latency has an "
                   "upper limit only");
    }
    return max ? std::optional(limit) : std::nullopt;
  }

  void read_affinity(Fields& analysis) {
    auto affinity = analysis.map("sessionAffinity");
    if (!affinity) return;
    rollout::SessionAffinity kept;
    kept.cookie = affinity->text("cookieName").value_or("");
    kept.lasts = seconds{affinity->whole("maxAge", 1, 1 << 30).value_or(86400)};
    kept.place = report_.place(affinity->node());
    affinity->cannot("primaryCookieName", "users of the stable version are not pinned here");
    affinity->skip({"domain", "httpOnly", "partitioned", "path", "sameSite", "secure"});
    affinity->done();
    plan_.affinity = std::move(kept);
  }

  // --- webhooks --------------------------------------------------------------------------------

  void read_hooks(Fields& analysis) {
    for (const YamlNode* item : analysis.list("webhooks")) {
      Fields fields(*item, report_, "webhooks");
      const std::string type = fields.text("type").value_or("rollout");
      rollout::Hook hook;
      hook.name = fields.text("name").value_or(fmt::format("webhook-{}", plan_.hooks.size() + 1));
      hook.url = fields.text("url").value_or("");
      hook.timeout = fields.duration("timeout").value_or(seconds{10});
      hook.retries = fields.whole("retries", 0, 1000).value_or(0);
      hook.place = report_.place(*item);
      fields.skip({"type", "muteAlert", "disableTLS"});
      if (type == "rollout" && read_load(fields)) continue;
      fields.cannot("metadata", "a hook's call carries name, phase and weights");
      fields.done();
      add_hook(std::move(hook), type, *item);
    }
  }

  /// Flagger's load tester runs `hey -z 1m -q 10 -c 2 URL`: 10 requests a second of each of 2
  /// workers (rakyll/hey: -q is per worker). Called at every check, it makes load all the time.
  bool read_load(Fields& hook) {
    auto metadata = hook.map("metadata");
    if (!metadata) return false;
    const std::string command = metadata->text("cmd").value_or("");
    const auto option = [&command](std::string_view name) -> std::optional<double> {
      const std::size_t at = command.find(name);
      if (at == std::string::npos) return std::nullopt;
      const std::size_t begin = command.find_first_not_of(' ', at + name.size());
      if (begin == std::string::npos) return std::nullopt;
      return read_number(command.substr(begin, command.find(' ', begin) - begin));
    };
    const auto rate = option(" -q "), workers = option(" -c ");
    if (command.rfind("hey ", 0) != 0 || !rate || !workers || !(*rate * *workers > 0)) return false;
    metadata->skip({"type", "logCmdOutput"});
    metadata->done();
    hook.done();
    if (!plan_.load) plan_.load = rollout::SyntheticLoad{Rate{0}, report_.place(hook.node())};
    plan_.load->rate.per_s += *rate * *workers;
    report_.note(
        fmt::format("the load of {} goes where users' requests go, by the weights; "
                    "Flagger's goes where its URL says",
                    hook.text("name").value_or("the webhook")));
    return true;
  }

  void add_hook(rollout::Hook hook, const std::string& type, const YamlNode& at) {
    using rollout::HookStage;
    if (type == "pre-rollout") {
      hook.at = HookStage::PreRollout;
      report_.warn(at,
                   "a pre-rollout hook that objects rolls back at once here; Flagger counts it "
                   "as a failed check and asks again");
    } else if (type == "confirm-rollout") {
      gate_at_start_ = hook.name;
      hook.at = HookStage::Gate;
    } else if (type == "confirm-promotion") {
      gate_at_end_ = hook.name;
      hook.at = HookStage::Gate;
    } else if (type == "confirm-traffic-increase") {
      hook.at = HookStage::PreStep;
      report_.warn(at,
                   "a confirm-traffic-increase hook that objects pauses here; Flagger asks "
                   "again at each interval");
      hook.on_fail = rollout::OnFail::Pause;
    } else if (type == "post-rollout") {
      hook.at = HookStage::PostRollout;
      hook.on_fail = rollout::OnFail::Ignore;
    } else {
      report_.warn(at, "the webhook {} is not carried over: {}", hook.name,
                   type == "rollout"    ? "it is called at every check, mostly to make load; the "
                                          "scenario's given.traffic does that"
                   : type == "rollback" ? "an operator's abort does what it does"
                   : type == "event"    ? "messages change no traffic"
                                        : "its type is not known here");
      return;
    }
    plan_.hooks.push_back(std::move(hook));
  }

  Report report_;
  rollout::Plan plan_;
  Duration interval_ = kDefaultInterval;
  std::string gate_at_start_, gate_at_end_;
  std::size_t first_check_step_ = 0, last_check_step_ = 0;
};

}  // namespace

Imported import_flagger(const std::string& text, const std::string& file) {
  return FlaggerImporter(file).run(text, file);
}

}  // namespace coalmine::importers
