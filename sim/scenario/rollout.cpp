#include "sim/scenario/tables.h"

namespace coalmine::scenario {
Rule<Rollout> rollout_rule() {
  ObjectRule<Rollout> object("how the new version gets its traffic");
  object
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
      .required("plan", steps_rule(), &Rollout::plan)
      .optional("analysis",
                list_rule("the tests that run during the bakes", analysis_rule(), 0, 20),
                &Rollout::analysis);
  add_parts(object);
  object.then([](const YamlNode& node, Reader& reader, Rollout& rollout) {
    rollout.place = reader.place(value_of(node, "plan"));
    return true;
  });
  return object.rule();
}

}  // namespace coalmine::scenario
