#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/core/regex.h"
#include "sim/core/result.h"
#include "sim/traffic/request.h"
#include "sim/traffic/route_table.h"

namespace coalmine::traffic {

/// An IPv4 range, "10.0.0.0/8"; a bare address is a range of one.
struct Cidr {
  std::uint32_t address = 0;
  std::uint32_t mask = 0;
  static Result<Cidr> parse(std::string_view text);
  bool contains(std::uint32_t ipv4) const { return (ipv4 & mask) == address; }
};

/// One StringMatch made ready for many comparisons. It refers to the StringMatch it was made
/// from, which must outlive it.
class StringMatcher {
 public:
  /// Errors: the regex or the range is not valid.
  static Result<StringMatcher> compile(const StringMatch& match, bool ignore_case);
  /// Whether `value` fits, `invert` already applied.
  bool matches(std::string_view value) const;
  const StringMatch& spec() const { return *spec_; }

 private:
  const StringMatch* spec_ = nullptr;
  std::optional<Regex> regex_;
  bool ignore_case_ = false;
};

/// `*` stands for any run of characters, `?` for exactly one (ALB's conditions).
bool matches_wildcard(std::string_view pattern, std::string_view text, bool ignore_case);

/// A RouteMatch made ready; it refers to the RouteMatch, which must outlive it.
///
/// Semantics: a prefix is a string prefix ("/chap" matches "/chapter"); a regex must match the
/// whole path; hosts compare without case and port; repeated header fields are joined by ","; a
/// missing header never matches a value matcher, inverted or not (Envoy, header_utility and
/// route_matching). In the Alb dialect any occurrence of a query parameter may match and an
/// empty parameter name means any parameter; in Envoy's the first occurrence counts.
class RouteMatcher {
 public:
  static Result<RouteMatcher> compile(const RouteMatch& match, Dialect dialect);
  bool matches(const RequestView& request) const;
  /// Length of the path prefix by which the route matched; nothing if it matched otherwise.
  std::optional<std::size_t> matched_prefix(std::string_view path) const;

 private:
  struct Field {
    std::string_view name;
    std::vector<StringMatcher> any_of;
  };
  static Result<std::vector<Field>> compile_fields(const std::vector<FieldMatch>& fields,
                                                   Dialect dialect);
  bool header_matches(const Field& field, const RequestView& request) const;
  bool query_matches(const Field& field, const RequestView& request) const;

  const RouteMatch* spec_ = nullptr;
  Dialect dialect_ = Dialect::Envoy;
  std::vector<StringMatcher> path_;
  std::vector<StringMatcher> host_;
  std::vector<Field> headers_;
  std::vector<Field> query_;
  std::vector<Cidr> sources_;
};

/// Whether the request satisfies every condition. For one question only: RouteIndex is the form
/// for many. Errors: a regex, range or CIDR in `match` is not valid.
Result<bool> match(const RouteMatch& match, const RequestView& request,
                   Dialect dialect = Dialect::Envoy);

/// The path as App Mesh's Envoys see it (normalize_path and merge_slashes are on): unreserved
/// characters decoded, '\' as '/', '.' and '..' segments resolved ('..' stops at
/// the root), slashes merged. Returns `path` itself if there is nothing to do, else a view of
/// `scratch`.
std::string_view normalize_path(std::string_view path, std::string& scratch);

}  // namespace coalmine::traffic
