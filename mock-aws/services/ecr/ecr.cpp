#include "mock-aws/services/ecr/ecr.h"

#include <openssl/evp.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "mock-aws/services/ecr/store.h"
#include "mock-aws/services/paging.h"
#include "sim/core/ids.h"

namespace coalmine::mock {

using namespace ecr;

namespace {

std::string base64(const std::string& text) {
  std::string out((text.size() + 2) / 3 * 4 + 1, '\0');
  const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                     reinterpret_cast<const unsigned char*>(text.data()),
                                     static_cast<int>(text.size()));
  out.resize(static_cast<std::size_t>(length));
  return out;
}

tl::expected<Json, AwsError> parse_policy(const std::string& text, std::string_view member) {
  auto json = parse_json(text);
  if (!json || !json->is_object()) {
    return aws_error("InvalidParameterException",
                     "Invalid parameter at '{}' failed to satisfy constraint: 'Invalid JSON "
                     "syntax'{}",
                     member, json ? "" : ": " + json.error().message);
  }
  return *std::move(json);
}

/// AWS's rules for a lifecycle policy; what its rules select is not carried out here.
tl::expected<void, AwsError> check_lifecycle(const Json& policy) {
  const auto bad = [](std::string text) {
    return aws_error("InvalidParameterException",
                     "Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: {}",
                     text);
  };
  const Json* rules = find(policy, "rules");
  if (rules == nullptr || !rules->is_array() || rules->empty()) {
    return bad("'rules' must be a list with at least one rule");
  }
  std::set<std::int64_t> priorities;
  std::int64_t highest = 0, any_at = -1;
  for (const Json& rule : *rules) {
    const auto priority = get_int(rule, "rulePriority");
    if (priority < 1 || !priorities.insert(priority).second) {
      return bad(fmt::format("rulePriority {} must be at least 1 and unique", priority));
    }
    highest = std::max(highest, priority);
    const Json* selection = find(rule, "selection");
    const Json* action = find(rule, "action");
    if (selection == nullptr || action == nullptr || get_string(*action, "type") != "expire") {
      return bad(fmt::format("rule {} needs a selection and the action expire", priority));
    }
    const std::string status = get_string(*selection, "tagStatus");
    const bool named = find(*selection, "tagPrefixList") || find(*selection, "tagPatternList");
    if (status == "any") any_at = priority;
    if ((status != "tagged" && status != "untagged" && status != "any") ||
        named != (status == "tagged")) {
      return bad(
          fmt::format("rule {}: tagStatus is tagged (with tagPrefixList or "
                      "tagPatternList), untagged or any",
                      priority));
    }
    const std::string count = get_string(*selection, "countType");
    if ((count != "imageCountMoreThan" && count != "sinceImagePushed") ||
        get_int(*selection, "countNumber") < 1 ||
        (count == "sinceImagePushed") != (get_string(*selection, "countUnit") == "days")) {
      return bad(
          fmt::format("rule {}: countType is imageCountMoreThan, or sinceImagePushed with "
                      "countUnit days; countNumber is at least 1",
                      priority));
    }
  }
  if (any_at >= 0 && any_at != highest) {
    return bad("the rule with tagStatus any must have the highest rulePriority");
  }
  return {};
}

}  // namespace

Ecr::Ecr(Scope scope, Random random, EventSink& events)
    : Ecr(std::move(scope), random, events, Options{}) {}

Ecr::Ecr(Scope scope, Random random, EventSink& events, Options options)
    : scope_(std::move(scope)),
      random_(random),
      events_(events),
      options_(std::move(options)),
      blobs_(options_.max_blob_bytes) {}

Ecr::~Ecr() = default;

const OperationTable<Ecr>& Ecr::operations() {
  static const OperationTable<Ecr> kOperations = {
      {"GetAuthorizationToken", &Ecr::get_authorization_token},
      {"CreateRepository", &Ecr::create_repository},
      {"DescribeRepositories", &Ecr::describe_repositories},
      {"DeleteRepository", &Ecr::delete_repository},
      {"PutImageTagMutability", &Ecr::put_tag_mutability},
      {"DescribeRegistry", &Ecr::describe_registry},
      {"TagResource", &Ecr::tag_resource},
      {"UntagResource", &Ecr::untag_resource},
      {"ListTagsForResource", &Ecr::list_tags},
      {"PutLifecyclePolicy", &Ecr::put_lifecycle_policy},
      {"GetLifecyclePolicy", &Ecr::get_lifecycle_policy},
      {"DeleteLifecyclePolicy", &Ecr::delete_lifecycle_policy},
      {"SetRepositoryPolicy", &Ecr::set_repository_policy},
      {"GetRepositoryPolicy", &Ecr::get_repository_policy},
      {"DeleteRepositoryPolicy", &Ecr::delete_repository_policy},
      {"PutImage", &Ecr::put_image},
      {"DescribeImages", &Ecr::describe_images},
      {"ListImages", &Ecr::list_images},
      {"BatchGetImage", &Ecr::batch_get_image},
      {"BatchDeleteImage", &Ecr::batch_delete_image},
      {"InitiateLayerUpload", &Ecr::initiate_layer_upload},
      {"UploadLayerPart", &Ecr::upload_layer_part},
      {"CompleteLayerUpload", &Ecr::complete_layer_upload},
      {"BatchCheckLayerAvailability", &Ecr::batch_check_layers},
  };
  return kOperations;
}

bool Ecr::implements(std::string_view operation) const {
  return operations().count(operation) > 0;
}

Reply Ecr::call(std::string_view operation, const Json& input, CallContext& context) {
  const auto found = operations().find(operation);
  if (found == operations().end()) {
    return aws_error("UnknownOperationException", "{} is not implemented", operation);
  }
  return (this->*found->second)(input, context);
}

// --- tokens ------------------------------------------------------------------------------------

Reply Ecr::get_authorization_token(const Json&, CallContext& context) {
  constexpr std::size_t kPasswordLength = 64;
  if (tokens_.size() == kMaxTokens) tokens_.erase(tokens_.begin());
  tokens_.emplace_back(random_alnum(random_, kPasswordLength), context.now + kTokenLifetime);
  return Json{{"authorizationData",
               {{{"authorizationToken", base64("AWS:" + tokens_.back().first)},
                 {"expiresAt", to_epoch_seconds(tokens_.back().second)},
                 {"proxyEndpoint", "http://" + options_.registry_host}}}}};
}

Ecr::Password Ecr::check_password(const std::string& password, TimePoint now) const {
  for (const auto& [known, expiry] : tokens_) {
    if (known == password) return now < expiry ? Password::Valid : Password::Expired;
  }
  return Password::Unknown;
}

// --- repositories ------------------------------------------------------------------------------

Repository* Ecr::find_repository(const std::string& repository_name) const {
  const auto found = repositories_.find(repository_name);
  return found == repositories_.end() ? nullptr : found->second.get();
}

tl::expected<Repository*, AwsError> Ecr::require(const Json& input) const {
  const std::string repository_name = get_string(input, "repositoryName");
  const std::string registry = get_string(input, "registryId", scope_.account);
  Repository* found = registry == scope_.account ? find_repository(repository_name) : nullptr;
  if (found == nullptr) {
    return aws_error("RepositoryNotFoundException",
                     "The repository with name '{}' does not exist in the registry with id '{}'",
                     repository_name, registry);
  }
  return found;
}

Json Ecr::base_reply(const Repository& repository) const {
  return {{"registryId", scope_.account}, {"repositoryName", repository.name}};
}

Json Ecr::describe(const Repository& repository) const {
  Json out = base_reply(repository);
  out["repositoryArn"] = repository.arn;
  out["repositoryUri"] = options_.registry_host + "/" + repository.name;
  out["createdAt"] = to_epoch_seconds(repository.created_at);
  out["imageTagMutability"] = repository.mutability;
  out["imageScanningConfiguration"] = repository.scanning;
  out["encryptionConfiguration"] = repository.encryption;
  if (!repository.exclusion_filters.is_null()) {
    out["imageTagMutabilityExclusionFilters"] = repository.exclusion_filters;
  }
  return out;
}

Reply Ecr::create_repository(const Json& input, CallContext& context) {
  const std::string repository_name = get_string(input, "repositoryName");
  if (find_repository(repository_name) != nullptr) {
    return aws_error("RepositoryAlreadyExistsException",
                     "The repository with name '{}' already exists in the registry with id '{}'",
                     repository_name, scope_.account);
  }
  auto made = std::make_unique<Repository>();
  made->name = repository_name;
  made->arn = fmt::format("arn:aws:ecr:{}:{}:repository/{}", scope_.region, scope_.account,
                          repository_name);
  made->mutability = get_string(input, "imageTagMutability", "MUTABLE");
  made->exclusion_filters = input.value("imageTagMutabilityExclusionFilters", Json());
  made->scanning = input.value("imageScanningConfiguration", made->scanning);
  made->encryption = input.value("encryptionConfiguration", made->encryption);
  made->created_at = context.now;
  for (const Json& tag : input.value("tags", Json::array())) {
    made->resource_tags[get_string(tag, "Key")] = get_string(tag, "Value");
  }
  if (made->resource_tags.size() > kMaxTags) {
    return aws_error("TooManyTagsException", "{} tags given, allowed are {}",
                     made->resource_tags.size(), kMaxTags);
  }
  const Repository& stored = *(repositories_[repository_name] = std::move(made));
  events_.event(context.now, "repository.created", {{"repository", repository_name}});
  return Json{{"repository", describe(stored)}};
}

Reply Ecr::describe_repositories(const Json& input, CallContext&) {
  Json list = Json::array();
  if (const Json* names = find(input, "repositoryNames")) {
    if (find(input, "nextToken") || find(input, "maxResults")) {
      return aws_error("InvalidParameterException",
                       "nextToken and maxResults cannot be given together with repositoryNames");
    }
    for (const Json& each : *names) {
      Json one = {{"repositoryName", each}};
      if (const Json* registry = find(input, "registryId")) one["registryId"] = *registry;
      TRY(const Repository* repository, require(one));
      list.push_back(describe(*repository));
    }
    return Json{{"repositories", std::move(list)}};
  }
  std::vector<const Repository*> all;
  for (const auto& [key, repository] : repositories_) all.push_back(repository.get());
  const auto page = take_page(all, get_string(input, "nextToken"),
                              static_cast<std::size_t>(get_int(input, "maxResults", 100)),
                              [](const Repository* repository) { return repository->name; });
  if (!page) {
    return aws_error("InvalidParameterException", "nextToken is not one that a call returned");
  }
  for (const Repository* repository : page->items) list.push_back(describe(*repository));
  Json reply = {{"repositories", std::move(list)}};
  if (!page->next.empty()) reply["nextToken"] = page->next;
  return reply;
}

Reply Ecr::delete_repository(const Json& input, CallContext& context) {
  TRY(const Repository* repository, require(input));
  if (!repository->images.empty() && !get_bool(input, "force")) {
    return aws_error("RepositoryNotEmptyException",
                     "The repository with name '{}' in registry with id '{}' cannot be deleted "
                     "because it still contains images",
                     repository->name, scope_.account);
  }
  const Json reply = {{"repository", describe(*repository)}};
  events_.event(context.now, "repository.deleted", {{"repository", repository->name}});
  const std::set<std::string> layers = repository->layers;
  repositories_.erase(std::string(repository->name));
  for (const std::string& digest : layers) {
    const bool shared = std::any_of(repositories_.begin(), repositories_.end(), [&](const auto& e) {
      return e.second->layers.count(digest) > 0;
    });
    if (!shared) blobs_.erase(digest);
  }
  return reply;
}

Reply Ecr::put_tag_mutability(const Json& input, CallContext&) {
  TRY(Repository * repository, require(input));
  repository->mutability = get_string(input, "imageTagMutability");
  repository->exclusion_filters = input.value("imageTagMutabilityExclusionFilters", Json());
  Json reply = base_reply(*repository);
  reply["imageTagMutability"] = repository->mutability;
  if (!repository->exclusion_filters.is_null()) {
    reply["imageTagMutabilityExclusionFilters"] = repository->exclusion_filters;
  }
  return reply;
}

Reply Ecr::describe_registry(const Json&, CallContext&) {
  return Json{{"registryId", scope_.account},
              {"replicationConfiguration", {{"rules", Json::array()}}}};
}

// --- tags and policies -------------------------------------------------------------------------

tl::expected<Repository*, AwsError> Ecr::require_arn(const Json& input) const {
  const std::string arn = get_string(input, "resourceArn");
  for (const auto& [key, repository] : repositories_) {
    if (repository->arn == arn) return repository.get();
  }
  return aws_error("RepositoryNotFoundException", "No repository has ARN '{}'", arn);
}

Reply Ecr::tag_resource(const Json& input, CallContext&) {
  TRY(Repository * repository, require_arn(input));
  auto tags = repository->resource_tags;
  for (const Json& tag : input.at("tags")) tags[get_string(tag, "Key")] = get_string(tag, "Value");
  if (tags.size() > kMaxTags) {
    return aws_error("TooManyTagsException", "{} would have {} tags, allowed are {}",
                     repository->arn, tags.size(), kMaxTags);
  }
  repository->resource_tags = std::move(tags);
  return Json::object();
}

Reply Ecr::untag_resource(const Json& input, CallContext&) {
  TRY(Repository * repository, require_arn(input));
  for (const Json& key : input.at("tagKeys")) repository->resource_tags.erase(key);
  return Json::object();
}

Reply Ecr::list_tags(const Json& input, CallContext&) {
  TRY(const Repository* repository, require_arn(input));
  Json tags = Json::array();
  for (const auto& [key, value] : repository->resource_tags) {
    tags.push_back({{"Key", key}, {"Value", value}});
  }
  return Json{{"tags", std::move(tags)}};
}

namespace {

tl::unexpected<AwsError> no_policy(std::string_view code, std::string_view what,
                                   const std::string& repository, const std::string& registry) {
  return aws_error(std::string(code),
                   "{} does not exist for the repository with name '{}' in the registry with id "
                   "'{}'",
                   what, repository, registry);
}

}  // namespace

Reply Ecr::put_lifecycle_policy(const Json& input, CallContext&) {
  TRY(Repository * repository, require(input));
  const std::string text = get_string(input, "lifecyclePolicyText");
  TRY(const Json policy, parse_policy(text, "LifecyclePolicyText"));
  TRY_STATUS(check_lifecycle(policy));
  repository->lifecycle_policy = text;
  Json reply = base_reply(*repository);
  reply["lifecyclePolicyText"] = text;
  return reply;
}

Reply Ecr::get_lifecycle_policy(const Json& input, CallContext&) {
  TRY(Repository * repository, require(input));
  if (!repository->lifecycle_policy) {
    return no_policy("LifecyclePolicyNotFoundException", "Lifecycle policy", repository->name,
                     scope_.account);
  }
  Json reply = base_reply(*repository);
  reply["lifecyclePolicyText"] = *repository->lifecycle_policy;
  return reply;
}

Reply Ecr::delete_lifecycle_policy(const Json& input, CallContext& context) {
  TRY(const Json reply, get_lifecycle_policy(input, context));
  find_repository(get_string(input, "repositoryName"))->lifecycle_policy.reset();
  return reply;
}

Reply Ecr::set_repository_policy(const Json& input, CallContext&) {
  TRY(Repository * repository, require(input));
  const std::string text = get_string(input, "policyText");
  TRY_STATUS(parse_policy(text, "PolicyText"));
  repository->policy = text;
  Json reply = base_reply(*repository);
  reply["policyText"] = text;
  return reply;
}

Reply Ecr::get_repository_policy(const Json& input, CallContext&) {
  TRY(Repository * repository, require(input));
  if (!repository->policy) {
    return no_policy("RepositoryPolicyNotFoundException", "Repository policy", repository->name,
                     scope_.account);
  }
  Json reply = base_reply(*repository);
  reply["policyText"] = *repository->policy;
  return reply;
}

Reply Ecr::delete_repository_policy(const Json& input, CallContext& context) {
  TRY(const Json reply, get_repository_policy(input, context));
  find_repository(get_string(input, "repositoryName"))->policy.reset();
  return reply;
}

Json Ecr::state() const {
  Json all = Json::array();
  for (const auto& [key, repository] : repositories_) {
    Json item = describe(*repository);
    item["images"] = Json::array();
    for (const auto& [digest, image] : repository->images) {
      item["images"].push_back(describe(*repository, image));
    }
    all.push_back(std::move(item));
  }
  return {{"repositories", std::move(all)}, {"blob_bytes", blobs_.size_bytes()}};
}

}  // namespace coalmine::mock
