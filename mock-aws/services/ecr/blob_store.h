#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace coalmine::mock {

/// "sha256:" and 64 hexadecimal digits.
std::string sha256_digest(std::string_view bytes);
bool is_digest(std::string_view text);

/// Layers and configs of images, in memory, by content; and uploads that are under way.
/// Shared by the API's layer operations and the registry's /v2/ endpoints.
class BlobStore {
 public:
  static constexpr std::size_t kMaxBytes = std::size_t{2} << 30;  ///< blobs and open uploads

  explicit BlobStore(std::size_t max_bytes = kMaxBytes) : max_bytes_(max_bytes) {}

  /// The digest, or nullopt when the store is full. Storing again costs nothing.
  std::optional<std::string> put(std::string bytes);
  /// nullptr: no such blob. Shared, so that a download survives a delete.
  std::shared_ptr<const std::string> get(const std::string& digest) const;
  void erase(const std::string& digest);

  struct Upload {
    std::string repository;
    std::string bytes;
    std::vector<std::size_t> part_sizes;
  };
  /// Opens an upload under an id that the caller draws.
  void begin_upload(const std::string& id, const std::string& repository);
  /// nullptr: no such upload.
  const Upload* upload(const std::string& id) const;
  /// False when the store is full. The upload must exist.
  bool append(const std::string& id, std::string_view bytes);
  /// Closes the upload and hands its bytes over. The upload must exist.
  std::string take_upload(const std::string& id);

  std::size_t size_bytes() const { return used_bytes_; }

 private:
  std::size_t max_bytes_;
  std::size_t used_bytes_ = 0;
  std::map<std::string, std::shared_ptr<const std::string>> blobs_;
  std::map<std::string, Upload> uploads_;
};

}  // namespace coalmine::mock
