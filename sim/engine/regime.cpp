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

/// Fills in the targets of a segment whose requests are forwarded.
void forward(const world::Spec& spec, const RegimeInputs& inputs,
             const traffic::ForwardIndex& forward, SegmentRegime& segment, RoutedRegime& routed) {
  std::uint64_t cumulative = 0;
  const std::uint64_t total = forward.total_weight;
  for (const traffic::TargetIndex& target : forward.targets) {
    const auto v = version_of(spec, target.target->name);
    if (v) {
      routed.weights[*v] = target.target->weight;
      // Also without a weight: a rollout waits for them.
      routed.usable[*v] = tasks_of(target);
      routed.healthy[*v] = healthy_tasks_of(*target.target);
    }
    if (target.target->weight == 0 || segment.targets == kMaxTargets) continue;
    cumulative += target.target->weight;
    const std::size_t k = segment.targets++;
    segment.edges[k] = cumulative < total ? edge_of(cumulative, total) : 0;
    segment.weight[k] = static_cast<double>(target.target->weight) / static_cast<double>(total);
    segment.version[k] = v.value_or(0);
    segment.up[k] = v.has_value() && !target.usable.empty();
    if (!v) continue;
    if (!inputs.ordered[*v]) {
      segment.behaviour[k] = make_behaviour(inputs.faults[*v], spec, segment.facts);
    }
  }
  segment.retrying = {forward.forward->retry, forward.retry_on};
  segment.refused = false;
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

  const auto index = traffic::RouteIndex::compile(inputs.routes);
  for (const world::Segment& segment : segments) {
    SegmentRegime regime = refused_segment(segment);
    if (index && !(*index)->listeners().empty()) {
      traffic::RequestView request;
      request.path = regime.facts.path;
      std::vector<traffic::HeaderView> headers;
      for (const auto& [name, value] : regime.facts.headers) headers.push_back({name, value});
      request.headers = headers;
      std::string scratch;
      const traffic::Decision decision =
          traffic::resolve((*index)->listeners().front(), request, 0, scratch);
      if (decision.forward != nullptr && decision.forward->total_weight > 0) {
        forward(spec, inputs, *decision.forward, regime, routed);
      }
    }
    routed.regime.segments.push_back(std::move(regime));
  }
  return routed;
}

}  // namespace coalmine::engine
