#include <nlohmann/json.hpp>

#include "mock-aws/services/appmesh/appmesh.h"
#include "mock-aws/services/appmesh/resource.h"
#include "mock-aws/services/paging.h"

namespace coalmine::mock {
namespace {

tl::unexpected<AwsError> no_such_arn(const std::string& arn) {
  return aws_error("NotFoundException", "Resource with ARN {} is not present", arn);
}

}  // namespace

AppMesh::Resource* AppMesh::find_by_arn(const std::string& arn) const {
  for (const auto& [key, resource] : resources_) {
    if (resource->arn == arn) return resource.get();
  }
  return nullptr;
}

Reply AppMesh::tag_resource(const Json& input, CallContext&) {
  const std::string arn = get_string(input, "resourceArn");
  Resource* resource = find_by_arn(arn);
  if (resource == nullptr) return no_such_arn(arn);
  auto tags = resource->tags;
  for (const Json& tag : input.at("tags")) tags[get_string(tag, "key")] = get_string(tag, "value");
  if (tags.size() > kMaxTags) {
    return aws_error("TooManyTagsException", "{} would have {} tags, allowed are {}", arn,
                     tags.size(), kMaxTags);
  }
  resource->tags = std::move(tags);
  return Json::object();
}

Reply AppMesh::untag_resource(const Json& input, CallContext&) {
  const std::string arn = get_string(input, "resourceArn");
  Resource* resource = find_by_arn(arn);
  if (resource == nullptr) return no_such_arn(arn);
  for (const Json& key : input.at("tagKeys")) resource->tags.erase(key.get<std::string>());
  return Json::object();
}

Reply AppMesh::list_tags(const Json& input) const {
  const std::string arn = get_string(input, "resourceArn");
  const Resource* resource = find_by_arn(arn);
  if (resource == nullptr) return no_such_arn(arn);
  const std::vector<std::pair<std::string, std::string>> tags(resource->tags.begin(),
                                                              resource->tags.end());
  const auto limit = static_cast<std::size_t>(get_int(input, "limit", kMaxTags));
  const auto page = take_page(tags, get_string(input, "nextToken"), limit,
                              [](const auto& tag) { return tag.first; });
  if (!page) {
    return aws_error("BadRequestException", "nextToken '{}' is not one that a List call returned",
                     get_string(input, "nextToken"));
  }
  Json items = Json::array();
  for (const auto& [key, value] : page->items) items.push_back({{"key", key}, {"value", value}});
  Json reply = {{"tags", std::move(items)}};
  if (!page->next.empty()) reply["nextToken"] = page->next;
  return reply;
}

}  // namespace coalmine::mock
