// What the spec of one App Mesh resource must satisfy on its own, beyond the API model.
//
// The protocol layer has checked required members, ranges, patterns, enumerations and unions.
// Here: alternatives that the model cannot say. Sources: the App Mesh user guide's reference
// pages, the model's own documentation, and what the App Mesh controller for Kubernetes refuses.
#pragma once

#include <tl/expected.hpp>

#include "mock-aws/protocol/service.h"
#include "mock-aws/services/appmesh/kinds.h"

namespace coalmine::mock::appmesh {

/// BadRequestException with place and remedy, or nothing.
tl::expected<void, AwsError> check_spec(Kind kind, const Json& spec);

/// Names: 1 to 255 letters, digits, '-' and '_'; virtual services: any text without spaces that
/// is not an ARN.
tl::expected<void, AwsError> check_name(Kind kind, const std::string& name);

}  // namespace coalmine::mock::appmesh
