#include "sim/engine/kernel.h"

#include "sim/core/check.h"
#include "sim/core/math.h"

namespace coalmine::engine {
namespace {

__extension__ typedef unsigned __int128 Wide;

constexpr double kTwo32 = 4294967296.0;

world::Ending ending_of(world::FaultKind kind) {
  switch (kind) {
    case world::FaultKind::Errors:
      return world::Ending::Error;
    case world::FaultKind::Reset:
      return world::Ending::Reset;
    case world::FaultKind::Hang:
      return world::Ending::Timeout;
    case world::FaultKind::Truncate:
      return world::Ending::Truncated;
    case world::FaultKind::WrongBody:
      return world::Ending::Wrong;
    case world::FaultKind::Slow:
      break;
  }
  CHECK_FAILED("a delay is not an ending");
}

std::uint64_t share_of_two32(double share) {
  return static_cast<std::uint64_t>(share * kTwo32 + 0.5);
}

/// An answer arrived after `latency`, if the gateway waited so long.
void answer(Meter& meter, world::Ending ending, Duration latency) {
  if (latency > kRequestTimeout) {
    ++meter.endings[static_cast<std::size_t>(world::Ending::Timeout)];
    meter.other.add(kRequestTimeout);
    return;
  }
  ++meter.endings[static_cast<std::size_t>(ending)];
  meter.other.add(latency);
}

bool has_answer(world::Ending ending) {
  return ending == world::Ending::Ok || ending == world::Ending::Error ||
         ending == world::Ending::Wrong;
}

/// The ending that the middle 32 bits of a draw choose.
world::Ending choose_ending(const Behaviour& behaviour, std::uint64_t chance) {
  for (const Behaviour::Failure& failure : behaviour.failures) {
    if (chance < failure.below) return failure.ending;
  }
  return world::Ending::Ok;
}

constexpr std::uint64_t chance_bits(std::uint64_t draw) {
  return (draw >> LatencyTable::kBits) & 0xffffffff;
}

/// One request with everything that the fast loop leaves out.
void serve(const Behaviour& behaviour, const LatencyTable& table, std::uint64_t draw, Duration wait,
           Random& random, Meter& meter) {
  const world::Ending ending = choose_ending(behaviour, chance_bits(draw));
  ++meter.requests;
  if (ending == world::Ending::Timeout || !has_answer(ending)) {
    ++meter.endings[static_cast<std::size_t>(ending)];
    return;
  }
  Duration latency = wait + table.sample(draw, random);
  for (const Behaviour::Delay& delay : behaviour.delays) {
    const std::uint64_t chance = random.next();
    if ((chance >> 32) < delay.below) latency += delay.table->sample(chance, random);
  }
  answer(meter, ending, latency);
}

std::size_t target_of(const SegmentRegime& segment, std::uint64_t draw) {
  std::size_t target = 0;
  for (std::size_t k = 0; k + 1 < segment.targets; ++k) target += draw >= segment.edges[k] ? 1 : 0;
  return target;
}

/// The fast loop: one draw per request. The bits used for the failure and the latency lie below
/// those that decide the target but for draws within 2^-20 of an edge.
void generate_segment(const Regime& regime, const SegmentRegime& segment, std::uint64_t count,
                      Random& random, std::vector<Meter>& meters, std::uint64_t& dropped) {
  Random local = random;  // in registers
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t draw = local.next();
    const std::size_t target = target_of(segment, draw);
    const Behaviour& behaviour = segment.behaviour[target];
    Meter& meter = meters[segment.version[target]];
    const std::size_t part = draw & LatencyTable::kTail;
    if (chance_bits(draw) >= behaviour.failure_below && part != LatencyTable::kTail &&
        behaviour.delays.empty() && segment.up[target]) [[likely]] {
      ++meter.fast[part];
      continue;
    }
    if (!segment.up[target]) {
      ++dropped;
      continue;
    }
    serve(behaviour, *regime.versions[segment.version[target]].latency, draw, Duration{}, local,
          meter);
  }
  random = local;
}

/// How many of `count` requests fall on each segment, one after the other.
template <typename Each>
void split_by_segment(const Regime& regime, std::uint64_t count, Random& random, Each each) {
  double left = 1;
  for (std::size_t i = 0; i < regime.segments.size() && count > 0; ++i) {
    const SegmentRegime& segment = regime.segments[i];
    const bool last = i + 1 == regime.segments.size();
    const std::uint64_t n =
        last || segment.share >= left ? count : random.binomial(count, segment.share / left);
    each(segment, n);
    count -= n;
    left -= segment.share;
  }
}

}  // namespace

std::uint64_t edge_of(std::uint64_t cumulative, std::uint64_t total) {
  // floor(draw * total / 2^64) >= c  <=>  draw >= ceil(c * 2^64 / total)
  const Wide scaled = (static_cast<Wide>(cumulative) << 64) + (total - 1);
  return static_cast<std::uint64_t>(scaled / total);
}

bool Regime::queues() const {
  for (const VersionRegime& version : versions) {
    if (version.service_time > Duration{}) return true;
  }
  return false;
}

std::uint64_t Meter::fast_requests() const {
  std::uint64_t sum = 0;
  for (const std::uint32_t n : fast) sum += n;
  return sum;
}

std::uint64_t Meter::total() const {
  return requests + fast_requests();
}

void Meter::clear() {
  requests = 0;
  endings.fill(0);
  fast.fill(0);
  other.clear();
}

Behaviour make_behaviour(const std::vector<world::Fault>& faults, const std::string& segment) {
  Behaviour behaviour;
  double healthy = 1;
  for (const world::Fault& fault : faults) {
    if (!fault.segment.empty() && fault.segment != segment) continue;
    const double share = fault.share.share();
    if (fault.kind == world::FaultKind::Slow) {
      behaviour.delays.push_back(
          {share_of_two32(share), std::make_shared<LatencyTable>(*fault.latency)});
      continue;
    }
    healthy *= 1 - share;
    behaviour.failures.push_back({share_of_two32(1 - healthy), ending_of(fault.kind)});
    behaviour.failure_below = behaviour.failures.back().below;
  }
  return behaviour;
}

void generate(const Regime& regime, std::uint64_t count, Random& random, std::vector<Meter>& meters,
              std::uint64_t& dropped) {
  split_by_segment(regime, count, random, [&](const SegmentRegime& segment, std::uint64_t n) {
    if (segment.refused) {
      dropped += n;
    } else {
      generate_segment(regime, segment, n, random, meters, dropped);
    }
  });
}

void generate_queued(const Regime& regime, std::uint64_t count, TimePoint begin, TimePoint end,
                     bool even, Random& random, std::vector<Meter>& meters, Queues& queues,
                     std::uint64_t& dropped) {
  // Given their number, Poisson arrivals are uniform and independent. Sorted uniforms come one
  // by one as ratios of exponential gaps (Devroye 1986, V.3.2).
  std::vector<double> at(count);
  if (even) {
    for (std::uint64_t i = 0; i < count; ++i) {
      at[i] = (static_cast<double>(i) + 0.5) / static_cast<double>(count);
    }
  } else {
    double sum = 0;
    for (double& t : at) t = sum += random.exponential();
    sum += random.exponential();
    for (double& t : at) t /= sum;
  }
  const double width = to_seconds(end - begin);
  for (const double t : at) {
    const double u = random.uniform();
    std::size_t s = 0;
    for (double left = u; s + 1 < regime.segments.size(); ++s) {
      if (left < regime.segments[s].share) break;
      left -= regime.segments[s].share;
    }
    const SegmentRegime& segment = regime.segments[s];
    const std::uint64_t draw = random.next();
    const std::size_t target = segment.refused ? 0 : target_of(segment, draw);
    if (segment.refused || !segment.up[target]) {
      ++dropped;
      continue;
    }
    const std::size_t v = segment.version[target];
    const VersionRegime& version = regime.versions[v];
    Duration wait{};
    if (version.service_time > Duration{}) {
      const TimePoint now = begin + from_seconds(width * t);
      auto& tasks = queues.free_at[v];
      TimePoint& free_at = tasks[queues.next_task[v]++ % tasks.size()];
      wait = std::max(free_at - now, Duration{});
      // Who waits longer than the gateway does has gone before his turn comes.
      if (wait > kRequestTimeout) {
        ++meters[v].requests;
        ++meters[v].endings[static_cast<std::size_t>(world::Ending::Timeout)];
        continue;
      }
      free_at = std::max(free_at, now) + version.service_time;
    }
    serve(segment.behaviour[target], *version.latency, draw, wait, random, meters[v]);
  }
}

}  // namespace coalmine::engine
