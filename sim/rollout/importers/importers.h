// sim/rollout/importers: other tools' rollout plans as coalmine plans.
//
// Each importer reads one tool's own file and says the same in coalmine's words, keeping what the
// tool does and not what its manual says where the two differ. Nothing is left out in silence:
// whatever cannot be carried over is a warning with its line and column, and all problems are
// found in one pass. Only here are the tools' dialects known.
//
//   file -> Imported{plan, notes, warnings, errors}
//
// Below: sim/rollout, sim/scenario's YAML tree. Above: sim/scenario, sim/cli.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/core/result.h"
#include "sim/rollout/plan.h"

namespace coalmine::importers {

enum class PlanKind { Coalmine, Flagger, Argo, Ecs, CodeDeploy, Properties };
std::string_view to_string(PlanKind kind);
std::optional<PlanKind> plan_kind(std::string_view word);
/// "coalmine, flagger, argo, ecs, codedeploy, properties"
std::string plan_kinds();

struct Imported {
  /// Absent when there are errors. Its versions are v1 and v2; alarms it watches are only named,
  /// a scenario's given.alarms says what they measure.
  std::optional<rollout::Plan> plan;
  std::vector<std::string> notes;  ///< what differs from the tool by its nature, for people
  std::vector<Error> warnings, errors;
};

/// Reads `text` of `file`. PlanKind::Coalmine is sim/scenario's own and an error here.
Imported import_plan(PlanKind kind, const std::string& text, const std::string& file);

Imported import_flagger(const std::string& text, const std::string& file);
Imported import_argo(const std::string& text, const std::string& file);
/// deploymentConfiguration, or a service that has one.
Imported import_ecs(const std::string& text, const std::string& file);
/// deploymentConfigInfo and/or deploymentGroupInfo, as GetDeploymentConfig and GetDeploymentGroup
/// answer, or the name of a predefined configuration.
Imported import_codedeploy(const std::string& text, const std::string& file);
/// app.properties.json of the ten-step pipeline.
Imported import_properties(const std::string& text, const std::string& file);

/// "FILE:LINE:COL: warning: message"
std::string render_warning(const Error& warning);

}  // namespace coalmine::importers
