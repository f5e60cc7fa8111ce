#include "sim/rollout/matches.h"

#include <algorithm>

namespace coalmine::rollout {
namespace {

using Kind = HeaderCondition::Kind;

/// A cookie stands anywhere in the list that the one Cookie header holds (RFC 6265, 4.2.1).
HeaderCondition cookie_by_regex(const RouteMatch& match) {
  const std::string value = match.value.empty() ? "[^;]*"
                            : match.regex       ? "(" + match.value + ")"
                                                : as_regex(match.value);
  return {"cookie", Kind::Regex, {"(.*; *)?" + as_regex(match.name) + "=" + value + "(;.*)?"}};
}

HeaderCondition header_field(std::string_view text) {
  const std::size_t colon = std::min(text.find(':'), text.size());
  std::string_view value = text.substr(std::min(colon + 1, text.size()));
  while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
  return {std::string(text.substr(0, colon)), Kind::Exact, {std::string(value)}};
}

/// A header with a value as written.
HeaderCondition plain_header(const RouteMatch& match) {
  if (match.value.empty()) return {match.name, Kind::Present, {}};
  return {match.name, match.regex ? Kind::Regex : Kind::Exact, {match.value}};
}

MatchConditions for_app_mesh(const RouteMatch& match) {
  switch (match.by) {
    case RouteMatch::By::Header:
      return {"", {plain_header(match)}};
    case RouteMatch::By::Cookie:
      return {"", {cookie_by_regex(match)}};
    case RouteMatch::By::Segment:
      break;
  }
  MatchConditions segment{match.path, {}};
  if (!match.header.empty()) segment.headers.push_back(header_field(match.header));
  return segment;
}

/// A value in ALB's own words.
Result<std::string> alb_value(const std::string& value, bool regex) {
  if (value.empty()) return std::string("*");
  if (regex) {
    auto pattern = as_wildcard(value);
    if (pattern) return *std::move(pattern);
    return error("an ALB compares headers by * and ? only, which cannot say \"{}\"", value);
  }
  if (value.find_first_of("*?") == std::string::npos) return value;
  return error("an ALB reads * and ? in \"{}\" as a pattern, so the value cannot be told exactly",
               value);
}

/// The cookie is the first of the header or not, and the last or not: four values, of which a
/// condition takes three (ELBv2, CreateRule).
Result<std::vector<MatchConditions>> cookie_for_alb(const RouteMatch& match) {
  TRY(const std::string value, alb_value(match.value, match.regex));
  const std::string pair = match.name + "=" + value;
  const auto either = [](std::vector<std::string> values) {
    return MatchConditions{"", {{"cookie", Kind::Wildcard, std::move(values)}}};
  };
  if (pair.ends_with('*')) return std::vector{either({pair, "*; " + pair})};
  return std::vector{either({pair, pair + ";*"}), either({"*; " + pair, "*; " + pair + ";*"})};
}

Result<std::vector<MatchConditions>> for_alb(const RouteMatch& match) {
  if (match.by == RouteMatch::By::Cookie) return cookie_for_alb(match);
  if (match.by == RouteMatch::By::Header) {
    TRY(std::string value, alb_value(match.value, match.regex));
    return std::vector{MatchConditions{"", {{match.name, Kind::Wildcard, {std::move(value)}}}}};
  }
  MatchConditions segment{match.path, {}};
  if (!match.header.empty()) {
    HeaderCondition field = header_field(match.header);
    TRY(field.any_of.front(), alb_value(field.any_of.front(), false));
    field.kind = Kind::Wildcard;
    segment.headers.push_back(std::move(field));
  }
  return std::vector{std::move(segment)};
}

std::string describe(const RouteMatch& match) {
  switch (match.by) {
    case RouteMatch::By::Segment:
      return "segment " + match.name;
    case RouteMatch::By::Header:
    case RouteMatch::By::Cookie:
      return fmt::format("{} {}{}{}", match.by == RouteMatch::By::Header ? "header" : "cookie",
                         match.name,
                         match.value.empty() ? ""
                         : match.regex       ? " like "
                                             : ": ",
                         match.value);
  }
  return {};
}

Status check_marks(const RouteMatch& match) {
  const bool segment = match.by == RouteMatch::By::Segment;
  if (segment && match.path.empty() && match.header.empty()) {
    return error(
        "nothing tells the requests of the segment \"{}\" from others: it needs a path or a header",
        match.name);
  }
  if (!segment && match.name.empty()) {
    return error("the {} to route by has no name",
                 match.by == RouteMatch::By::Header ? "header" : "cookie");
  }
  return {};
}

}  // namespace

Result<std::vector<MatchConditions>> conditions_of(const std::vector<RouteMatch>& any_of,
                                                   TrafficApi api) {
  const bool alb = api == TrafficApi::Alb;
  const std::size_t longest = alb ? kMaxAlbConditionValue : kMaxAppMeshHeaderValue;
  std::vector<MatchConditions> all;
  for (const RouteMatch& match : any_of) {
    TRY_STATUS(check_marks(match));
    std::vector<MatchConditions> found;
    if (alb) {
      TRY(found, for_alb(match));
    } else {
      found.push_back(for_app_mesh(match));
    }
    for (MatchConditions& conditions : found) {
      for (const HeaderCondition& header : conditions.headers) {
        for (const std::string& value : header.any_of) {
          if (value.size() <= longest) continue;
          return error("{} compares with up to {} characters, \"{}\" has {}",
                       alb ? "an ALB" : "App Mesh", longest, value, value.size());
        }
      }
      all.push_back(std::move(conditions));
    }
  }
  return all;
}

std::optional<std::string> as_wildcard(std::string_view regex) {
  if (regex.starts_with('^')) regex.remove_prefix(1);
  if (regex.ends_with('$') && !regex.ends_with("\\$")) regex.remove_suffix(1);
  std::string pattern;
  for (std::size_t i = 0; i < regex.size(); ++i) {
    char c = regex[i];
    if (c == '.') {
      const bool any = i + 1 < regex.size() && regex[i + 1] == '*';
      pattern += any ? '*' : '?';
      i += any ? 1 : 0;
      continue;
    }
    const bool escape = c == '\\';
    if (escape) {
      if (++i == regex.size()) return std::nullopt;
      c = regex[i];
      const bool letter =
          (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
      if (letter) return std::nullopt;  // \d, \w and their like
    } else if (std::string_view("^$|?*+()[]{}").find(c) != std::string_view::npos) {
      return std::nullopt;
    }
    if (c == '*' || c == '?') return std::nullopt;  // ALB has no way to mean the sign itself
    pattern += c;
  }
  return pattern;
}

std::string as_regex(std::string_view literal) {
  std::string text;
  for (const char c : literal) {
    if (std::string_view("\\^$.|?*+()[]{}").find(c) != std::string_view::npos) text += '\\';
    text += c;
  }
  return text;
}

std::string describe(const std::vector<RouteMatch>& any_of) {
  std::string text;
  for (const RouteMatch& match : any_of) text += (text.empty() ? "" : ", ") + describe(match);
  return text;
}

std::string describe(const SideRoutes& routes) {
  if (routes.none()) return "none";
  std::string text = describe(routes.matches);
  if (routes.mirror.value <= 0) return text;
  return fmt::format("{}{}copies of {}", text, text.empty() ? "" : ", ",
                     coalmine::to_string(routes.mirror));
}

}  // namespace coalmine::rollout
