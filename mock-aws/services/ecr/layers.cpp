#include <openssl/evp.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "mock-aws/services/ecr/ecr.h"
#include "mock-aws/services/ecr/store.h"
#include "sim/core/ids.h"

namespace coalmine::mock {

using namespace ecr;

namespace {

/// nullopt: not base64.
std::optional<std::string> from_base64(const std::string& text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::string out(text.size() / 4 * 3 + 1, '\0');
  const int length = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                     reinterpret_cast<const unsigned char*>(text.data()),
                                     static_cast<int>(text.size()));
  if (length < 0) return std::nullopt;
  std::size_t padding = 0;  // OpenSSL counts it as zero bytes
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  out.resize(static_cast<std::size_t>(length) - padding);
  return out;
}

}  // namespace

tl::expected<Repository*, AwsError> Ecr::require_upload(const Json& input) const {
  TRY(Repository * repository, require(input));
  const std::string id = get_string(input, "uploadId");
  const BlobStore::Upload* upload = blobs_.upload(id);
  if (upload == nullptr || upload->repository != repository->name) {
    return aws_error("UploadNotFoundException",
                     "The upload with id '{}' does not exist for the repository with name '{}' in "
                     "the registry with id '{}'",
                     id, repository->name, scope_.account);
  }
  return repository;
}

Reply Ecr::initiate_layer_upload(const Json& input, CallContext&) {
  TRY(const Repository* repository, require(input));
  const std::string id = random_uuid(random_);
  blobs_.begin_upload(id, repository->name);
  return Json{{"uploadId", id}, {"partSize", kPartBytes}};
}

Reply Ecr::upload_layer_part(const Json& input, CallContext&) {
  TRY(const Repository* repository, require_upload(input));
  const std::string id = get_string(input, "uploadId");
  const auto first = get_int(input, "partFirstByte"), last = get_int(input, "partLastByte");
  const auto received = static_cast<std::int64_t>(blobs_.upload(id)->bytes.size());
  if (first != received) {
    return aws_error("InvalidLayerPartException",
                     "First byte of the layer part is {} instead of {}", first, received);
  }
  const auto bytes = from_base64(get_string(input, "layerPartBlob"));
  if (!bytes || static_cast<std::int64_t>(bytes->size()) != last - first + 1) {
    return aws_error("InvalidParameterException",
                     "layerPartBlob has {} bytes; partFirstByte {} and partLastByte {} say {}",
                     bytes ? bytes->size() : 0, first, last, last - first + 1);
  }
  if (!blobs_.append(id, *bytes)) {
    return aws_error("LimitExceededException", "blobs may take {} bytes in all",
                     options_.max_blob_bytes);
  }
  Json reply = base_reply(*repository);
  reply["uploadId"] = id;
  reply["lastByteReceived"] = last;
  return reply;
}

Reply Ecr::complete_layer_upload(const Json& input, CallContext&) {
  TRY(Repository * repository, require_upload(input));
  const std::string id = get_string(input, "uploadId");
  const BlobStore::Upload& upload = *blobs_.upload(id);
  if (upload.bytes.empty()) {
    return aws_error("EmptyUploadException", "The upload with id '{}' has no layer parts", id);
  }
  const auto& parts = upload.part_sizes;
  if (std::any_of(parts.begin(), parts.end() - 1,
                  [](std::size_t size) { return size < kMinPartBytes; })) {
    return aws_error("LayerPartTooSmallException",
                     "Layer parts must be at least {} bytes in size, but for the last",
                     kMinPartBytes);
  }
  const std::string digest = sha256_digest(upload.bytes);
  const auto given = input.at("layerDigests").get<std::vector<std::string>>();
  if (std::find(given.begin(), given.end(), digest) == given.end()) {
    return aws_error("InvalidLayerException", "The digest of the layer is '{}', not '{}'", digest,
                     fmt::join(given, "', '"));
  }
  if (repository->layers.count(digest) > 0) {
    return aws_error("LayerAlreadyExistsException",
                     "Layer with digest '{}' already exists in the repository with name '{}' in "
                     "registry with id '{}'",
                     digest, repository->name, scope_.account);
  }
  blobs_.put(blobs_.take_upload(id));  // fits: the upload's own bytes were just given back
  repository->layers.insert(digest);
  Json reply = base_reply(*repository);
  reply["uploadId"] = id;
  reply["layerDigest"] = digest;
  return reply;
}

Reply Ecr::batch_check_layers(const Json& input, CallContext&) {
  TRY(const Repository* repository, require(input));
  Json layers = Json::array(), failures = Json::array();
  for (const Json& each : input.at("layerDigests")) {
    const auto digest = each.get<std::string>();
    if (!is_digest(digest)) {
      failures.push_back(
          {{"layerDigest", digest},
           {"failureCode", digest.empty() ? "MissingLayerDigest" : "InvalidLayerDigest"},
           {"failureReason",
            "Invalid request parameters: layer digest should "
            "satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'"}});
      continue;
    }
    const auto blob = repository->layers.count(digest) > 0 ? blobs_.get(digest) : nullptr;
    Json layer = {{"layerDigest", digest},
                  {"layerAvailability", blob ? "AVAILABLE" : "UNAVAILABLE"}};
    if (blob) layer["layerSize"] = blob->size();
    layers.push_back(std::move(layer));
  }
  return Json{{"layers", std::move(layers)}, {"failures", std::move(failures)}};
}

}  // namespace coalmine::mock
