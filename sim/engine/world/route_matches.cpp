#include "sim/engine/world/route_matches.h"

#include <algorithm>

#include "sim/traffic/match.h"

namespace coalmine::world {
namespace {

using rollout::HeaderCondition;
using traffic::StringMatch;

StringMatch::Kind kind_of(HeaderCondition::Kind kind) {
  switch (kind) {
    case HeaderCondition::Kind::Present:
      return StringMatch::Kind::Present;
    case HeaderCondition::Kind::Exact:
      return StringMatch::Kind::Exact;
    case HeaderCondition::Kind::Regex:
      return StringMatch::Kind::Regex;
    case HeaderCondition::Kind::Wildcard:
      return StringMatch::Kind::Wildcard;
  }
  return StringMatch::Kind::Present;
}

bool is_matched(const Segment& segment, const std::vector<traffic::RouteMatch>& matches) {
  const faults::HeaderField field = header_field(segment.header);
  const traffic::HeaderView header{field.first, field.second};
  traffic::RequestView request;
  request.path = segment.path;
  if (!segment.header.empty()) request.headers = {&header, 1};
  return std::any_of(matches.begin(), matches.end(), [&request](const traffic::RouteMatch& match) {
    return traffic::match(match, request).value_or(false);
  });
}

std::vector<traffic::RouteMatch> route_matches(const std::vector<rollout::RouteMatch>& any_of,
                                               rollout::TrafficApi api) {
  std::vector<traffic::RouteMatch> matches;
  if (const auto all = rollout::conditions_of(any_of, api)) {
    for (const rollout::MatchConditions& one : *all) matches.push_back(to_route_match(one));
  }
  return matches;
}

}  // namespace

traffic::RouteMatch to_route_match(const rollout::MatchConditions& conditions) {
  traffic::RouteMatch match;
  if (!conditions.path_prefix.empty()) {
    match.path = {{StringMatch::Kind::Prefix, conditions.path_prefix}};
  }
  for (const HeaderCondition& header : conditions.headers) {
    traffic::FieldMatch field{header.name, {}};
    for (const std::string& value : header.any_of) {
      field.any_of.push_back({kind_of(header.kind), value});
      field.any_of.back().ignore_case = header.kind == HeaderCondition::Kind::Wildcard;
    }
    if (header.any_of.empty()) field.any_of = {StringMatch{}};
    match.headers.push_back(std::move(field));
  }
  return match;
}

std::vector<bool> matched_segments(const Spec& spec,
                                   const std::vector<rollout::RouteMatch>& any_of) {
  const std::vector<traffic::RouteMatch> matches = route_matches(any_of, spec.plan.traffic);
  std::vector<bool> matched;
  for (const Segment& segment : spec.traffic.segments) {
    matched.push_back(is_matched(segment, matches));
  }
  matched.push_back(is_matched({"", "/", Percent{0}, ""}, matches));
  return matched;
}

double matched_share(const Spec& spec, const std::vector<rollout::RouteMatch>& any_of) {
  if (any_of.empty()) return 0;
  const std::vector<bool> matched = matched_segments(spec, any_of);
  double share = 0, rest = 1;
  for (std::size_t i = 0; i < spec.traffic.segments.size(); ++i) {
    const double part = spec.traffic.segments[i].share.share();
    rest -= part;
    if (matched[i]) share += part;
  }
  return matched.back() ? share + std::max(rest, 0.0) : share;
}

void fill_in_segments(const Traffic& traffic, rollout::Plan& plan) {
  for (rollout::Step& step : plan.steps) {
    auto* route = std::get_if<rollout::RouteMatching>(&step.what);
    for (std::size_t i = 0; route != nullptr && i < route->any_of.size(); ++i) {
      rollout::RouteMatch& match = route->any_of[i];
      if (match.by != rollout::RouteMatch::By::Segment) continue;
      match.path.clear();
      match.header.clear();
      for (const Segment& segment : traffic.segments) {
        if (segment.name != match.name) continue;
        if (segment.path != "/") match.path = segment.path;
        match.header = segment.header;
      }
    }
  }
}

bool matches_own_load(const std::vector<rollout::RouteMatch>& any_of, rollout::TrafficApi api) {
  return is_matched({"", "/", Percent{0}, std::string(kOwnLoadHeader)}, route_matches(any_of, api));
}

std::vector<Error> untravelled_routes(const Spec& spec, const rollout::Plan& plan) {
  std::vector<Error> problems;
  for (const rollout::Step& step : plan.steps) {
    const auto* route = std::get_if<rollout::RouteMatching>(&step.what);
    for (std::size_t i = 0; route != nullptr && i < route->any_of.size(); ++i) {
      const std::vector<rollout::RouteMatch> one = {route->any_of[i]};
      if (!rollout::conditions_of(one, plan.traffic)) continue;  // said by check_playable()
      std::vector<bool> matched = matched_segments(spec, one);
      if (plan.load) matched.push_back(matches_own_load(one, plan.traffic));
      if (std::find(matched.begin(), matched.end(), true) != matched.end()) continue;
      problems.push_back({fmt::format("no request of the scenario has the {}, so the route would "
                                      "judge nobody; give given.traffic a segment that has it",
                                      rollout::describe(one)),
                          ErrorKind::Invalid, step.place});
    }
  }
  return problems;
}

}  // namespace coalmine::world
