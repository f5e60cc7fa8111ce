#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>

#include "sim/core/json.h"
#include "sim/core/time.h"

namespace coalmine::mock::ecr {

/// A manifest, or a list of manifests.
struct Image {
  std::string digest;
  std::string manifest;  ///< the bytes that were pushed, unchanged
  std::string media_type;
  std::string artifact_media_type;   ///< of the config; empty for lists
  std::set<std::string> references;  ///< manifests that a list names
  std::int64_t size_bytes = 0;
  TimePoint pushed_at;
};

struct Repository {
  std::string name, arn;
  std::string mutability = "MUTABLE";
  Json exclusion_filters;  ///< null: none
  Json scanning = {{"scanOnPush", false}};
  Json encryption = {{"encryptionType", "AES256"}};
  TimePoint created_at;
  std::map<std::string, std::string> resource_tags;
  std::optional<std::string> lifecycle_policy, policy;
  std::map<std::string, Image> images;      ///< by digest
  std::map<std::string, std::string> tags;  ///< tag -> digest
  std::set<std::string> layers;             ///< digests that were uploaded here
};

/// How an API call names an image.
struct ImageId {
  std::string digest, tag;
};
ImageId image_id_from(const Json& json);
Json to_json(const ImageId& id);

/// Whether pushing `tag` again is refused.
bool is_immutable(const Repository& repository, const std::string& tag);

}  // namespace coalmine::mock::ecr
