#include <charconv>

#include "mock-aws/services/ecs/core.h"
#include "mock-aws/services/ecs/paging.h"
#include "mock-aws/services/ecs/register.h"

namespace coalmine::mock::ecs {
namespace {

const char* to_string(DefinitionStatus status) {
  static constexpr const char* kNames[] = {"ACTIVE", "INACTIVE", "DELETE_IN_PROGRESS"};
  return kNames[static_cast<int>(status)];
}

Json render(const TaskDefinition& definition) {
  Json json = definition.body;
  json["taskDefinitionArn"] = definition.arn;
  json["revision"] = definition.revision;
  json["status"] = to_string(definition.status);
  json["registeredAt"] = to_epoch_seconds(definition.registered);
  json["registeredBy"] = definition.registered_by;
  if (definition.deregistered != TimePoint{}) {
    json["deregisteredAt"] = to_epoch_seconds(definition.deregistered);
  }
  return json;
}

bool has_active(const Family& family) {
  return std::any_of(family.revisions.begin(), family.revisions.end(), [](const auto& item) {
    return item.second.status == DefinitionStatus::Active;
  });
}

TaskDefinition* latest_active(Family& family) {
  for (auto it = family.revisions.rbegin(); it != family.revisions.rend(); ++it) {
    if (it->second.status == DefinitionStatus::Active) return &it->second;
  }
  return nullptr;
}

/// nullptr: no such family or revision.
TaskDefinition* look_up(Core& core, const std::string& name) {
  const std::string tail = last_part(name);
  const auto colon = tail.find(':');
  const auto family = core.families.find(tail.substr(0, colon));
  if (family == core.families.end()) return nullptr;
  if (colon == std::string::npos) return latest_active(family->second);
  int revision = 0;
  const std::string digits = tail.substr(colon + 1);
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), revision);
  if (code != std::errc{} || end != digits.data() + digits.size()) return nullptr;
  const auto it = family->second.revisions.find(revision);
  return it == family->second.revisions.end() ? nullptr : &it->second;
}

}  // namespace

tl::expected<TaskDefinition*, AwsError> find_task_definition(Core& core, const std::string& name,
                                                             const char* if_unknown) {
  if (TaskDefinition* definition = look_up(core, name)) return definition;
  return aws_error("ClientException", "{}", if_unknown);
}

tl::expected<TaskDefinition*, AwsError> usable_task_definition(Core& core,
                                                               const std::string& name) {
  TRY(TaskDefinition* const definition,
      find_task_definition(core, name, "TaskDefinition not found."));
  if (definition->status != DefinitionStatus::Active) {
    return aws_error("ClientException", "TaskDefinition is inactive");
  }
  return definition;
}

Reply register_task_definition(Core& core, const Json& input, CallContext& context) {
  TRY(const Tags tags, read_tags(input));
  TRY(Json body, definition_body(input));
  const std::string name = get_string(input, "family");
  Family& family = core.families[name];
  TaskDefinition definition;
  definition.family = name;
  definition.revision = ++family.last_revision;
  definition.arn = core.arn(fmt::format("task-definition/{}:{}", name, definition.revision));
  definition.spec = read_task_spec(body);
  definition.body = std::move(body);
  definition.tags = tags;
  definition.registered = context.now;
  definition.registered_by = core.caller();
  Json reply = {{"taskDefinition", render(definition)}};
  if (!tags.empty()) reply["tags"] = render_tags(tags);
  core.d.events.event(context.now, "task-definition.registered",
                      {{"family", name}, {"revision", definition.revision}});
  family.revisions.emplace(definition.revision, std::move(definition));
  return reply;
}

Reply deregister_task_definition(Core& core, const Json& input, CallContext& context) {
  const std::string name = get_string(input, "taskDefinition");
  if (last_part(name).find(':') == std::string::npos) {
    return aws_error("ClientException", "Task definition must have a revision: {}", name);
  }
  TRY(TaskDefinition* const definition,
      find_task_definition(core, name, "The specified task definition does not exist."));
  if (definition->status == DefinitionStatus::Active) {
    definition->status = DefinitionStatus::Inactive;
    definition->deregistered = context.now;
  }
  return Json{{"taskDefinition", render(*definition)}};
}

Reply describe_task_definition(Core& core, const Json& input, CallContext&) {
  TRY(const TaskDefinition* const definition,
      find_task_definition(core, get_string(input, "taskDefinition"),
                           "Unable to describe task definition."));
  Json reply = {{"taskDefinition", render(*definition)}};
  if (wants(input, "TAGS")) reply["tags"] = render_tags(definition->tags);
  return reply;
}

Reply list_task_definitions(Core& core, const Json& input, CallContext&) {
  const std::string prefix = get_string(input, "familyPrefix");
  const std::string status = get_string(input, "status", "ACTIVE");
  std::vector<std::string> arns;
  for (const auto& [name, family] : core.families) {
    // Despite its name, familyPrefix is the whole family here (API reference).
    if (!prefix.empty() && name != prefix) continue;
    for (const auto& [revision, definition] : family.revisions) {
      if (status == to_string(definition.status)) arns.push_back(definition.arn);
    }
  }
  if (get_string(input, "sort") == "DESC") std::reverse(arns.begin(), arns.end());
  return list_page(arns, "taskDefinitionArns", input, 100);
}

Reply list_task_definition_families(Core& core, const Json& input, CallContext&) {
  const std::string prefix = get_string(input, "familyPrefix");
  const std::string status = get_string(input, "status", "ALL");
  std::vector<std::string> names;
  for (const auto& [name, family] : core.families) {
    if (!name.starts_with(prefix)) continue;
    if (status == "ALL" || (status == "ACTIVE") == has_active(family)) names.push_back(name);
  }
  return list_page(names, "families", input, 100);
}

Reply delete_task_definitions(Core& core, const Json& input, CallContext& context) {
  Json deleted = Json::array(), failures = Json::array();
  for (const Json& item : input.at("taskDefinitions")) {
    const std::string name = item.get<std::string>();
    TaskDefinition* definition =
        last_part(name).find(':') == std::string::npos ? nullptr : look_up(core, name);
    if (!definition) {
      failures.push_back(
          failure(name,
                  "The specified task definition does not exist. Specify a valid account, "
                  "family, revision and try again."));
    } else if (definition->status == DefinitionStatus::Active) {
      failures.push_back(failure(definition->arn,
                                 "The specified task definition is still in ACTIVE status. Please "
                                 "deregister the target and try again."));
    } else {
      definition->status = DefinitionStatus::DeleteInProgress;
      Json json = render(*definition);
      json["deleteRequestedAt"] = to_epoch_seconds(context.now);
      deleted.push_back(std::move(json));
    }
  }
  return Json{{"taskDefinitions", deleted}, {"failures", failures}};
}

}  // namespace coalmine::mock::ecs
