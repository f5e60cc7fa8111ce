#include "mock-aws/dataplane/route_match.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <tuple>

namespace coalmine::mock {
namespace {

using traffic::FieldMatch;
using traffic::Route;
using traffic::StringMatch;

StringMatch string_match(StringMatch::Kind kind, std::string value) {
  StringMatch match;
  match.kind = kind;
  match.value = std::move(value);
  return match;
}

/// {"exact"|"prefix"|"suffix"|"regex"|"range": …}; nothing given means: is there at all.
StringMatch value_match(const Json* given) {
  if (given == nullptr) return {};
  static constexpr std::pair<const char*, StringMatch::Kind> kKinds[] = {
      {"exact", StringMatch::Kind::Exact},
      {"prefix", StringMatch::Kind::Prefix},
      {"suffix", StringMatch::Kind::Suffix},
      {"regex", StringMatch::Kind::Regex}};
  for (const auto& [member, kind] : kKinds) {
    if (find(*given, member) != nullptr) return string_match(kind, get_string(*given, member));
  }
  StringMatch match;
  if (const Json* range = find(*given, "range")) {
    match.kind = StringMatch::Kind::Range;
    match.start = get_int(*range, "start");
    match.end = get_int(*range, "end");
  }
  return match;
}

std::vector<FieldMatch> field_matches(const Json& match, std::string_view member) {
  std::vector<FieldMatch> out;
  const Json* fields = find(match, member);
  if (fields == nullptr) return out;
  for (const Json& field : *fields) {
    StringMatch value = value_match(find(field, "match"));
    value.invert = get_bool(field, "invert");
    out.push_back({get_string(field, "name"), {std::move(value)}});
  }
  return out;
}

bool enabled(const Json& rewrite, std::string_view member, std::string_view flag) {
  const Json* given = find(rewrite, member);
  return given == nullptr || get_string(*given, flag, "ENABLED") == "ENABLED";
}

/// Smaller is tried earlier.
auto rank(const Route& route) {
  const auto place = [](const std::vector<StringMatch>& any_of) {
    if (any_of.empty()) return std::pair{9, std::size_t{0}};
    const StringMatch& first = any_of.front();
    const std::size_t shorter = std::numeric_limits<std::size_t>::max() - first.value.size();
    switch (first.kind) {
      case StringMatch::Kind::Exact:
        return std::pair{0, std::size_t{0}};
      case StringMatch::Kind::Regex:
        return std::pair{1, std::size_t{0}};
      default:
        return std::pair{2, shorter};
    }
  };
  const std::size_t conditions =
      route.match.headers.size() + route.match.query.size() + route.match.methods.size();
  return std::tuple(route.priority.value_or(std::numeric_limits<int>::max()),
                    place(route.match.host), place(route.match.path),
                    std::numeric_limits<std::size_t>::max() - conditions, route.name);
}

}  // namespace

traffic::RouteMatch http_match(const Json& match) {
  traffic::RouteMatch out;
  if (find(match, "prefix") != nullptr) {
    out.path = {string_match(StringMatch::Kind::Prefix, get_string(match, "prefix"))};
  } else if (const Json* path = find(match, "path")) {
    out.path = {value_match(path)};
  }
  if (const Json* hostname = find(match, "hostname")) {
    out.host = {value_match(hostname)};
    out.host.front().ignore_case = true;
  }
  if (find(match, "method") != nullptr) out.methods = {get_string(match, "method")};
  out.headers = field_matches(match, "headers");
  out.query = field_matches(match, "queryParameters");
  return out;
}

traffic::Rewrite gateway_rewrite(const Json& route, const std::string& virtual_service) {
  static const Json kNone = Json::object();
  const Json* action = find(route, "action");
  const Json* given = action == nullptr ? nullptr : find(*action, "rewrite");
  const Json& rewrite = given == nullptr ? kNone : *given;
  traffic::Rewrite out;
  if (enabled(rewrite, "hostname", "defaultTargetHostname")) out.hostname = virtual_service;
  if (const Json* path = find(rewrite, "path")) {
    out.path = get_string(*path, "exact");
  } else if (const Json* match = find(route, "match");
             match != nullptr && find(*match, "prefix") != nullptr) {
    const Json* prefix = find(rewrite, "prefix");
    if (prefix != nullptr && find(*prefix, "value") != nullptr) {
      out.prefix = get_string(*prefix, "value");
    } else if (enabled(rewrite, "prefix", "defaultPrefix")) {
      out.prefix = "/";
    }
  }
  return out;
}

void sort_routes(std::vector<Route>& routes) {
  std::sort(routes.begin(), routes.end(),
            [](const Route& a, const Route& b) { return rank(a) < rank(b); });
}

}  // namespace coalmine::mock
