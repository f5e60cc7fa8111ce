#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "sim/traffic/route_table.h"

namespace coalmine::traffic {

/// Which routes of a list may match a path, so that not every one of them has to be asked.
///
/// The paths that a route names, exact ones, prefixes, and what stands before the first wildcard,
/// are kept in order. The greatest that is not behind the request's path either begins it or has an
/// ancestor that does: the longest of those it has in common with the path. What may match is
/// therefore written down there. A route that says something else of the path, or nothing, is
/// always asked. This finds candidates only: the first that matches in full wins, as in the plain
/// list.
class PathIndex {
 public:
  static constexpr std::size_t kNone = SIZE_MAX;
  static constexpr std::size_t kFewRoutes = 4;  ///< a shorter list is gone through (bench/gateway)

  PathIndex() = default;
  /// Refers to the routes, which must outlive it.
  explicit PathIndex(const std::vector<Route>& routes);

  /// The first route, in the order of the list, that may match `path` and for which `matches(i)`
  /// holds; kNone if there is none.
  template <typename F>
  std::size_t first(std::string_view path, F&& matches) const {
    if (texts_.empty()) {
      for (std::size_t i = 0; i < routes_; ++i) {
        if (matches(i)) return i;
      }
      return kNone;
    }
    const Range named = candidates(path);
    const std::uint32_t* at = pool_.data() + named.begin;
    const std::uint32_t* const end = pool_.data() + named.end;
    for (const std::uint32_t other : always_) {
      for (; at != end && *at < other; ++at) {
        if (matches(*at)) return *at;
      }
      if (matches(other)) return other;
    }
    for (; at != end; ++at) {
      if (matches(*at)) return *at;
    }
    return kNone;
  }

 private:
  struct Range {  ///< of pool_
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
  };
  struct Node {
    std::uint32_t parent = 0;  ///< the longest text that begins this one, plus 1; 0: none
    Range beginning;           ///< candidates for paths that begin with the text
    Range equal;               ///< for the text itself
  };
  Range candidates(std::string_view path) const;
  Range keep(const std::vector<std::uint32_t>& routes);

  std::size_t routes_ = 0;
  std::vector<std::string_view> texts_;  ///< sorted; empty: the list is gone through
  std::vector<Node> nodes_;              ///< of the texts
  std::vector<std::uint32_t> pool_;      ///< numbers of routes, ascending within a range
  std::vector<std::uint32_t> always_;    ///< routes that must be asked, ascending
};

}  // namespace coalmine::traffic
