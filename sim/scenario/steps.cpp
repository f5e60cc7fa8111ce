// The steps of a plan. Short forms such as linear become the weights and bakes they stand for.
#include "sim/scenario/tables.h"

namespace coalmine::scenario {
namespace {

using rollout::Step;
using std::chrono::seconds;

using Steps = std::vector<Step>;

Rule<Percent> weight_rule(std::string doc) {
  return percent_rule(std::move(doc), 0, 100);
}
Rule<Duration> bake_rule(std::string doc) {
  return duration_rule(std::move(doc), std::chrono::milliseconds{1}, kMaxLimit);
}

Rule<rollout::Pause> pause_rule() {
  using rollout::OnTimeout;
  using rollout::Pause;
  return ObjectRule<Pause>("waits for an operator's resume or promote")
      .optional("timeout",
                duration_rule("ends the waiting when nobody came; default: waits for ever",
                              seconds{1}, kMaxLimit),
                &Pause::timeout)
      .optional("on-timeout",
                word_rule<OnTimeout>(
                    "what happens then; default rollback",
                    {{"rollback", OnTimeout::Rollback}, {"continue", OnTimeout::Continue}}),
                &Pause::on_timeout)
      .optional("gate", name_rule("the hook that is asked again and again whether to go on"),
                &Pause::gate)
      .rule();
}

Rule<rollout::Promote> promote_rule() {
  using rollout::Promote;
  using rollout::PromoteKind;
  Rule<Promote> by_name =
      converted<Promote>(name_rule("all traffic to this version; the last step"),
                         [](std::string&& name) { return Promote{std::move(name)}; });
  Rule<Promote> in_full =
      ObjectRule<Promote>("all traffic to a version; the last step")
          .required("version", name_rule("which"), &Promote::version)
          .optional("kind",
                    word_rule<PromoteKind>("how it becomes the stable one; default weights",
                                           {{"weights", PromoteKind::ByWeights},
                                            {"image-swap", PromoteKind::ImageSwap},
                                            {"replace", PromoteKind::Replace}}),
                    &Promote::kind)
          .optional("stops-idle",
                    truth_rule("tasks without traffic are stopped afterwards, as replace always "
                               "does; default false"),
                    &Promote::stops_idle)
          .rule();
  return scalar_or_map(std::move(by_name), std::move(in_full));
}

// --- short forms -------------------------------------------------------------------------------

struct Linear {
  Percent step{10}, to{100};
  Duration every{};
};
struct Canary {
  Percent weight{10};
  Duration length{};
};
struct List {
  std::vector<Percent> weights;
  Duration every{};
};

Rule<Linear> linear_rule() {
  return ObjectRule<Linear>("the weight rises by the same step each time")
      .required("step", percent_rule("so much each time", 0.01, 100), &Linear::step)
      .required("every", bake_rule("stays so long at each"), &Linear::every)
      .optional("to", percent_rule("up to this; default 100%", 0.01, 100), &Linear::to)
      .then([](const YamlNode& node, Reader& reader, Linear& linear) {
        if (linear.to.value / linear.step.value <= kMaxSteps / 2.0) return true;
        return reader.problem(node, "that is more than {} steps", kMaxSteps);
      })
      .rule();
}

Rule<Canary> canary_rule() {
  return ObjectRule<Canary>("one small weight first, then all")
      .required("weight", percent_rule("the small one", 0.01, 100), &Canary::weight)
      .required("for", bake_rule("stays so long at it"), &Canary::length)
      .rule();
}

Rule<List> list_of_weights_rule() {
  return ObjectRule<List>("these weights one after the other")
      .required("list", list_rule("in this order", weight_rule("a weight"), 1, kMaxSteps / 2),
                &List::weights)
      .required("every", bake_rule("stays so long at each"), &List::every)
      .rule();
}

// --- routes and tasks --------------------------------------------------------------------------

struct MatchDraft {
  std::optional<std::string> header, cookie, segment, value, regex;
};

rollout::RouteMatch to_match(MatchDraft&& d) {
  using By = rollout::RouteMatch::By;
  rollout::RouteMatch match;
  match.by = d.header ? By::Header : d.cookie ? By::Cookie : By::Segment;
  match.name = d.header ? *d.header : d.cookie ? *d.cookie : *d.segment;
  match.value = d.regex.value_or(d.value.value_or(""));
  match.regex = d.regex.has_value();
  return match;
}

Rule<rollout::RouteMatch> match_rule() {
  Rule<MatchDraft> draft =
      ObjectRule<MatchDraft>("requests that go to the canary whatever the weights say")
          .optional("header", text_rule("by a header"), &MatchDraft::header)
          .optional("cookie", text_rule("by a cookie"), &MatchDraft::cookie)
          .optional("segment", name_rule("by a segment of the traffic"), &MatchDraft::segment)
          .optional("value", text_rule("its exact value; default: any"), &MatchDraft::value)
          .optional("regex", text_rule("or a regular expression for it"), &MatchDraft::regex)
          .exactly_one_of({"header", "cookie", "segment"})
          .then([](const YamlNode& node, Reader& reader, MatchDraft& d) {
            if (d.value && d.regex) {
              return reader.problem(node, "\"value\" and \"regex\" both say the value; give one");
            }
            if (d.segment && (d.value || d.regex)) {
              return reader.problem(node, "a segment has no value; a header or a cookie has");
            }
            return true;
          })
          .rule();
  return converted<rollout::RouteMatch>(std::move(draft), to_match);
}

// --- tasks and experiments ---------------------------------------------------------------------

struct ScaleDraft {
  std::optional<std::int64_t> tasks;
  std::optional<Percent> percent;
  std::optional<std::string> follow;
};

Rule<rollout::ScaleCanary> scale_rule() {
  using How = rollout::ScaleCanary::How;
  Rule<ScaleDraft> draft =
      ObjectRule<ScaleDraft>("tasks of the canary")
          .optional("tasks", integer_rule("so many", 0, 1000), &ScaleDraft::tasks)
          .optional("percent", percent_rule("of the stable version's", 0, 1000),
                    &ScaleDraft::percent)
          .optional("follow", word_rule<std::string>("as the weight says", {{"weight", "weight"}}),
                    &ScaleDraft::follow)
          .exactly_one_of({"tasks", "percent", "follow"})
          .rule();
  return converted<rollout::ScaleCanary>(std::move(draft), [](ScaleDraft&& d) {
    if (d.tasks) return rollout::ScaleCanary{How::Tasks, static_cast<double>(*d.tasks)};
    if (d.percent) return rollout::ScaleCanary{How::Percent, d.percent->value};
    return rollout::ScaleCanary{};
  });
}

Rule<rollout::Experiment> experiment_rule() {
  using rollout::Experiment;
  return ObjectRule<Experiment>("canary and an equally large fresh copy of stable, side by side")
      .required("for", bake_rule("so long"), &Experiment::length)
      .required("share", percent_rule("of the traffic, to each of the two", 0.01, 50),
                &Experiment::share)
      .rule();
}

// --- one entry of the list ---------------------------------------------------------------------

struct StepChoice {
  std::optional<Percent> weight, mirror;
  std::optional<Duration> bake;
  std::optional<rollout::Pause> pause;
  std::optional<rollout::Promote> promote;
  std::optional<std::vector<rollout::CheckSpec>> check;
  std::optional<Linear> linear;
  std::optional<Canary> canary;
  std::optional<List> weights;
  std::optional<std::vector<rollout::RouteMatch>> route;
  std::optional<rollout::ScaleCanary> scale;
  std::optional<rollout::Experiment> experiment;
  Place place;
};

Steps to_steps(StepChoice&& c) {
  Steps steps;
  const auto add = [&](rollout::StepKind what) { steps.push_back({std::move(what), c.place}); };
  const auto weight_and_bake = [&](Percent weight, Duration length) {
    add(rollout::SetWeight{weight});
    add(rollout::Bake{length});
  };
  if (c.weight) add(rollout::SetWeight{*c.weight});
  if (c.bake) add(rollout::Bake{*c.bake});
  if (c.pause) add(*c.pause);
  if (c.promote) add(*c.promote);
  if (c.check) add(rollout::Examine{std::move(*c.check)});
  if (c.route) add(rollout::RouteMatching{std::move(*c.route)});
  if (c.mirror) add(rollout::Mirror{*c.mirror});
  if (c.scale) add(*c.scale);
  if (c.experiment) add(*c.experiment);
  if (c.canary) {
    weight_and_bake(c.canary->weight, c.canary->length);
    if (c.canary->weight.value < 100) add(rollout::SetWeight{Percent{100}});
  }
  if (c.linear) {
    // By multiplication, so that ten steps of 0.1% are 1% and not almost that.
    const double step = c.linear->step.value, to = c.linear->to.value;
    for (int i = 1; i * step < to - 1e-9; ++i) {
      weight_and_bake(Percent{i * step}, c.linear->every);
    }
    add(rollout::SetWeight{c.linear->to});
    if (to < 100) add(rollout::Bake{c.linear->every});
  }
  if (c.weights) {
    for (const Percent weight : c.weights->weights) weight_and_bake(weight, c.weights->every);
  }
  return steps;
}

Rule<Steps> entry_rule() {
  Rule<StepChoice> choice =
      ObjectRule<StepChoice>("one step of the rollout")
          .optional("weight", weight_rule("the canary's share of the traffic"), &StepChoice::weight)
          .optional("bake", bake_rule("stay for so long while the analysis runs"),
                    &StepChoice::bake)
          .optional("pause", pause_rule(), &StepChoice::pause)
          .optional("promote", promote_rule(), &StepChoice::promote)
          .optional("check", list_rule("run these checks to their end", plan_check_rule(), 1, 20),
                    &StepChoice::check)
          .optional("linear", linear_rule(), &StepChoice::linear)
          .optional("canary", canary_rule(), &StepChoice::canary)
          .optional("weights", list_of_weights_rule(), &StepChoice::weights)
          .optional(
              "route",
              list_rule("requests with such a mark go to the canary whatever the weights say; "
                        "an empty list ends it",
                        match_rule(), 0, 20),
              &StepChoice::route)
          .optional("mirror",
                    percent_rule("copies this share of stable's requests to the canary and throws "
                                 "its answers away; 0% ends it. In virtual time only, for a mesh "
                                 "that mirrors, as Istio does",
                                 0, 100),
                    &StepChoice::mirror)
          .optional("scale-canary", scale_rule(), &StepChoice::scale)
          .optional("experiment", experiment_rule(), &StepChoice::experiment)
          .exactly_one_of({"weight", "bake", "pause", "promote", "check", "linear", "canary",
                           "weights", "route", "mirror", "scale-canary", "experiment"})
          .then([](const YamlNode& node, Reader& reader, StepChoice& step) {
            // The value, where there is one to point at; else the step.
            const YamlNode& value = node.pairs[0].value;
            step.place = reader.place(value.kind == YamlNode::Kind::Scalar ? value : node);
            return true;
          })
          .rule();
  return converted<Steps>(std::move(choice), to_steps);
}

}  // namespace

Rule<std::vector<rollout::Step>> steps_rule() {
  return converted<Steps>(list_rule("the steps, in order", entry_rule(), 1, kMaxSteps),
                          [](std::vector<Steps>&& entries) {
                            Steps all;
                            for (Steps& entry : entries) {
                              for (Step& step : entry) all.push_back(std::move(step));
                            }
                            return all;
                          });
}

}  // namespace coalmine::scenario
