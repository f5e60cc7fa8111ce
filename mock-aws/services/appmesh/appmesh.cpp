#include "mock-aws/services/appmesh/appmesh.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "mock-aws/services/appmesh/resource.h"
#include "mock-aws/services/appmesh/spec_rules.h"
#include "mock-aws/services/paging.h"
#include "sim/core/ids.h"

namespace coalmine::mock {
namespace {

using namespace appmesh;

enum class Verb { Create, Describe, Update, Delete, List };

struct Operation {
  Verb verb;
  Kind kind;
};

/// "CreateVirtualNode", "ListMeshes"; nullopt for the tag operations and unknown names.
std::optional<Operation> parse_operation(std::string_view operation) {
  static const std::map<std::string, Operation, std::less<>> kOperations = [] {
    std::map<std::string, Operation, std::less<>> all;
    for (const Vocabulary& words : kKinds) {
      all[fmt::format("Create{}", words.noun)] = {Verb::Create, words.kind};
      all[fmt::format("Describe{}", words.noun)] = {Verb::Describe, words.kind};
      all[fmt::format("Update{}", words.noun)] = {Verb::Update, words.kind};
      all[fmt::format("Delete{}", words.noun)] = {Verb::Delete, words.kind};
      all[fmt::format("List{}", words.plural)] = {Verb::List, words.kind};
    }
    return all;
  }();
  const auto found = kOperations.find(operation);
  if (found == kOperations.end()) return std::nullopt;
  return found->second;
}

const Json* weighted_targets(const Json& spec) {
  const RouteBody route = route_body(spec);
  return route.body == nullptr ? nullptr : at(*route.body, {"action", "weightedTargets"});
}

/// Envoy takes a route only if some target has weight.
bool usable(Kind kind, const Json& spec) {
  const Json* targets = kind == Kind::Route ? weighted_targets(spec) : nullptr;
  return targets == nullptr || std::any_of(targets->begin(), targets->end(),
                                           [](const Json& t) { return get_int(t, "weight") > 0; });
}

tl::expected<std::map<std::string, std::string>, AwsError> tags_from(const Json& input) {
  std::map<std::string, std::string> tags;
  const Json* given = find(input, "tags");
  if (given == nullptr) return tags;
  for (const Json& tag : *given) {
    const std::string key = get_string(tag, "key");
    if (!tags.emplace(key, get_string(tag, "value")).second) {
      return aws_error("BadRequestException", "tags has key '{}' twice", key);
    }
  }
  return tags;
}

}  // namespace

AppMesh::AppMesh(Scope scope, Random random, EventSink& events)
    : scope_(std::move(scope)), random_(random), events_(events) {}

AppMesh::~AppMesh() = default;

bool AppMesh::implements(std::string_view operation) const {
  return parse_operation(operation).has_value() || operation == "TagResource" ||
         operation == "UntagResource" || operation == "ListTagsForResource";
}

Reply AppMesh::call(std::string_view operation, const Json& input, CallContext& context) {
  if (operation == "TagResource") return tag_resource(input, context);
  if (operation == "UntagResource") return untag_resource(input, context);
  if (operation == "ListTagsForResource") return list_tags(input);
  const auto parsed = parse_operation(operation);
  if (!parsed) {
    return aws_error("UnknownOperationException", "App Mesh has no operation {}", operation);
  }
  if (parsed->verb == Verb::Describe) return describe(parsed->kind, input);
  if (parsed->verb == Verb::List) return list_page(parsed->kind, input);
  if (parsed->verb == Verb::Delete) return remove(parsed->kind, input, context);

  // Create and Update: a retry carries the same clientToken and gets the first answer again.
  const std::string token = get_string(input, "clientToken");
  if (token.size() > kMaxClientToken) {
    return aws_error("BadRequestException", "clientToken has {} characters, allowed are {}",
                     token.size(), kMaxClientToken);
  }
  const std::string request = fmt::format("{} {}", operation, dump_json(input));
  if (const auto seen = remembered_.find(token); !token.empty() && seen != remembered_.end()) {
    if (seen->second.request != request) {
      return aws_error("ConflictException", "clientToken {} was used with another request", token);
    }
    return *parse_json(seen->second.answer);
  }
  Reply reply = parsed->verb == Verb::Create ? create(parsed->kind, input, context)
                                             : update(parsed->kind, input, context);
  if (reply && !token.empty()) remember(token, {request, dump_json(*reply)});
  return reply;
}

void AppMesh::remember(const std::string& token, Remembered answer) {
  if (remembered_order_.size() == kMaxRememberedTokens) {
    remembered_.erase(remembered_order_.front());
    remembered_order_.erase(remembered_order_.begin());
  }
  remembered_[token] = std::move(answer);
  remembered_order_.push_back(token);
}

// --- the five verbs ----------------------------------------------------------------------------

Reply AppMesh::create(Kind kind, const Json& input, CallContext& context) {
  TRY_STATUS(require_parents(kind, input));
  const Key key = key_of(kind, input);
  TRY_STATUS(check_name(kind, key.name));
  const Json spec = input.value("spec", Json::object());
  TRY_STATUS(check_spec(kind, spec));
  if (find(key) != nullptr) {
    return aws_error("ConflictException", "{} with name {} already exists under account {}",
                     vocabulary(kind).noun, key.name, scope_.account);
  }
  TRY_STATUS(check_references(key, spec));
  TRY(auto tags, tags_from(input));

  auto resource = std::make_unique<Resource>();
  resource->key = key;
  resource->arn = arn_of(key);
  resource->uid = random_uuid(random_);
  resource->created_at = resource->updated_at = context.now;
  resource->spec = spec;
  if (usable(kind, spec)) resource->live_spec = spec;
  resource->tags = std::move(tags);
  const Resource& stored = *(resources_[key] = std::move(resource));
  ++revision_;
  announce(stored, "created", context.now);
  return Json{{vocabulary(kind).payload, describe_json(stored, "ACTIVE")}};
}

Reply AppMesh::describe(Kind kind, const Json& input) const {
  TRY_STATUS(require_parents(kind, input));
  TRY(const Resource* resource, require(key_of(kind, input)));
  return Json{{vocabulary(kind).payload, describe_json(*resource, "ACTIVE")}};
}

Reply AppMesh::update(Kind kind, const Json& input, CallContext& context) {
  TRY_STATUS(require_parents(kind, input));
  TRY(Resource * resource, require(key_of(kind, input)));
  // Only UpdateMesh may leave the spec out: nothing changes but the version.
  const Json spec = input.value("spec", resource->spec);
  TRY_STATUS(check_spec(kind, spec));
  TRY_STATUS(check_references(resource->key, spec));
  ++resource->version;
  resource->updated_at = context.now;
  if (spec != resource->spec) {
    resource->spec = spec;
    if (usable(kind, spec)) resource->live_spec = spec;
    ++revision_;
  }
  announce(*resource, "updated", context.now);
  return Json{{vocabulary(kind).payload, describe_json(*resource, "ACTIVE")}};
}

Reply AppMesh::remove(Kind kind, const Json& input, CallContext& context) {
  TRY_STATUS(require_parents(kind, input));
  TRY(Resource * resource, require(key_of(kind, input)));
  TRY_STATUS(check_unused(resource->key));
  resource->updated_at = context.now;
  const Json reply = {{vocabulary(kind).payload, describe_json(*resource, "DELETED")}};
  announce(*resource, "deleted", context.now);
  resources_.erase(Key(resource->key));
  ++revision_;
  return reply;
}

Reply AppMesh::list_page(Kind kind, const Json& input) const {
  constexpr std::int64_t kDefaultLimit = 100;
  TRY_STATUS(require_parents(kind, input));
  const Key key = key_of(kind, input);
  const auto page = take_page(list(kind, key.mesh, key.parent), get_string(input, "nextToken"),
                              static_cast<std::size_t>(get_int(input, "limit", kDefaultLimit)),
                              [](const Resource* resource) { return resource->key.name; });
  if (!page) {
    return aws_error("BadRequestException", "nextToken '{}' is not one that a List call returned",
                     get_string(input, "nextToken"));
  }
  Json items = Json::array();
  for (const Resource* resource : page->items) {
    Json item = describe_json(*resource, "ACTIVE");
    Json flat = std::move(item["metadata"]);
    flat.erase("uid");
    item.erase("metadata");
    item.erase("spec");
    item.erase("status");
    flat.update(item);
    items.push_back(std::move(flat));
  }
  Json reply = {{vocabulary(kind).list_member, std::move(items)}};
  if (!page->next.empty()) reply["nextToken"] = page->next;
  return reply;
}

// --- looking things up -------------------------------------------------------------------------

const AppMesh::Resource* AppMesh::find(const Key& key) const {
  const auto found = resources_.find(key);
  return found == resources_.end() ? nullptr : found->second.get();
}

std::vector<const AppMesh::Resource*> AppMesh::list(Kind kind, const std::string& mesh,
                                                    const std::string& parent) const {
  std::vector<const Resource*> found;
  for (const auto& [key, resource] : resources_) {
    if (key.kind != kind) continue;
    if (kind != Kind::Mesh && (key.mesh != mesh || key.parent != parent)) continue;
    found.push_back(resource.get());
  }
  return found;
}

AppMesh::Key AppMesh::key_of(Kind kind, const Json& input) const {
  const std::string mesh = get_string(input, "meshName");
  if (kind == Kind::Mesh) return {mesh, kind, "", mesh};
  const Kind parent = parent_kind(kind);
  return {mesh, kind, parent == Kind::Mesh ? "" : get_string(input, vocabulary(parent).name_member),
          get_string(input, vocabulary(kind).name_member)};
}

std::string AppMesh::arn_of(const Key& key) const {
  std::string arn =
      fmt::format("arn:aws:appmesh:{}:{}:mesh/{}", scope_.region, scope_.account, key.mesh);
  if (!key.parent.empty()) {
    arn += fmt::format("/{}/{}", vocabulary(parent_kind(key.kind)).payload, key.parent);
  }
  if (key.kind != Kind::Mesh) {
    arn += fmt::format("/{}/{}", vocabulary(key.kind).payload, key.name);
  }
  return arn;
}

tl::expected<AppMesh::Resource*, AwsError> AppMesh::require(const Key& key) const {
  const auto found = resources_.find(key);
  if (found != resources_.end()) return found->second.get();
  if (key.kind == Kind::Mesh) {
    return aws_error("NotFoundException", "Mesh with name {} is not present for account {}",
                     key.name, scope_.account);
  }
  return aws_error("NotFoundException",
                   "{} with name {} is not present under mesh {} for account {}",
                   vocabulary(key.kind).noun, key.name, key.mesh, scope_.account);
}

/// The mesh and, for routes, the router or gateway exist, and the mesh belongs to this account:
/// meshes that other accounts share are not simulated.
AppMesh::Check AppMesh::require_parents(Kind kind, const Json& input) const {
  const std::string mesh = get_string(input, "meshName");
  const std::string owner = get_string(input, "meshOwner", scope_.account);
  if (owner != scope_.account) {
    return aws_error("NotFoundException", "Mesh with name {} is not present for account {}", mesh,
                     owner);
  }
  if (kind == Kind::Mesh) return {};
  TRY_STATUS(require({mesh, Kind::Mesh, "", mesh}));
  const Kind parent = parent_kind(kind);
  if (parent == Kind::Mesh) return {};
  TRY_STATUS(require({mesh, parent, "", get_string(input, vocabulary(parent).name_member)}));
  return {};
}

// --- telling -----------------------------------------------------------------------------------

Json AppMesh::describe_json(const Resource& resource, std::string_view status) const {
  const Key& key = resource.key;
  Json out = {{"meshName", key.mesh},
              {"spec", resource.spec},
              {"status", {{"status", status}}},
              {"metadata",
               {{"arn", resource.arn},
                {"uid", resource.uid},
                {"version", resource.version},
                {"createdAt", to_epoch_seconds(resource.created_at)},
                {"lastUpdatedAt", to_epoch_seconds(resource.updated_at)},
                {"meshOwner", scope_.account},
                {"resourceOwner", scope_.account}}}};
  out[std::string(vocabulary(key.kind).name_member)] = key.name;
  if (!key.parent.empty()) {
    out[std::string(vocabulary(parent_kind(key.kind)).name_member)] = key.parent;
  }
  return out;
}

void AppMesh::announce(const Resource& resource, std::string_view verb, TimePoint now) const {
  const Key& key = resource.key;
  Json fields = {{"mesh", key.mesh}, {"version", resource.version}};
  if (key.kind != Kind::Mesh) fields["name"] = key.name;
  if (key.kind == Kind::Route) fields["virtual-router"] = key.parent;
  if (key.kind == Kind::GatewayRoute) fields["virtual-gateway"] = key.parent;
  if (const Json* targets = weighted_targets(resource.spec);
      key.kind == Kind::Route && targets != nullptr) {
    Json weights = Json::object();
    for (const Json& target : *targets) {
      const std::string node = get_string(target, "virtualNode");
      weights[node] = weights.value(node, std::int64_t{0}) + get_int(target, "weight");
    }
    fields["weights"] = std::move(weights);
  }
  events_.event(now, fmt::format("{}.{}", vocabulary(key.kind).event_noun, verb),
                std::move(fields));
}

Json AppMesh::state() const {
  Json all = Json::array();
  for (const auto& [key, resource] : resources_) {
    Json item = describe_json(*resource, "ACTIVE");
    item["tags"] = resource->tags;
    item["kind"] = vocabulary(key.kind).payload;
    all.push_back(std::move(item));
  }
  return {{"revision", revision_}, {"resources", std::move(all)}};
}

}  // namespace coalmine::mock
