#pragma once

#include <string>
#include <vector>

#include "mock-aws/protocol/service.h"

namespace coalmine::mock::ecs {

/// One page of `keys` (each once, in list order) as {member: [...], nextToken?}. The token is the
/// last key of the page before, encoded, so that it survives insertions; it is absent on the last
/// page. InvalidParameterException for a token that names no place and for maxResults outside
/// 1 to 100.
Reply list_page(const std::vector<std::string>& keys, std::string_view member, const Json& input,
                std::size_t default_size);

/// Same, but each item is rendered by `items[i]`.
Reply list_page(const std::vector<std::string>& keys, const std::vector<Json>& items,
                std::string_view member, const Json& input, std::size_t default_size);

}  // namespace coalmine::mock::ecs
