#include "sim/engine/regime.h"

#include <algorithm>

#include "sim/engine/tasks.h"
#include "sim/traffic/route_index.h"

namespace coalmine::engine {
namespace {

/// Virtual nodes and target groups are named after their version: "app-v1".
std::optional<std::size_t> version_of(const world::Spec& spec, std::string_view target) {
  for (std::size_t i = 0; i < spec.versions.size(); ++i) {
    const std::string& name = spec.versions[i].name;
    if (target == name || target == "app-" + name) return i;
  }
  return std::nullopt;
}

SegmentRegime refused_segment(const world::Segment& segment) {
  SegmentRegime regime;
  regime.facts.path = segment.path;
  if (!segment.header.empty()) regime.facts.headers = {world::header_field(segment.header)};
  regime.share = segment.share.share();
  regime.refused = true;
  return regime;
}

std::vector<std::size_t> tasks_of(const traffic::TargetIndex& target) {
  std::vector<std::size_t> tasks;
  for (const traffic::Instance* instance : target.usable) {
    if (const auto id = task_at(instance->address)) tasks.push_back(id->task);
  }
  std::sort(tasks.begin(), tasks.end());
  return tasks;
}

std::vector<std::size_t> healthy_tasks_of(const traffic::Target& target) {
  std::vector<std::size_t> tasks;
  for (const traffic::Instance& instance : target.instances) {
    const auto id = instance.healthy ? task_at(instance.address) : std::nullopt;
    if (id) tasks.push_back(id->task);
  }
  return tasks;
}

/// Where the requests of a segment go, and what that says of the routes.
SegmentRegime resolve_segment(const world::Spec& spec, const RegimeInputs& inputs,
                              const traffic::RouteIndex* index, const world::Segment& segment,
                              RoutedRegime& routed);

/// Where copies of stable's part of the segment go: to the canary, and never again when they fail.
void add_mirror(const world::Spec& spec, const RegimeInputs& inputs,
                const traffic::ForwardIndex& forward, const SegmentRegime& segment,
                RoutedRegime& routed) {
  const auto canary = world::version_index(spec, spec.plan.canary);
  const auto stable = world::version_index(spec, spec.plan.stable);
  SegmentRegime copies = refused_segment({});
  copies.facts = segment.facts;
  copies.share = 0;
  for (std::size_t k = 0; k < segment.targets; ++k) {
    if (segment.version[k] == stable) copies.share += segment.share * segment.weight[k];
  }
  for (const traffic::TargetIndex& target : forward.targets) {
    if (!canary || version_of(spec, target.target->name) != canary) continue;
    copies.refused = false;
    copies.targets = 1;
    copies.weight[0] = 1;
    copies.version[0] = *canary;
    copies.up[0] = !target.usable.empty();
    routed.usable[*canary] = tasks_of(target);
    if (!inputs.ordered[*canary]) {
      copies.behaviour[0] = make_behaviour(inputs.faults[*canary], spec, segment.facts);
    }
  }
  if (copies.share > 0) routed.mirror.segments.push_back(std::move(copies));
}

/// Fills in the targets of a segment whose requests are forwarded.
void forward(const world::Spec& spec, const RegimeInputs& inputs,
             const traffic::ForwardIndex& forward, SegmentRegime& segment, RoutedRegime& routed) {
  const std::size_t at = routed.split.size() - spec.versions.size();
  const bool splits = std::any_of(forward.targets.begin(), forward.targets.end(),
                                  [&](const traffic::TargetIndex& target) {
                                    const auto v = version_of(spec, target.target->name);
                                    return v && spec.versions[*v].name == spec.plan.stable;
                                  });
  routed.by_marks |= !splits;
  std::uint64_t cumulative = 0;
  const std::uint64_t total = forward.total_weight;
  const auto set = [&](std::size_t k, const traffic::TargetIndex& target,
                       std::optional<std::size_t> v) {
    segment.version[k] = v.value_or(0);
    segment.up[k] = v.has_value() && !target.usable.empty();
    if (!v) return;
    routed.usable[*v] = tasks_of(target);
    if (!inputs.ordered[*v]) {
      segment.behaviour[k] = make_behaviour(inputs.faults[*v], spec, segment.facts);
    }
  };
  for (const traffic::TargetIndex& target : forward.targets) {
    const auto v = version_of(spec, target.target->name);
    if (v) {
      routed.split[at + *v] = target.target->weight;
      if (splits) routed.weights[*v] = target.target->weight;
      // Also without a weight: a rollout waits for them.
      routed.usable[*v] = tasks_of(target);
      routed.healthy[*v] = healthy_tasks_of(*target.target);
    }
    if (target.target->weight == 0 || segment.targets == kMaxTargets) continue;
    cumulative += target.target->weight;
    const std::size_t k = segment.targets++;
    segment.edges[k] = cumulative < total ? edge_of(cumulative, total) : 0;
    segment.weight[k] = static_cast<double>(target.target->weight) / static_cast<double>(total);
    set(k, target, v);
  }
  if (rollout::has_step<rollout::Mirror>(spec.plan))
    add_mirror(spec, inputs, forward, segment, routed);
  segment.sticky = forward.forward->stickiness.duration;
  routed.sticky |= segment.sticky > Duration{};
  for (const traffic::TargetIndex& target : forward.targets) {
    const std::size_t k = segment.targets + segment.idle;
    if (segment.sticky == Duration{} || target.target->weight > 0 || k == kMaxTargets) continue;
    set(k, target, version_of(spec, target.target->name));
    ++segment.idle;
  }
  segment.retrying = {forward.forward->retry, forward.retry_on, world::request_timeout(spec)};
  segment.refused = false;
}

SegmentRegime resolve_segment(const world::Spec& spec, const RegimeInputs& inputs,
                              const traffic::RouteIndex* index, const world::Segment& segment,
                              RoutedRegime& routed) {
  SegmentRegime regime = refused_segment(segment);
  routed.split.resize(routed.split.size() + spec.versions.size());
  if (index == nullptr || index->listeners().empty()) return regime;
  traffic::RequestView request;
  request.path = regime.facts.path;
  std::vector<traffic::HeaderView> headers;
  for (const auto& [name, value] : regime.facts.headers) headers.push_back({name, value});
  request.headers = headers;
  std::string scratch;
  const traffic::Decision decision =
      traffic::resolve(index->listeners().front(), request, 0, scratch);
  if (decision.forward != nullptr && decision.forward->total_weight > 0) {
    forward(spec, inputs, *decision.forward, regime, routed);
  }
  return regime;
}

/// Its requests are told by their header, and go where users' requests to "/" would.
void add_own_load(const world::Spec& spec, const RegimeInputs& inputs,
                  const traffic::RouteIndex* index, RoutedRegime& routed) {
  RoutedRegime own;
  own.weights.assign(spec.versions.size(), 0);
  own.usable.resize(spec.versions.size());
  own.healthy.resize(spec.versions.size());
  const world::Segment segment{"", "/", Percent{100}, std::string(world::kOwnLoadHeader)};
  routed.own.versions = routed.regime.versions;
  routed.own.segments.push_back(resolve_segment(spec, inputs, index, segment, own));
  routed.split.insert(routed.split.end(), own.split.begin(), own.split.end());
  for (std::size_t v = 0; v < spec.versions.size(); ++v) {
    if (routed.usable[v].empty()) routed.usable[v] = std::move(own.usable[v]);
  }
}

}  // namespace

RoutedRegime make_regime(const world::Spec& spec, const RegimeInputs& inputs) {
  RoutedRegime routed;
  for (std::size_t v = 0; v < spec.versions.size(); ++v) {
    routed.regime.versions.push_back({inputs.latency[v], inputs.ordered[v]});
  }
  routed.weights.assign(spec.versions.size(), 0);
  routed.usable.resize(spec.versions.size());
  routed.healthy.resize(spec.versions.size());

  std::vector<world::Segment> segments = spec.traffic.segments;
  double rest = 100;
  for (const world::Segment& segment : segments) rest -= segment.share.value;
  if (rest > 1e-9) segments.push_back({"", "/", Percent{rest}, ""});

  const auto compiled = traffic::RouteIndex::compile(inputs.routes);
  const traffic::RouteIndex* index = compiled ? compiled->get() : nullptr;
  for (const world::Segment& segment : segments) {
    routed.regime.segments.push_back(resolve_segment(spec, inputs, index, segment, routed));
  }
  double copied = 0;
  for (const SegmentRegime& copies : routed.mirror.segments) copied += copies.share;
  for (SegmentRegime& copies : routed.mirror.segments) copies.share /= copied;
  routed.mirror.versions = routed.regime.versions;
  if (spec.plan.load) add_own_load(spec, inputs, index, routed);
  return routed;
}

}  // namespace coalmine::engine
