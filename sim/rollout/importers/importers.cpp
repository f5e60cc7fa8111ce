#include "sim/rollout/importers/importers.h"

namespace coalmine::importers {
namespace {

constexpr std::pair<std::string_view, PlanKind> kKinds[] = {{"coalmine", PlanKind::Coalmine},
                                                            {"flagger", PlanKind::Flagger},
                                                            {"argo", PlanKind::Argo},
                                                            {"ecs", PlanKind::Ecs},
                                                            {"codedeploy", PlanKind::CodeDeploy},
                                                            {"properties", PlanKind::Properties}};

}  // namespace

std::string_view to_string(PlanKind kind) {
  for (const auto& [name, value] : kKinds) {
    if (value == kind) return name;
  }
  return "";
}

std::optional<PlanKind> plan_kind(std::string_view word) {
  for (const auto& [name, value] : kKinds) {
    if (name == word) return value;
  }
  return std::nullopt;
}

std::string plan_kinds() {
  std::string text;
  for (const auto& [name, value] : kKinds)
    text += fmt::format("{}{}", text.empty() ? "" : ", ", name);
  return text;
}

Imported import_plan(PlanKind kind, const std::string& text, const std::string& file) {
  switch (kind) {
    case PlanKind::Flagger:
      return import_flagger(text, file);
    case PlanKind::Argo:
      return import_argo(text, file);
    case PlanKind::Ecs:
      return import_ecs(text, file);
    case PlanKind::CodeDeploy:
      return import_codedeploy(text, file);
    case PlanKind::Properties:
      return import_properties(text, file);
    case PlanKind::Coalmine:
      break;
  }
  Imported none;
  none.errors.push_back(
      {"a plan of coalmine's own needs no importer", ErrorKind::Invalid, Place{file, 1, 1}});
  return none;
}

std::string render_warning(const Error& warning) {
  if (!warning.place) return "warning: " + warning.message;
  const Place& at = *warning.place;
  return fmt::format("{}:{}:{}: warning: {}", at.file, at.line, at.column, warning.message);
}

}  // namespace coalmine::importers
