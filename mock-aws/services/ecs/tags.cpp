#include "mock-aws/services/ecs/core.h"

namespace coalmine::mock::ecs {
namespace {

/// The tags of whatever the ARN names, or nullptr.
Tags* tags_of(Core& core, const std::string& arn) {
  for (auto& [name, cluster] : core.clusters) {
    if (cluster.arn == arn && cluster.active) return &cluster.tags;
  }
  for (auto& [key, service] : core.services) {
    if (service.arn == arn && service.status != Service::Status::Inactive) return &service.tags;
  }
  const auto task = core.tasks.find(last_part(arn));
  if (task != core.tasks.end() && task->second.arn == arn) return &task->second.tags;
  for (auto& [name, family] : core.families) {
    for (auto& [revision, definition] : family.revisions) {
      if (definition.arn == arn) return &definition.tags;
    }
  }
  return nullptr;
}

tl::expected<Tags*, AwsError> find_tags(Core& core, const Json& input) {
  const std::string arn = get_string(input, "resourceArn");
  if (Tags* tags = tags_of(core, arn)) return tags;
  if (arn.find(":cluster/") != std::string::npos) {
    return aws_error("ClusterNotFoundException", "Cluster not found.");
  }
  return aws_error("InvalidParameterException",
                   "The specified resource is not found. Specify a valid resource and try again.");
}

}  // namespace

Json render_tags(const Tags& tags) {
  Json list = Json::array();
  for (const auto& [key, value] : tags) list.push_back({{"key", key}, {"value", value}});
  return list;
}

tl::expected<Tags, AwsError> read_tags(const Json& input) {
  Tags tags;
  const Json* list = find(input, "tags");
  if (!list) return tags;
  for (const Json& tag : *list) {
    const std::string key = get_string(tag, "key");
    if (key.starts_with("aws:")) {
      return aws_error("InvalidParameterException",
                       "Tag keys that start with aws: are reserved for AWS use.");
    }
    if (!tags.emplace(key, get_string(tag, "value")).second) {
      return aws_error("InvalidParameterException", "Duplicate tag keys found: {}.", key);
    }
  }
  if (tags.size() > kMaxTags) {
    return aws_error("InvalidParameterException", "A resource has at most {} tags.", kMaxTags);
  }
  return tags;
}

Reply tag_resource(Core& core, const Json& input, CallContext&) {
  TRY(Tags* const tags, find_tags(core, input));
  TRY(const Tags added, read_tags(input));
  Tags merged = *tags;
  for (const auto& [key, value] : added) merged[key] = value;
  if (merged.size() > kMaxTags) {
    return aws_error("InvalidParameterException", "A resource has at most {} tags.", kMaxTags);
  }
  *tags = std::move(merged);
  return Json::object();
}

Reply untag_resource(Core& core, const Json& input, CallContext&) {
  TRY(Tags* const tags, find_tags(core, input));
  for (const Json& key : input.at("tagKeys")) tags->erase(key.get<std::string>());
  return Json::object();
}

Reply list_tags(Core& core, const Json& input, CallContext&) {
  TRY(const Tags* const tags, find_tags(core, input));
  return Json{{"tags", render_tags(*tags)}};
}

}  // namespace coalmine::mock::ecs
