// app.properties.json of the ten-step pipeline: weights and promotion by commit. A run sets the
// weights and, with one of the flags, gives the stable service the canary's image; nothing looks
// at the canary and nothing waits.
#include "sim/rollout/importers/fields.h"

namespace coalmine::importers {

Imported import_properties(const std::string& text, const std::string& file) {
  Report report(file);
  const auto root = scenario::parse_yaml(text, file);
  if (!root) {
    report.add(root.error());
    return report.finish({});
  }
  Fields fields(*root, report, "");
  fields.skip({"app_name", "env_name", "aws_region", "service1_name", "service1_port",
               "service1_docker_image_path", "service2_name", "app_mesh_name"});
  const auto stable = fields.number("traffic_weight_route1", 0, 100);
  const auto canary = fields.number("traffic_weight_route2", 0, 100);
  const bool once = fields.truth("setLatestStableOnce").value_or(false);
  const bool always = fields.truth("setLatestStable").value_or(false);
  const YamlNode* where = fields.take("traffic_weight_route2");
  const YamlNode& at = where != nullptr ? *where : *root;
  for (const char* key : {"traffic_weight_route1", "traffic_weight_route2"}) {
    bool there = false;
    for (const auto& [name, value] : root->pairs) there = there || name.text == key;
    if (!there) report.error(*root, "the key \"{}\" is missing", key);
  }
  rollout::Plan plan;
  const double sum = stable.value_or(100) + canary.value_or(0);
  if (sum <= 0) {
    report.error(at, "both weights are 0: nobody would get an answer");
    return report.finish({});
  }
  const double share = 100 * canary.value_or(0) / sum;
  if (sum != 100) {
    report.warn(at,
                "the weights are {} and {}, together {}: App Mesh takes them relative to their "
                "sum, so the canary has {:.4g}%",
                stable.value_or(0), canary.value_or(0), sum, share);
  }
  plan.steps.push_back({rollout::SetWeight{Percent{share}}, report.place(at)});
  if (always) {
    report.warn(*fields.take("setLatestStable"),
                "setLatestStable promotes on every push, tested or not, until somebody takes it "
                "back");
  }
  if (always || once) {
    const YamlNode* flag = fields.take(always ? "setLatestStable" : "setLatestStableOnce");
    report.warn(*flag,
                "the promotion gives stable the canary's image and keeps the weights, so the next "
                "build starts at {:.4g}% and not at 1%; here traffic goes back to stable",
                share);
    plan.steps.push_back({rollout::Promote{plan.canary, rollout::PromoteKind::ImageSwap, false},
                          report.place(*flag)});
  }
  fields.done();
  plan.on_no_data = rollout::OnNoData::Continue;
  report.note(
      "the pipeline sets the weights once and looks at nothing: a roll-back is another "
      "commit and another run of the whole pipeline");
  return report.finish(std::move(plan));
}

}  // namespace coalmine::importers
