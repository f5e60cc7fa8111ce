#include "sim/scenario/fault_keys.h"
#include "sim/scenario/tables.h"

namespace coalmine::scenario {
namespace {

using world::OperatorCommand;

// --- when --------------------------------------------------------------------------------------

struct EventDraft {
  Duration at{};
  std::optional<world::InjectFault> fault;
  std::optional<OperatorCommand> command;
  std::optional<std::string> reason;
  std::optional<std::map<std::string, std::uint32_t>> weights;
  std::optional<world::ThrottleApi> throttle;
  std::optional<std::map<std::string, int>> tasks;
  std::optional<world::RevisionArrives> revision;
  std::optional<world::ControllerDies> controller;
  Place place;
};

Rule<world::InjectFault> inject_rule() {
  using F = world::InjectFault;
  ObjectRule<F> object("a version begins to misbehave");
  object.required("target", name_rule("the version"), &F::target);
  add_fault_keys(object, &F::fault);
  object
      .optional("for",
                duration_rule("for so long; default: until the end", std::chrono::milliseconds{1},
                              kMaxLimit),
                &F::length)
      .then([](const YamlNode& node, Reader& reader, F& inject) {
        return check_fault(node, reader, inject.fault);
      });
  return object.rule();
}

Rule<world::ThrottleApi> throttle_rule() {
  using T = world::ThrottleApi;
  return ObjectRule<T>("AWS refuses the rollout's calls for coming too fast")
      .optional("share", percent_rule("share of the calls; default 100%", 0, 100), &T::share)
      .optional("for",
                duration_rule("for so long; default: until the end", std::chrono::milliseconds{1},
                              kMaxLimit),
                &T::length)
      .rule();
}

Rule<std::map<std::string, int>> tasks_rule() {
  auto names = named_rule("somebody changes how many tasks a version has",
                          integer_rule("copies that run", 0, 1000), 1, kMaxVersions);
  return converted<std::map<std::string, int>>(std::move(names), [](auto&& pairs) {
    std::map<std::string, int> tasks;
    for (const auto& [name, count] : pairs) tasks[name] = static_cast<int>(count);
    return tasks;
  });
}

Rule<world::RevisionArrives> revision_rule() {
  using R = world::RevisionArrives;
  return ObjectRule<R>("a build newer than the canary arrives; rollout.on-newer says what then")
      .required("version", name_rule("its name"), &R::version)
      .optional("errors", percent_rule("of its requests, that fail; default 0%", 0, 100),
                &R::errors)
      .rule();
}

Rule<world::ControllerDies> controller_rule() {
  using C = world::ControllerDies;
  return ObjectRule<C>("the rollout's controller is killed; another goes on from its journal")
      .required(
          "down-for",
          duration_rule("until the other one is there", std::chrono::milliseconds{1}, kMaxLimit),
          &C::down)
      .rule();
}

world::Event to_event(EventDraft&& draft) {
  if (draft.revision) return {draft.at, *draft.revision, draft.place};
  if (draft.controller) return {draft.at, *draft.controller, draft.place};
  if (draft.fault) return {draft.at, *draft.fault, draft.place};
  if (draft.weights) return {draft.at, world::ForeignWeights{*draft.weights}, draft.place};
  if (draft.throttle) return {draft.at, *draft.throttle, draft.place};
  if (draft.tasks) return {draft.at, world::ScaleTasks{*draft.tasks}, draft.place};
  return {draft.at, world::OperatorSpeaks{*draft.command, draft.reason.value_or("")}, draft.place};
}

Rule<world::Event> event_rule() {
  Rule<EventDraft> draft =
      ObjectRule<EventDraft>("something that happens during the run")
          .required("at", duration_rule("so long after the start", Duration{}, kMaxLimit),
                    &EventDraft::at)
          .optional("fault", inject_rule(), &EventDraft::fault)
          .optional("operator",
                    word_rule<OperatorCommand>("an operator speaks",
                                               {{"pause", OperatorCommand::Pause},
                                                {"resume", OperatorCommand::Resume},
                                                {"promote", OperatorCommand::Promote},
                                                {"abort", OperatorCommand::Abort}}),
                    &EventDraft::command)
          .optional("reason", text_rule("what the operator says"), &EventDraft::reason)
          .optional("weights", weights_rule("somebody sets the weights behind the rollout's back"),
                    &EventDraft::weights)
          .optional("throttle", throttle_rule(), &EventDraft::throttle)
          .optional("tasks", tasks_rule(), &EventDraft::tasks)
          .optional("revision", revision_rule(), &EventDraft::revision)
          .optional("controller", controller_rule(), &EventDraft::controller)
          .exactly_one_of(
              {"fault", "operator", "weights", "throttle", "tasks", "revision", "controller"})
          .then([](const YamlNode& node, Reader& reader, EventDraft& event) {
            if (event.reason && !event.command) {
              return reader.problem(node, "\"reason\" belongs to \"operator\" only");
            }
            for (const auto& [key, value] : node.pairs) {
              if (key.text == "at") event.place = reader.place(value);
            }
            return true;
          })
          .rule();
  return converted<world::Event>(std::move(draft), to_event);
}

// --- then --------------------------------------------------------------------------------------

constexpr std::int64_t kMaxCount = 1'000'000'000'000;

template <typename Bound>
Rule<Bound> bound_rule(std::string doc, decltype(duration_rule("", {}, {})) item) {
  return ObjectRule<Bound>(std::move(doc))
      .optional("min", item, &Bound::min)
      .optional("max", item, &Bound::max)
      .then([](const YamlNode& node, Reader& reader, Bound& bound) {
        if (!bound.min && !bound.max) {
          return reader.problem(node, "at least one of the keys min, max must be given");
        }
        if (bound.min && bound.max && *bound.min > *bound.max) {
          return reader.problem(node, "min lies above max");
        }
        return true;
      })
      .rule();
}

Rule<CountBound> count_bound(std::string doc) {
  const auto item = integer_rule("a number of requests or users", 0, kMaxCount);
  Rule<CountBound> map =
      ObjectRule<CountBound>(doc)
          .optional("min", item, &CountBound::min)
          .optional("max", item, &CountBound::max)
          .then([](const YamlNode& node, Reader& reader, CountBound& bound) {
            if (!bound.min && !bound.max) {
              return reader.problem(node, "at least one of the keys min, max must be given");
            }
            if (bound.min && bound.max && *bound.min > *bound.max) {
              return reader.problem(node, "min ({}) lies above max ({})", *bound.min, *bound.max);
            }
            return true;
          })
          .rule();
  Rule<CountBound> number =
      converted<CountBound>(integer_rule("exactly so many", 0, kMaxCount), [](std::int64_t n) {
        return CountBound{n, n};
      });
  return scalar_or_map(std::move(number), std::move(map));
}

Rule<DurationBound> duration_bound(std::string doc) {
  return bound_rule<DurationBound>(std::move(doc),
                                   duration_rule("a duration", Duration{}, kMaxLimit));
}

template <typename C>
Rule<C> of_bound(Rule<DurationBound> rule) {
  return converted<C>(std::move(rule), [](DurationBound bound) { return C{bound}; });
}
template <typename C>
Rule<C> of_bound(Rule<CountBound> rule) {
  return converted<C>(std::move(rule), [](CountBound bound) { return C{bound}; });
}

Rule<OutcomeCheck> outcome_rule() {
  using world::Outcome;
  return converted<OutcomeCheck>(
      word_rule<Outcome>("how the rollout ends", {{"promoted", Outcome::Promoted},
                                                  {"completed", Outcome::Completed},
                                                  {"rolled-back", Outcome::RolledBack},
                                                  {"paused", Outcome::Paused},
                                                  {"unfinished", Outcome::Unfinished},
                                                  {"failed", Outcome::Failed}}),
      [](Outcome outcome) { return OutcomeCheck{outcome}; });
}

Rule<StatesCheck> states_rule() {
  std::vector<std::pair<std::string, std::string>> words;
  for (const std::string_view state : world::kStates) {
    words.emplace_back(std::string(state), std::string(state));
  }
  const auto item = word_rule<std::string>("a state of the rollout", std::move(words));
  return converted<StatesCheck>(
      list_rule("states that are entered in this order; others may lie between", item, 1, 100),
      [](std::vector<std::string> states) { return StatesCheck{std::move(states)}; });
}

Rule<BlastRadiusCheck> blast_radius_rule() {
  return ObjectRule<BlastRadiusCheck>("what the canary did to users until the rollout ended")
      .optional("requests", count_bound("requests it served"), &BlastRadiusCheck::requests)
      .optional("errors", count_bound("of these, failed"), &BlastRadiusCheck::errors)
      .optional("users", count_bound("distinct users it served"), &BlastRadiusCheck::users)
      .optional("segment", name_rule("only in this segment of the traffic"),
                &BlastRadiusCheck::segment)
      .then([](const YamlNode& node, Reader& reader, BlastRadiusCheck& check) {
        if (check.requests || check.errors || check.users) return true;
        return reader.problem(node,
                              "at least one of the keys requests, errors, users must be given");
      })
      .rule();
}

Rule<UserErrorRateCheck> user_error_rate_rule() {
  using C = UserErrorRateCheck;
  return ObjectRule<C>("share of all requests that failed for their users")
      .required("max", percent_rule("at most this share", 0, 100), &C::max)
      .optional("window",
                duration_rule("in the worst stretch of this length; default: the whole run",
                              std::chrono::seconds{1}, kMaxLimit),
                &C::window)
      .rule();
}

Rule<CanaryShareCheck> canary_share_rule() {
  return ObjectRule<CanaryShareCheck>(
             "in every step the canary's part of the requests fits the weight in force")
      .required("sigma", open_number_rule("within so many standard deviations", 0, 100),
                &CanaryShareCheck::sigma)
      .rule();
}

Rule<CanaryWeightCheck> canary_weight_rule() {
  return ObjectRule<CanaryWeightCheck>("highest share of the traffic routed to the canary")
      .required("max", percent_rule("at most this share", 0, 100), &CanaryWeightCheck::max)
      .rule();
}

Rule<WeightsSetCheck> weights_set_rule() {
  return converted<WeightsSetCheck>(
      list_rule("the canary's shares as the rollout set them, all of them in this order",
                percent_rule("of the traffic", 0, 100), 1, 100),
      [](std::vector<Percent> want) { return WeightsSetCheck{std::move(want)}; });
}

Rule<CompatibleCheck> compatible_rule() {
  return ObjectRule<CompatibleCheck>(
             "both versions are asked the same at the end, and their answers compared by fields "
             "and types; no metric sees what differs there")
      .required("max-differing", percent_rule("of the answers, at most", 0, 100),
                &CompatibleCheck::max_differing)
      .rule();
}

Rule<LatencyCheck> latency_check_rule() {
  using C = LatencyCheck;
  const auto time = duration_rule("a duration", Duration{}, kMaxLimit);
  return ObjectRule<C>("latency as users saw it")
      .optional("version", name_rule("only of this version; default: all"), &C::version)
      .optional("quantile", quantile_rule("which quantile; default p99"), &C::quantile)
      .add("min", false, time, [](C& c, Duration d) { c.bound.min = d; })
      .add("max", false, time, [](C& c, Duration d) { c.bound.max = d; })
      .then([](const YamlNode& node, Reader& reader, C& check) {
        if (check.bound.min || check.bound.max) return true;
        return reader.problem(node, "at least one of the keys min, max must be given");
      })
      .rule();
}

Rule<DecisionCheck> decision_rule() {
  return ObjectRule<DecisionCheck>("which analysis decided against the canary")
      .required(
          "metric",
          word_rule<std::string>("its metric", {{"errors", "errors"}, {"latency", "latency"}}),
          &DecisionCheck::metric)
      .optional("segment", name_rule("its test of this segment; default: any"),
                &DecisionCheck::segment)
      .rule();
}

Rule<AlarmCheck> alarm_check_rule() {
  using C = AlarmCheck;
  const auto time = duration_rule("so long after the start it first is", Duration{}, kMaxLimit);
  return ObjectRule<C>("an alarm that the rollout watches goes red (ALARM), or never does")
      .required("name", name_rule("of the alarm (given.alarms)"), &C::name)
      .optional("state",
                word_rule<bool>("what it once is or never is; default red",
                                {{"red", true}, {"never-red", false}}),
                &C::red)
      .add("min", false, time, [](C& c, Duration d) { c.bound.min = d; })
      .add("max", false, time, [](C& c, Duration d) { c.bound.max = d; })
      .then([](const YamlNode& node, Reader& reader, C& check) {
        if (!check.red && (check.bound.min || check.bound.max)) {
          return reader.problem(node,
                                "min and max say when it goes red; with never-red leave them "
                                "out");
        }
        if (check.bound.min && check.bound.max && *check.bound.min > *check.bound.max) {
          return reader.problem(node, "min lies above max");
        }
        return true;
      })
      .rule();
}

/// One of the checks: a map with exactly one key.
class CheckTable {
 public:
  template <typename C>
  CheckTable& add(std::string key, Rule<C> rule) {
    object_.add(key, false, std::move(rule),
                [](Check& check, C&& value) { check.what = std::move(value); });
    keys_.push_back(std::move(key));
    return *this;
  }
  Rule<Check> rule() {
    return object_.exactly_one_of(keys_)
        .then([](const YamlNode& node, Reader& reader, Check& check) {
          check.place = reader.place(node.pairs[0].key);
          return true;
        })
        .rule();
  }

 private:
  ObjectRule<Check> object_{"one thing that must hold"};
  std::vector<std::string> keys_;
};

Rule<Check> check_rule() {
  return CheckTable()
      .add("outcome", outcome_rule())
      .add("final-weights", converted<FinalWeightsCheck>(
                                weights_rule("weights that the control plane holds at the end"),
                                [](auto weights) { return FinalWeightsCheck{weights}; }))
      .add("states", states_rule())
      .add("blast-radius", blast_radius_rule())
      .add("time-to-detect",
           of_bound<TimeToDetectCheck>(duration_bound(
               "from the moment the canary's fault could be seen to the analysis' decision")))
      .add("time-to-rollback",
           of_bound<TimeToRollbackCheck>(duration_bound(
               "from the decision to roll back to the last request that the canary served")))
      .add("time-to-promote", of_bound<TimeToPromoteCheck>(duration_bound(
                                  "from the start until the canary has all traffic")))
      .add("dropped-requests",
           of_bound<DroppedRequestsCheck>(count_bound("requests that never reached a version")))
      .add("user-error-rate", user_error_rate_rule())
      .add("canary-share", canary_share_rule())
      .add("canary-weight", canary_weight_rule())
      .add("weights-set", weights_set_rule())
      .add("latency", latency_check_rule())
      .add("requests", of_bound<RequestsCheck>(count_bound("all requests of the run")))
      .add("compatible", compatible_rule())
      .add("hook-answers",
           converted<HookAnswersCheck>(
               list_rule("what hooks answered in this order, as in \"smoke-test passed\"",
                         text_rule("NAME passed, NAME failed or NAME wait"), 1, 100),
               [](std::vector<std::string> want) { return HookAnswersCheck{std::move(want)}; }))
      .add("retries", of_bound<RetriesCheck>(count_bound("attempts that the gateway made again")))
      .add("decision", decision_rule())
      .add("alarm", alarm_check_rule())
      .rule();
}

}  // namespace

Rule<std::map<std::string, std::uint32_t>> weights_rule(std::string doc) {
  auto names = named_rule(std::move(doc), integer_rule("relative weight", 0, 100), 1, kMaxVersions);
  return converted<std::map<std::string, std::uint32_t>>(std::move(names), [](auto&& pairs) {
    std::map<std::string, std::uint32_t> weights;
    for (const auto& [name, weight] : pairs) weights[name] = static_cast<std::uint32_t>(weight);
    return weights;
  });
}

Rule<std::vector<world::Event>> when_rule() {
  return list_rule("what happens during the run", event_rule(), 0, kMaxEvents);
}

Rule<std::vector<Check>> then_rule() {
  return list_rule("what must hold", check_rule(), 1, kMaxChecks);
}

}  // namespace coalmine::scenario
