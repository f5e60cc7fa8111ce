#include "sim/engine/behaviour.h"

#include "sim/core/check.h"

namespace coalmine::engine {
namespace {

constexpr double kTwo32 = 4294967296.0;

std::uint64_t share_of_two32(double share) {
  return static_cast<std::uint64_t>(share * kTwo32 + 0.5);
}

/// What the fault does to a request when it strikes; nothing if the request is out of its scope.
faults::Outcome when_it_strikes(faults::Fault fault, const SegmentFacts& segment) {
  fault.share = 1;
  Random unused(0);
  faults::FaultState state({std::move(fault)}, kVirtualEpoch);
  return state.decide(segment.facts(), kVirtualEpoch, unused);
}

bool in_scope(faults::Fault fault, const SegmentFacts& segment) {
  fault.kind = faults::Kind::Errors;
  fault.code = 500;
  return when_it_strikes(std::move(fault), segment).status != 0;
}

}  // namespace

world::Ending ending_of(const faults::Outcome& outcome) {
  switch (outcome.effect) {
    case faults::Effect::None:
      return outcome.status >= 500 ? world::Ending::Error : world::Ending::Ok;
    case faults::Effect::Reset:
    case faults::Effect::Crash:
      return world::Ending::Reset;
    case faults::Effect::Hang:
      return world::Ending::Timeout;
    case faults::Effect::Truncate:
      return world::Ending::Truncated;
    case faults::Effect::WrongBody:
      return world::Ending::Wrong;
  }
  CHECK_FAILED("no such effect");
}

bool Retrying::again(world::Ending ending, int status, int done) const {
  using Kind = traffic::AttemptOutcome::Kind;
  if (ending == world::Ending::Error) {
    return traffic::should_retry(policy, on, {Kind::Response, status}, done);
  }
  return ending == world::Ending::Reset &&
         traffic::should_retry(policy, on, {Kind::ResetBeforeHead, 0}, done);
}

bool remembers(const world::Fault& fault) {
  return fault.burst > 0 || fault.kind == world::FaultKind::Crash ||
         fault.kind == world::FaultKind::SlowStart || fault.kind == world::FaultKind::Leak;
}

Behaviour make_behaviour(const std::vector<world::Fault>& faults, const world::Spec& spec,
                         const SegmentFacts& segment) {
  Behaviour behaviour;
  double healthy = 1;
  for (const world::Fault& fault : faults) {
    CHECK(!remembers(fault));
    const faults::Fault below = world::to_fault(spec, fault);
    if (fault.kind == world::FaultKind::Unhealthy || !in_scope(below, segment)) continue;
    if (fault.kind == world::FaultKind::Slow) {
      behaviour.delays.push_back(
          {share_of_two32(below.share), std::make_shared<LatencyTable>(*fault.latency)});
      continue;
    }
    // Each fault is drawn by itself and the first failure wins.
    healthy *= 1 - below.share;
    const faults::Outcome outcome = when_it_strikes(below, segment);
    behaviour.failures.push_back({share_of_two32(1 - healthy), ending_of(outcome), outcome.status});
    behaviour.failure_below = behaviour.failures.back().below;
  }
  return behaviour;
}

}  // namespace coalmine::engine
