// mock-aws/services/ecr: Amazon ECR's control plane: repositories, images, layers.
//
// Images are manifests by digest, tags point at them, blobs lie in a BlobStore. The registry's
// /v2/ endpoints (docker push and pull) will stand on the same records. Lifecycle and repository
// policies are checked and kept, and have no effect.
//
//   store.h     the records        ecr.cpp     repositories, tokens, tags, policies
//   images.cpp  images and tags    layers.cpp  the layer upload operations
//
// Below: mock-aws/protocol (Service), mock-aws/services/ports.h. Above: mock-aws/services/cloud.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mock-aws/protocol/service.h"
#include "mock-aws/services/ecr/blob_store.h"
#include "mock-aws/services/ports.h"

namespace coalmine::mock {

namespace ecr {
struct Repository;
struct Image;
struct ImageId;
}  // namespace ecr

class Ecr final : public Service, public ImageStore {
 public:
  struct Options {
    std::string registry_host = "127.0.0.1:4566";  ///< of repositoryUri and proxyEndpoint
    std::size_t max_blob_bytes = BlobStore::kMaxBytes;
  };
  static constexpr Duration kTokenLifetime = std::chrono::hours{12};
  static constexpr std::size_t kMaxTokens = 1000;  ///< remembered; the oldest goes first
  static constexpr std::size_t kMaxTags = 50;
  static constexpr std::size_t kMinPartBytes = std::size_t{5} << 20;  ///< all parts but the last
  static constexpr std::size_t kPartBytes = std::size_t{10} << 20;    ///< as offered to clients

  /// `events` must outlive the object.
  Ecr(Scope scope, Random random, EventSink& events);
  Ecr(Scope scope, Random random, EventSink& events, Options options);
  ~Ecr() override;

  /// HOST:PORT once the server knows its port.
  void set_registry_host(std::string host) { options_.registry_host = std::move(host); }

  std::string_view name() const override { return "ecr"; }
  bool implements(std::string_view operation) const override;
  Reply call(std::string_view operation, const Json& input, CallContext& context) override;
  Json state() const override;

  std::optional<std::string> resolve(const std::string& image) const override;

  /// A registry client's password, as GetAuthorizationToken gave it.
  enum class Password { Valid, Expired, Unknown };
  Password check_password(const std::string& password, TimePoint now) const;
  BlobStore& blobs() { return blobs_; }
  /// nullptr: no such repository.
  ecr::Repository* find_repository(const std::string& repository_name) const;

 private:
  using Check = tl::expected<void, AwsError>;
  static const OperationTable<Ecr>& operations();

  Reply get_authorization_token(const Json& input, CallContext& context);
  Reply create_repository(const Json& input, CallContext& context);
  Reply describe_repositories(const Json& input, CallContext& context);
  Reply delete_repository(const Json& input, CallContext& context);
  Reply put_tag_mutability(const Json& input, CallContext& context);
  Reply describe_registry(const Json& input, CallContext& context);
  Reply tag_resource(const Json& input, CallContext& context);
  Reply untag_resource(const Json& input, CallContext& context);
  Reply list_tags(const Json& input, CallContext& context);
  Reply put_lifecycle_policy(const Json& input, CallContext& context);
  Reply get_lifecycle_policy(const Json& input, CallContext& context);
  Reply delete_lifecycle_policy(const Json& input, CallContext& context);
  Reply set_repository_policy(const Json& input, CallContext& context);
  Reply get_repository_policy(const Json& input, CallContext& context);
  Reply delete_repository_policy(const Json& input, CallContext& context);

  Reply put_image(const Json& input, CallContext& context);
  Reply describe_images(const Json& input, CallContext& context);
  Reply list_images(const Json& input, CallContext& context);
  Reply batch_get_image(const Json& input, CallContext& context);
  Reply batch_delete_image(const Json& input, CallContext& context);

  Reply initiate_layer_upload(const Json& input, CallContext& context);
  Reply upload_layer_part(const Json& input, CallContext& context);
  Reply complete_layer_upload(const Json& input, CallContext& context);
  Reply batch_check_layers(const Json& input, CallContext& context);

  tl::expected<ecr::Repository*, AwsError> require(const Json& input) const;
  tl::expected<ecr::Repository*, AwsError> require_arn(const Json& input) const;
  tl::expected<ecr::Repository*, AwsError> require_upload(const Json& input) const;
  Json describe(const ecr::Repository& repository) const;
  Json describe(const ecr::Repository& repository, const ecr::Image& image) const;
  Json base_reply(const ecr::Repository& repository) const;

  Scope scope_;
  Random random_;
  EventSink& events_;
  Options options_;
  BlobStore blobs_;
  std::map<std::string, std::unique_ptr<ecr::Repository>> repositories_;
  std::vector<std::pair<std::string, TimePoint>> tokens_;  ///< password, expiry; oldest first
};

}  // namespace coalmine::mock
