#include "sim/scenario/tables.h"

namespace coalmine::scenario {
namespace {

struct StepChoice {
  std::optional<Percent> weight;
  std::optional<Duration> bake;
  std::optional<rollout::Pause> pause;
  std::optional<std::string> promote;
  Place place;
};

Rule<rollout::Pause> pause_rule() {
  return ObjectRule<rollout::Pause>("waits for an operator's resume or promote")
      .optional("timeout",
                duration_rule("rolls back when nobody came; default: waits for ever",
                              std::chrono::seconds{1}, kMaxLimit),
                &rollout::Pause::timeout)
      .rule();
}

rollout::Step to_step(StepChoice&& choice) {
  if (choice.weight) return {rollout::SetWeight{*choice.weight}, choice.place};
  if (choice.bake) return {rollout::Bake{*choice.bake}, choice.place};
  if (choice.pause) return {*choice.pause, choice.place};
  return {rollout::Promote{*choice.promote}, choice.place};
}

Rule<rollout::Step> step_rule() {
  Rule<StepChoice> choice =
      ObjectRule<StepChoice>("one step of the rollout")
          .optional("weight", percent_rule("the canary's share of the traffic", 0, 100),
                    &StepChoice::weight)
          .optional("bake",
                    duration_rule("stay for so long while the analysis runs",
                                  std::chrono::milliseconds{1}, kMaxLimit),
                    &StepChoice::bake)
          .optional("pause", pause_rule(), &StepChoice::pause)
          .optional("promote", name_rule("all traffic to this version; the last step"),
                    &StepChoice::promote)
          .exactly_one_of({"weight", "bake", "pause", "promote"})
          .then([](const YamlNode& node, Reader& reader, StepChoice& step) {
            // The value, where there is one to point at; else the step.
            const YamlNode& value = node.pairs[0].value;
            step.place = reader.place(value.kind == YamlNode::Kind::Scalar ? value : node);
            return true;
          })
          .rule();
  return converted<rollout::Step>(std::move(choice), to_step);
}

}  // namespace

Rule<Rollout> rollout_rule() {
  return ObjectRule<Rollout>("how the new version gets its traffic")
      .optional("traffic",
                word_rule<rollout::TrafficApi>(
                    "what holds the weights; default appmesh",
                    {{"appmesh", rollout::TrafficApi::AppMesh}, {"alb", rollout::TrafficApi::Alb}}),
                &Rollout::traffic)
      .optional("stable", name_rule("the version that has the traffic; default: the other one"),
                &Rollout::stable)
      .optional("canary",
                name_rule("the version to roll out; default: the promoted one, else the second"),
                &Rollout::canary)
      .required("plan", list_rule("the steps, in order", step_rule(), 1, kMaxSteps), &Rollout::plan)
      .optional("analysis",
                list_rule("the tests that run during the bakes", analysis_rule(), 0, 20),
                &Rollout::analysis)
      .then([](const YamlNode& node, Reader& reader, Rollout& rollout) {
        rollout.place = reader.place(value_of(node, "plan"));
        return true;
      })
      .rule();
}

}  // namespace coalmine::scenario
