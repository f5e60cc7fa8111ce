#include "mock-aws/services/ecr/blob_store.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>

#include "sim/core/check.h"

namespace coalmine::mock {

std::string sha256_digest(std::string_view bytes) {
  unsigned char hash[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  CHECK(EVP_Digest(bytes.data(), bytes.size(), hash, &length, EVP_sha256(), nullptr) == 1);
  std::string out = "sha256:";
  for (unsigned int i = 0; i < length; ++i) out += fmt::format("{:02x}", hash[i]);
  return out;
}

bool is_digest(std::string_view text) {
  constexpr std::string_view kPrefix = "sha256:";
  constexpr std::size_t kHexDigits = 64;
  return text.size() == kPrefix.size() + kHexDigits && text.substr(0, kPrefix.size()) == kPrefix &&
         std::all_of(text.begin() + kPrefix.size(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::optional<std::string> BlobStore::put(std::string bytes) {
  std::string digest = sha256_digest(bytes);
  if (blobs_.count(digest) > 0) return digest;
  if (bytes.size() > max_bytes_ - used_bytes_) return std::nullopt;
  used_bytes_ += bytes.size();
  blobs_[digest] = std::make_shared<const std::string>(std::move(bytes));
  return digest;
}

std::shared_ptr<const std::string> BlobStore::get(const std::string& digest) const {
  const auto found = blobs_.find(digest);
  return found == blobs_.end() ? nullptr : found->second;
}

void BlobStore::erase(const std::string& digest) {
  const auto found = blobs_.find(digest);
  if (found == blobs_.end()) return;
  used_bytes_ -= found->second->size();
  blobs_.erase(found);
}

void BlobStore::begin_upload(const std::string& id, const std::string& repository) {
  uploads_[id].repository = repository;
}

const BlobStore::Upload* BlobStore::upload(const std::string& id) const {
  const auto found = uploads_.find(id);
  return found == uploads_.end() ? nullptr : &found->second;
}

bool BlobStore::append(const std::string& id, std::string_view bytes) {
  Upload& upload = uploads_.at(id);
  if (bytes.size() > max_bytes_ - used_bytes_) return false;
  used_bytes_ += bytes.size();
  upload.bytes += bytes;
  upload.part_sizes.push_back(bytes.size());
  return true;
}

std::string BlobStore::take_upload(const std::string& id) {
  const auto found = uploads_.find(id);
  CHECK(found != uploads_.end());
  std::string bytes = std::move(found->second.bytes);
  used_bytes_ -= bytes.size();
  uploads_.erase(found);
  return bytes;
}

}  // namespace coalmine::mock
