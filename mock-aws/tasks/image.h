#pragma once

#include <optional>
#include <string>

namespace coalmine::mock {

/// The version an image's name tells: "…/APP-svc1-v1" and "…/service1-v2:latest" by the
/// repository, "…/app:v3" by the tag; a digest ("…/svc-v2@sha256:…") leaves it to the
/// repository. nullopt unless one of them ends in "v" and digits.
std::optional<std::string> version_of(const std::string& image);

/// The name with ":latest" where neither tag nor digest is given.
std::string with_tag(const std::string& image);

/// AWS's stoppedReason for an image that is nowhere (Fargate platform 1.4.0).
std::string cannot_pull(const std::string& image);

}  // namespace coalmine::mock
