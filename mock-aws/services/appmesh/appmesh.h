// mock-aws/services/appmesh: AWS App Mesh's control plane, all 38 operations.
//
// Meshes and what lies below them are kept as their specs were given; the service checks what
// AWS checks (spec rules, references, the order of deletion), counts versions and tells the
// event sink. What the specs mean for traffic is compiled in mock-aws/dataplane, which reads
// this class through find() and list().
//
//   kinds.h         the seven kinds of resource and their vocabulary
//   spec_rules.h    what a spec must satisfy on its own: pure functions
//   references.cpp  what it must satisfy among the others: targets, ports, delete order
//   appmesh.cpp     create, describe, update, delete, list; tags.cpp: the three tag operations
//
// Wordings quoted from AWS are listed with the rules; where none is known the text is ours and
// only the code is AWS's. Quotas are not enforced. TLS, log formats and IPv6 preferences are
// stored, and have no effect.
//
// Below: mock-aws/protocol (Service), mock-aws/services/ports.h. Above: mock-aws/dataplane.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mock-aws/protocol/service.h"
#include "mock-aws/services/appmesh/kinds.h"
#include "mock-aws/services/ports.h"

namespace coalmine::mock {

class AppMesh final : public Service {
 public:
  using Kind = appmesh::Kind;
  using Key = appmesh::Key;
  using Resource = appmesh::Resource;
  using Check = tl::expected<void, AwsError>;

  static constexpr std::size_t kMaxTags = 50;
  static constexpr std::size_t kMaxClientToken = 36;
  /// Answers remembered for retries with the same clientToken; the oldest is forgotten first.
  static constexpr std::size_t kMaxRememberedTokens = 1000;

  /// `events` must outlive the object.
  AppMesh(Scope scope, Random random, EventSink& events);
  ~AppMesh() override;

  std::string_view name() const override { return "appmesh"; }
  bool implements(std::string_view operation) const override;
  Reply call(std::string_view operation, const Json& input, CallContext& context) override;
  Json state() const override;

  /// nullptr: no such resource.
  const Resource* find(const Key& key) const;
  /// All of a kind below a mesh (and, for routes, below their router or gateway), by name.
  std::vector<const Resource*> list(Kind kind, const std::string& mesh,
                                    const std::string& parent = "") const;
  /// Rises by one whenever something changes that traffic could depend on.
  std::uint64_t revision() const { return revision_; }

 private:
  struct Remembered {
    std::string request;
    std::string answer;
  };

  Reply create(Kind kind, const Json& input, CallContext& context);
  Reply describe(Kind kind, const Json& input) const;
  Reply update(Kind kind, const Json& input, CallContext& context);
  Reply remove(Kind kind, const Json& input, CallContext& context);
  Reply list_page(Kind kind, const Json& input) const;

  Reply tag_resource(const Json& input, CallContext& context);
  Reply untag_resource(const Json& input, CallContext& context);
  Reply list_tags(const Json& input) const;

  Key key_of(Kind kind, const Json& input) const;
  std::string arn_of(const Key& key) const;
  Resource* find_by_arn(const std::string& arn) const;
  tl::expected<Resource*, AwsError> require(const Key& key) const;
  Check require_parents(Kind kind, const Json& input) const;
  Json describe_json(const Resource& resource, std::string_view status) const;
  void announce(const Resource& resource, std::string_view verb, TimePoint now) const;
  void remember(const std::string& token, Remembered answer);

  // references.cpp
  Check check_references(const Key& key, const Json& spec) const;
  Check check_route(const Key& key, const Json& spec) const;
  Check check_provider(const Key& key, const Json& spec) const;
  Check check_gateway_route(const Key& key, const Json& spec) const;
  Check check_router_change(const Key& key, const Json& spec) const;
  Check check_gateway_change(const Key& key, const Json& spec) const;
  Check check_unused(const Key& key) const;

  Scope scope_;
  Random random_;
  EventSink& events_;
  std::map<Key, std::unique_ptr<Resource>> resources_;
  std::map<std::string, Remembered> remembered_;  ///< by clientToken
  std::vector<std::string> remembered_order_;
  std::uint64_t revision_ = 0;
};

}  // namespace coalmine::mock
