#include "sim/engine/kernel.h"

#include <algorithm>

namespace coalmine::engine {
namespace {

__extension__ typedef unsigned __int128 Wide;

constexpr std::uint64_t kAlways = std::uint64_t{1} << 32;

constexpr std::uint64_t chance_bits(std::uint64_t draw) {
  return (draw >> LatencyTable::kBits) & 0xffffffff;
}

/// The fast loop: one draw per request. The bits used for the failure and the latency lie below
/// those that decide the target but for draws within 2^-20 of an edge. `kTwo`: there are at most
/// two targets, whose requests are told apart by a sum that stays in a register.
template <bool kTwo>
void generate_segment(const Regime& regime, std::size_t index, std::uint64_t count, Random& random,
                      std::vector<Meter>& meters, std::uint64_t& dropped, OrderedCounts& ordered) {
  const SegmentRegime& segment = regime.segments[index];
  std::array<std::uint64_t, kMaxTargets> slow_below{};
  std::array<std::uint32_t*, kMaxTargets> fast{};
  for (std::size_t k = 0; k < segment.targets; ++k) {
    const Behaviour& behaviour = segment.behaviour[k];
    Meter& meter = meters[segment.version[k]];
    const bool plain =
        segment.up[k] && behaviour.delays.empty() && !regime.versions[segment.version[k]].ordered;
    slow_below[k] = plain ? behaviour.failure_below : kAlways;
    fast[k] = meter.fast.data();
  }
  std::array<std::uint64_t, kMaxTargets> well{};
  std::uint64_t slow = 0, second = 0;
  Random local = random;  // in registers
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t draw = local.next();
    const std::size_t target = target_of(segment, draw);
    const std::size_t part = draw & LatencyTable::kTail;
    if (chance_bits(draw) >= slow_below[target] && part != LatencyTable::kTail) [[likely]] {
      ++fast[target][part];
      if constexpr (kTwo) {
        second += target;
      } else {
        ++well[target];
      }
      continue;
    }
    ++slow;
    const std::size_t v = segment.version[target];
    if (!segment.up[target]) {
      ++dropped;
      ++meters[v].dropped;
    } else if (regime.versions[v].ordered) {
      ++ordered[v][index];
    } else {
      Meter& meter = meters[v];
      meter.begin(index);
      const Tried tried = make_attempts(segment, target, *regime.versions[v].latency, draw,
                                        Duration{}, 0, local, meter.retries);
      meter.end(tried.ending, tried.latency, index);
    }
  }
  random = local;
  if constexpr (kTwo) well = {count - slow - second, second};
  for (std::size_t k = 0; k < segment.targets; ++k) {
    Meter& meter = meters[segment.version[k]];
    meter.fast_requests += well[k];
    if (!meter.counts(index)) continue;
    meter.segments[index].requests += well[k];
    meter.segments[index].endings[static_cast<std::size_t>(world::Ending::Ok)] += well[k];
  }
}

}  // namespace

Tried make_attempts(const SegmentRegime& segment, std::size_t target, const LatencyTable& table,
                    std::uint64_t draw, Duration spent, int done, Random& random,
                    std::uint64_t& retries) {
  const Behaviour& behaviour = segment.behaviour[target];
  while (true) {
    const Behaviour::Failure* failure = behaviour.choose_failure(chance_bits(draw));
    const world::Ending ending = failure == nullptr ? world::Ending::Ok : failure->ending;
    Duration latency{};
    if (has_answer(ending)) {
      latency = table.sample(draw, random);
      for (const Behaviour::Delay& delay : behaviour.delays) {
        const std::uint64_t chance = random.next();
        if ((chance >> 32) < delay.below) latency += delay.table->sample(chance, random);
      }
    }
    const bool again = failure != nullptr && spent + latency < segment.retrying.timeout &&
                       segment.retrying.again(ending, failure->status, done);
    if (!again) return {ending, has_answer(ending) ? spent + latency : Duration{}};
    ++done;
    ++retries;
    spent += latency + traffic::retry_backoff(done, random.uniform());
    draw = random.next();
  }
}

std::uint64_t edge_of(std::uint64_t cumulative, std::uint64_t total) {
  // floor(draw * total / 2^64) >= c  <=>  draw >= ceil(c * 2^64 / total)
  const Wide scaled = (static_cast<Wide>(cumulative) << 64) + (total - 1);
  return static_cast<std::uint64_t>(scaled / total);
}

void Meter::end(world::Ending ending, Duration latency, std::size_t segment) {
  if (has_answer(ending)) {
    if (latency > timeout) {
      ending = world::Ending::Timeout;
      latency = timeout;
    }
    other.add(latency);
  }
  ++endings[static_cast<std::size_t>(ending)];
  if (counts(segment)) ++segments[segment].endings[static_cast<std::size_t>(ending)];
}

std::uint64_t Meter::ended() const {
  std::uint64_t sum = fast_requests;
  for (const std::uint64_t n : endings) sum += n;
  return sum;
}

void Meter::clear() {
  requests = 0;
  endings.fill(0);
  fast_requests = 0;
  dropped = 0;
  retries = 0;
  other.clear();
  std::fill(segments.begin(), segments.end(), SegmentMeter{});
}

void generate(const Regime& regime, std::uint64_t count, Random& random, std::vector<Meter>& meters,
              std::uint64_t& dropped, OrderedCounts& ordered) {
  split_by_segment(regime, count, random, [&](std::size_t i, std::uint64_t n) {
    if (regime.segments[i].refused) {
      dropped += n;
    } else if (regime.segments[i].targets <= 2) {
      generate_segment<true>(regime, i, n, random, meters, dropped, ordered);
    } else {
      generate_segment<false>(regime, i, n, random, meters, dropped, ordered);
    }
  });
}

}  // namespace coalmine::engine
