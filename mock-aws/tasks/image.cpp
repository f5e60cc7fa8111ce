#include "mock-aws/tasks/image.h"

#include <fmt/format.h>

namespace coalmine::mock {
namespace {

struct Parts {
  std::string repository, tag;
  bool has_digest = false;
};

/// A ':' left of the last '/' belongs to a registry's port.
Parts split(const std::string& image) {
  Parts parts;
  const auto at = image.find('@');
  parts.has_digest = at != std::string::npos;
  const std::string name = image.substr(0, at);
  const auto slash = name.rfind('/');
  const auto colon = name.rfind(':');
  const bool tagged = colon != std::string::npos && (slash == std::string::npos || colon > slash);
  parts.repository = tagged ? name.substr(0, colon) : name;
  parts.tag = tagged ? name.substr(colon + 1) : "";
  return parts;
}

std::optional<std::string> version_at_end(const std::string& text) {
  std::size_t digits = text.size();
  while (digits > 0 && text[digits - 1] >= '0' && text[digits - 1] <= '9') --digits;
  if (digits == text.size() || digits == 0 || text[digits - 1] != 'v') return std::nullopt;
  return text.substr(digits - 1);
}

}  // namespace

std::optional<std::string> version_of(const std::string& image) {
  const Parts parts = split(image);
  if (!parts.has_digest) {
    if (auto version = version_at_end(parts.tag)) return version;
  }
  return version_at_end(parts.repository);
}

std::string with_tag(const std::string& image) {
  const Parts parts = split(image);
  return parts.has_digest || !parts.tag.empty() ? image : image + ":latest";
}

std::string cannot_pull(const std::string& image) {
  const std::string name = with_tag(image);
  return fmt::format(
      "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve "
      "ref {}: {}: not found",
      name, name);
}

}  // namespace coalmine::mock
