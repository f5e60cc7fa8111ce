#pragma once

#include <string>
#include <vector>

#include "sim/core/result.h"
#include "sim/rollout/plan.h"

namespace coalmine::rollout {

/// One header of a request, as an API can ask for it.
struct HeaderCondition {
  enum class Kind {
    Present,
    Exact,
    Regex,     ///< of the whole value
    Wildcard,  ///< * and ?, without case: ALB's
  };
  std::string name;
  Kind kind = Kind::Present;
  std::vector<std::string> any_of;  ///< one value; an ALB takes up to three. Present: none
  bool operator==(const HeaderCondition&) const = default;
};

/// What a request must be like; all of it must hold.
struct MatchConditions {
  std::string path_prefix;  ///< empty: any path
  std::vector<HeaderCondition> headers;
  bool operator==(const MatchConditions&) const = default;
};

/// The longest value that an API compares with: App Mesh's HeaderMatchMethod, ALB's condition.
inline constexpr std::size_t kMaxAppMeshHeaderValue = 255;
inline constexpr std::size_t kMaxAlbConditionValue = 128;

/// The matches in the words of an API, each to become a route of its own. Errors: a value that ALB
/// reads as a pattern or cannot compare with (a regular expression beyond * and ?), a value that is
/// too long, a segment that nobody has said how to tell from others.
Result<std::vector<MatchConditions>> conditions_of(const std::vector<RouteMatch>& any_of,
                                                   TrafficApi api);

/// The expression with * and ? that matches the same values; nullopt: there is none. Knows
/// literals, escapes, ".", ".*" and the anchors at both ends.
std::optional<std::string> as_wildcard(std::string_view regex);

/// A regular expression that matches exactly this text.
std::string as_regex(std::string_view literal);

/// "header X-Tester: alice", "cookie group: beta", "segment checkout"; empty without any.
std::string describe(const std::vector<RouteMatch>& any_of);
/// The same and "copies of 10%"; "none".
std::string describe(const SideRoutes& routes);

}  // namespace coalmine::rollout
