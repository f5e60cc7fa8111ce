#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>

#include "mock-aws/services/ecr/ecr.h"
#include "mock-aws/services/ecr/store.h"
#include "mock-aws/services/paging.h"

namespace coalmine::mock {

using namespace ecr;

namespace ecr {

ImageId image_id_from(const Json& json) {
  return {get_string(json, "imageDigest"), get_string(json, "imageTag")};
}

Json to_json(const ImageId& id) {
  Json out = Json::object();
  if (!id.digest.empty()) out["imageDigest"] = id.digest;
  if (!id.tag.empty()) out["imageTag"] = id.tag;
  return out;
}

namespace {

/// Whether `text` fits `pattern`, in which '*' stands for anything.
bool wildcard(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern.front() != '*') {
    return !text.empty() && text.front() == pattern.front() &&
           wildcard(pattern.substr(1), text.substr(1));
  }
  return wildcard(pattern.substr(1), text) || (!text.empty() && wildcard(pattern, text.substr(1)));
}

}  // namespace

bool is_immutable(const Repository& repository, const std::string& tag) {
  const bool immutable = repository.mutability.compare(0, 9, "IMMUTABLE") == 0;
  if (repository.mutability.find("_WITH_EXCLUSION") == std::string::npos) return immutable;
  for (const Json& filter : repository.exclusion_filters) {
    if (wildcard(get_string(filter, "filter"), tag)) return !immutable;
  }
  return immutable;
}

}  // namespace ecr

namespace {

template <typename... Args>
tl::unexpected<AwsError> invalid(fmt::format_string<Args...> text, Args&&... args) {
  return aws_error("InvalidParameterException", text, std::forward<Args>(args)...);
}

bool is_tag(const std::string& tag) {
  constexpr std::size_t kMaxTag = 128;
  const auto word = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  return !tag.empty() && tag.size() <= kMaxTag && word(tag.front()) &&
         std::all_of(tag.begin(), tag.end(),
                     [&](char c) { return word(c) || c == '.' || c == '-'; });
}

/// What a manifest names: layers and config, or other manifests.
struct Manifest {
  std::string media_type, artifact_media_type;
  std::set<std::string> blobs, manifests;
  std::int64_t size_bytes = 0;
};

tl::expected<Manifest, AwsError> parse_manifest(const std::string& text,
                                                const std::string& given_type) {
  const auto json = parse_json(text);
  if (!json || !json->is_object()) {
    return invalid(
        "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON "
        "syntax'");
  }
  Manifest out;
  out.media_type = get_string(*json, "mediaType", given_type);
  if (out.media_type.empty()) out.media_type = "application/vnd.oci.image.manifest.v1+json";
  if (!given_type.empty() && given_type != out.media_type) {
    return invalid("imageManifestMediaType is {}, but the manifest says {}", given_type,
                   out.media_type);
  }
  if (const Json* children = find(*json, "manifests"); children && children->is_array()) {
    for (const Json& child : *children) out.manifests.insert(get_string(child, "digest"));
    return out;
  }
  const Json* config = find(*json, "config");
  const Json* layers = find(*json, "layers");
  if (config == nullptr || layers == nullptr || !layers->is_array()) {
    return invalid(
        "Invalid parameter at 'ImageManifest' failed to satisfy constraint: it needs config and "
        "layers, or manifests");
  }
  out.artifact_media_type = get_string(*config, "mediaType");
  out.blobs.insert(get_string(*config, "digest"));
  out.size_bytes = get_int(*config, "size");
  for (const Json& layer : *layers) {
    // Foreign layers are fetched from their own URLs and never pushed.
    if (find(layer, "urls") == nullptr) out.blobs.insert(get_string(layer, "digest"));
    out.size_bytes += get_int(layer, "size");
  }
  return out;
}

std::vector<std::string> missing_from(const std::set<std::string>& wanted, const auto& present) {
  std::vector<std::string> missing;
  std::copy_if(wanted.begin(), wanted.end(), std::back_inserter(missing),
               [&](const std::string& digest) { return present.count(digest) == 0; });
  return missing;
}

struct Failure {
  const char* code;
  std::string reason;
};

/// The image that an id names.
tl::expected<const Image*, Failure> look_up(const Repository& repository, const ImageId& id) {
  if (id.digest.empty() && id.tag.empty()) {
    return tl::unexpected(Failure{
        "MissingDigestAndTag", "Invalid request parameters: both tag and digest cannot be null"});
  }
  if (!id.digest.empty() && !is_digest(id.digest)) {
    return tl::unexpected(Failure{"InvalidImageDigest",
                                  "Invalid request parameters: image digest should satisfy the "
                                  "regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'"});
  }
  std::string digest = id.digest;
  if (!id.tag.empty()) {
    const auto tagged = repository.tags.find(id.tag);
    if (tagged == repository.tags.end()) {
      return tl::unexpected(Failure{"ImageNotFound", "Requested image not found"});
    }
    if (!digest.empty() && digest != tagged->second) {
      return tl::unexpected(Failure{"ImageTagDoesNotMatchDigest",
                                    "The tag does not point at an image with this digest"});
    }
    digest = tagged->second;
  }
  const auto found = repository.images.find(digest);
  if (found == repository.images.end()) {
    return tl::unexpected(Failure{"ImageNotFound", "Requested image not found"});
  }
  return &found->second;
}

Json failure_json(const ImageId& id, const Failure& failure) {
  return {
      {"imageId", to_json(id)}, {"failureCode", failure.code}, {"failureReason", failure.reason}};
}

std::vector<std::string> tags_of(const Repository& repository, const std::string& digest) {
  std::vector<std::string> tags;
  for (const auto& [tag, target] : repository.tags) {
    if (target == digest) tags.push_back(tag);
  }
  return tags;
}

bool passes_filter(const Json& input, bool tagged) {
  const Json* filter = find(input, "filter");
  const std::string status = filter ? get_string(*filter, "tagStatus", "ANY") : "ANY";
  return status == "ANY" || (status == "TAGGED") == tagged;
}

}  // namespace

Reply Ecr::put_image(const Json& input, CallContext& context) {
  TRY(Repository * repository, require(input));
  const std::string text = get_string(input, "imageManifest");
  const std::string tag = get_string(input, "imageTag");
  if (!tag.empty() && !is_tag(tag)) {
    return invalid(
        "Invalid parameter at 'imageTag': '{}' must be 1 to 128 of letters, digits, _ . "
        "- and start with a letter, digit or _",
        tag);
  }
  TRY(Manifest manifest, parse_manifest(text, get_string(input, "imageManifestMediaType")));
  const std::string digest = sha256_digest(text);
  if (const std::string given = get_string(input, "imageDigest", digest); given != digest) {
    return aws_error("ImageDigestDoesNotMatchException",
                     "The digest of the manifest is '{}', the request says '{}'", digest, given);
  }
  const bool known = repository->images.count(digest) > 0;
  const auto tagged = repository->tags.find(tag);
  if (tag.empty() ? known : tagged != repository->tags.end() && tagged->second == digest) {
    return aws_error("ImageAlreadyExistsException",
                     "Image with digest '{}' and tag '{}' already exists in the repository with "
                     "name '{}' in registry with id '{}'",
                     digest, tag.empty() ? "null" : tag, repository->name, scope_.account);
  }
  if (tagged != repository->tags.end() && is_immutable(*repository, tag)) {
    return aws_error("ImageTagAlreadyExistsException",
                     "The image tag '{}' already exists in the '{}' repository and cannot be "
                     "overwritten because the tag is immutable.",
                     tag, repository->name);
  }
  if (const auto missing = missing_from(manifest.blobs, repository->layers); !missing.empty()) {
    return aws_error("LayersNotFoundException",
                     "Layers with digests '[{}]' required for pushing image into repository with "
                     "name '{}' in the registry with id '{}' do not exist",
                     fmt::join(missing, ", "), repository->name, scope_.account);
  }
  if (const auto missing = missing_from(manifest.manifests, repository->images); !missing.empty()) {
    return aws_error("ReferencedImagesNotFoundException",
                     "Images with digests '[{}]' required for pushing image into repository with "
                     "name '{}' in the registry with id '{}' do not exist",
                     fmt::join(missing, ", "), repository->name, scope_.account);
  }
  if (!known) {
    repository->images[digest] = {digest,
                                  text,
                                  manifest.media_type,
                                  manifest.artifact_media_type,
                                  manifest.manifests,
                                  manifest.size_bytes,
                                  context.now};
  }
  if (!tag.empty()) repository->tags[tag] = digest;  // the image it was on stays, untagged
  events_.event(context.now, "image.pushed",
                {{"repository", repository->name}, {"digest", digest}, {"tag", tag}});
  Json image = base_reply(*repository);
  image["imageId"] = to_json(ImageId{digest, tag});
  image["imageManifest"] = text;
  image["imageManifestMediaType"] = manifest.media_type;
  return Json{{"image", std::move(image)}};
}

Json Ecr::describe(const Repository& repository, const Image& image) const {
  Json out = base_reply(repository);
  out["imageDigest"] = image.digest;
  out["imageSizeInBytes"] = image.size_bytes;
  out["imagePushedAt"] = to_epoch_seconds(image.pushed_at);
  out["imageManifestMediaType"] = image.media_type;
  if (!image.artifact_media_type.empty()) out["artifactMediaType"] = image.artifact_media_type;
  const auto tags = tags_of(repository, image.digest);
  if (!tags.empty()) out["imageTags"] = tags;
  return out;
}

Reply Ecr::describe_images(const Json& input, CallContext&) {
  TRY(const Repository* repository, require(input));
  Json list = Json::array();
  if (const Json* ids = find(input, "imageIds")) {
    if (find(input, "nextToken") || find(input, "maxResults")) {
      return invalid("nextToken and maxResults cannot be given together with imageIds");
    }
    std::set<std::string> seen;
    for (const Json& each : *ids) {
      const ImageId id = image_id_from(each);
      const auto image = look_up(*repository, id);
      if (!image) {
        const auto quote = [](const std::string& text) { return text.empty() ? "null" : text; };
        return aws_error("ImageNotFoundException",
                         "The image with imageId {{imageDigest:'{}', imageTag:'{}'}} does not "
                         "exist within the repository with name '{}' in the registry with id '{}'",
                         quote(id.digest), quote(id.tag), repository->name, scope_.account);
      }
      if (seen.insert((*image)->digest).second) list.push_back(describe(*repository, **image));
    }
    return Json{{"imageDetails", std::move(list)}};
  }
  std::vector<const Image*> all;
  for (const auto& [digest, image] : repository->images) {
    if (passes_filter(input, !tags_of(*repository, digest).empty())) all.push_back(&image);
  }
  const auto page = take_page(all, get_string(input, "nextToken"),
                              static_cast<std::size_t>(get_int(input, "maxResults", 100)),
                              [](const Image* image) { return image->digest; });
  if (!page) return invalid("nextToken is not one that a call returned");
  for (const Image* image : page->items) list.push_back(describe(*repository, *image));
  Json reply = {{"imageDetails", std::move(list)}};
  if (!page->next.empty()) reply["nextToken"] = page->next;
  return reply;
}

Reply Ecr::list_images(const Json& input, CallContext&) {
  TRY(const Repository* repository, require(input));
  std::vector<ImageId> all;
  for (const auto& [digest, image] : repository->images) {
    const auto tags = tags_of(*repository, digest);
    if (!passes_filter(input, !tags.empty())) continue;
    if (tags.empty()) all.push_back({digest, ""});
    for (const std::string& tag : tags) all.push_back({digest, tag});
  }
  const auto page = take_page(all, get_string(input, "nextToken"),
                              static_cast<std::size_t>(get_int(input, "maxResults", 100)),
                              [](const ImageId& id) { return id.digest + " " + id.tag; });
  if (!page) return invalid("nextToken is not one that a call returned");
  Json reply = {{"imageIds", Json::array()}};
  for (const ImageId& id : page->items) reply["imageIds"].push_back(to_json(id));
  if (!page->next.empty()) reply["nextToken"] = page->next;
  return reply;
}

Reply Ecr::batch_get_image(const Json& input, CallContext&) {
  TRY(const Repository* repository, require(input));
  Json images = Json::array(), failures = Json::array();
  for (const Json& each : input.at("imageIds")) {
    const ImageId id = image_id_from(each);
    const auto image = look_up(*repository, id);
    if (!image) {
      failures.push_back(failure_json(id, image.error()));
      continue;
    }
    Json out = base_reply(*repository);
    out["imageId"] = to_json(ImageId{(*image)->digest, id.tag});
    out["imageManifest"] = (*image)->manifest;
    out["imageManifestMediaType"] = (*image)->media_type;
    images.push_back(std::move(out));
  }
  return Json{{"images", std::move(images)}, {"failures", std::move(failures)}};
}

/// By tag: the tag goes, and with an image's last tag the image. By digest: all of it.
Reply Ecr::batch_delete_image(const Json& input, CallContext& context) {
  TRY(Repository * repository, require(input));
  Json deleted = Json::array(), failures = Json::array();
  for (const Json& each : input.at("imageIds")) {
    const ImageId id = image_id_from(each);
    const auto image = look_up(*repository, id);
    if (!image) {
      failures.push_back(failure_json(id, image.error()));
      continue;
    }
    const std::string digest = (*image)->digest;
    const auto tags = tags_of(*repository, digest);
    const bool whole = id.tag.empty() || tags.size() == 1;
    const auto list =
        std::find_if(repository->images.begin(), repository->images.end(),
                     [&](const auto& entry) { return entry.second.references.count(digest) > 0; });
    if (whole && list != repository->images.end()) {
      failures.push_back(failure_json(
          id, {"ImageReferencedByManifestList",
               fmt::format("Requested image referenced by manifest list: [{}]", list->first)}));
      continue;
    }
    if (whole) {
      for (const std::string& tag : tags) repository->tags.erase(tag);
      repository->images.erase(digest);
    } else {
      repository->tags.erase(id.tag);
    }
    if (id.tag.empty()) {
      for (const std::string& tag : tags) deleted.push_back(to_json(ImageId{digest, tag}));
    }
    if (!id.tag.empty() || tags.empty()) deleted.push_back(to_json(ImageId{digest, id.tag}));
    events_.event(context.now, "image.deleted",
                  {{"repository", repository->name}, {"digest", digest}, {"tag", id.tag}});
  }
  return Json{{"imageIds", std::move(deleted)}, {"failures", std::move(failures)}};
}

std::optional<std::string> Ecr::resolve(const std::string& image) const {
  std::string path = image;
  // The part before the first '/' is a host if it looks like one; any host will do.
  if (const auto slash = path.find('/'); slash != std::string::npos) {
    const std::string first = path.substr(0, slash);
    if (first.find_first_of(".:") != std::string::npos || first == "localhost") {
      path.erase(0, slash + 1);
    }
  }
  ImageId id;
  if (const auto at = path.find('@'); at != std::string::npos) {
    id.digest = path.substr(at + 1);
    path.resize(at);
  }
  if (const auto colon = path.find(':'); colon != std::string::npos) {
    if (id.digest.empty()) id.tag = path.substr(colon + 1);
    path.resize(colon);
  }
  if (id.digest.empty() && id.tag.empty()) id.tag = "latest";
  const Repository* repository = find_repository(path);
  if (repository == nullptr) return std::nullopt;
  const auto found = look_up(*repository, id);
  if (!found) return std::nullopt;
  return (*found)->digest;
}

}  // namespace coalmine::mock
