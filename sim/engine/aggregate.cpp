#include "sim/engine/aggregate.h"

#include <algorithm>

#include "sim/core/check.h"

namespace coalmine::engine {

namespace {

bool same(const std::vector<Behaviour::Delay>& a, const std::vector<Behaviour::Delay>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Behaviour::Delay& x, const Behaviour::Delay& y) {
                      return x.below == y.below && x.table->same_as(*y.table);
                    });
}

}  // namespace

Aggregate::Aggregate(const Regime& regime, const std::vector<Duration>& limits,
                     const Aggregate* previous)
    : regime_(regime) {
  for (const SegmentRegime& segment : regime.segments) {
    cells_.emplace_back();
    for (std::size_t k = 0; k < segment.targets; ++k) {
      Cell cell{segment.version[k], segment.behaviour[k].delays, nullptr, {}, 0, {}};
      const VersionRegime& version = regime.versions[cell.version];
      if (segment.up[k]) {
        CHECK(!version.ordered);
        cell.classes = find_classes(cell);
        if (cell.classes == nullptr && previous != nullptr) {
          cell.classes = previous->find_classes(cell);
        }
        if (cell.classes == nullptr) {
          cell.classes = std::make_shared<LatencyClasses>(*version.latency, cell.delays, limits,
                                                          segment.retrying.timeout);
        }
      }
      cells_.back().push_back(std::move(cell));
    }
  }
}

std::shared_ptr<const LatencyClasses> Aggregate::find_classes(const Cell& like) const {
  for (const auto& cells : cells_) {
    for (const Cell& cell : cells) {
      if (cell.classes != nullptr && cell.version == like.version &&
          same(cell.delays, like.delays)) {
        return cell.classes;
      }
    }
  }
  return nullptr;
}

void Aggregate::generate(std::uint64_t count, Random& random, std::vector<Meter>& meters,
                         std::uint64_t& dropped) {
  split_by_segment(regime_, count, random, [&](std::size_t i, std::uint64_t n) {
    const SegmentRegime& segment = regime_.segments[i];
    if (segment.refused) {
      dropped += n;
      return;
    }
    double left = 1;
    for (std::size_t k = 0; k < segment.targets && n > 0; ++k) {
      const double share = segment.weight[k];
      const bool last = k + 1 == segment.targets;
      const std::uint64_t mine = last ? n : random.binomial(n, std::min(1.0, share / left));
      n -= mine;
      left -= share;
      if (cells_[i][k].classes == nullptr) {
        dropped += mine;
        meters[segment.version[k]].dropped += mine;
      } else {
        serve(i, k, mine, random, meters[segment.version[k]]);
      }
    }
  });
}

void Aggregate::serve(std::size_t segment, std::size_t target, std::uint64_t n, Random& random,
                      Meter& meter) {
  constexpr double kTwo32 = 4294967296.0;
  Cell& cell = cells_[segment][target];
  SegmentMeter uncounted;
  SegmentMeter& part = meter.counts(segment) ? meter.segments[segment] : uncounted;
  meter.requests += n;
  part.requests += n;
  std::uint64_t answered = 0;
  const auto count = [&meter, &part](world::Ending ending, std::uint64_t k) {
    meter.endings[static_cast<std::size_t>(ending)] += k;
    part.endings[static_cast<std::size_t>(ending)] += k;
  };
  const auto end = [&](world::Ending ending, std::uint64_t k) {
    if (has_answer(ending)) {
      const std::uint64_t late = random.binomial(k, cell.classes->timeout_share());
      count(world::Ending::Timeout, late);
      if (late > 0) meter.other.add(regime_.segments[segment].retrying.timeout, late);
      cell.late += late;
      answered += k - late;
      k -= late;
    }
    count(ending, k);
  };
  double before = 0;  // of 2^32
  for (const Behaviour::Failure& failure : regime_.segments[segment].behaviour[target].failures) {
    const auto below = static_cast<double>(failure.below);
    if (below <= before) continue;
    const std::uint64_t k = random.binomial(n, std::min(1.0, (below - before) / (kTwo32 - before)));
    if (regime_.segments[segment].retrying.again(failure.ending, failure.status, 0)) {
      for (std::uint64_t i = 0; i < k; ++i) {
        count(try_again(segment, target, failure, random, meter), 1);
      }
    } else {
      end(failure.ending, k);
    }
    n -= k;
    before = below;
  }
  end(world::Ending::Ok, n);
  fresh_.assign(cell.classes->size(), 0);
  cell.classes->draw(answered, random, fresh_);
  cell.counts.resize(fresh_.size());
  for (std::size_t i = 0; i < fresh_.size(); ++i) {
    if (fresh_[i] > 0) meter.other.add(cell.classes->typical(i), fresh_[i]);
    cell.counts[i] += fresh_[i];
  }
}

/// One request whose first attempt failed so. They are few where anything else than counts is
/// worth while, so each is played out.
world::Ending Aggregate::try_again(std::size_t segment, std::size_t target,
                                   const Behaviour::Failure& first, Random& random, Meter& meter) {
  const SegmentRegime& regime = regime_.segments[segment];
  Cell& cell = cells_[segment][target];
  const LatencyTable& table = *regime_.versions[cell.version].latency;
  Duration spent{};
  if (has_answer(first.ending)) {
    spent = table.sample(random.next(), random);
    for (const Behaviour::Delay& delay : cell.delays) {
      const std::uint64_t chance = random.next();
      if ((chance >> 32) < delay.below) spent += delay.table->sample(chance, random);
    }
  }
  const Duration timeout = regime.retrying.timeout;
  Tried tried{first.ending, spent};
  if (spent < timeout) {
    ++meter.retries;
    spent += traffic::retry_backoff(1, random.uniform());
    tried = make_attempts(regime, target, table, random.next(), spent, 1, random, meter.retries);
  }
  if (!has_answer(tried.ending)) return tried.ending;
  if (tried.latency > timeout) tried = {world::Ending::Timeout, timeout};
  meter.other.add(tried.latency);
  cell.retried.add(tried.latency);
  return tried.ending;
}

void Aggregate::settle(Random& random, std::vector<Histogram>& latency) {
  for (std::size_t i = 0; i < cells_.size(); ++i) {
    for (std::size_t k = 0; k < cells_[i].size(); ++k) {
      Cell& cell = cells_[i][k];
      if (cell.classes == nullptr) continue;
      Histogram& histogram = latency[cell.version];
      cell.classes->fill(cell.counts, random, histogram);
      if (cell.late > 0) histogram.add(regime_.segments[i].retrying.timeout, cell.late);
      histogram.merge(cell.retried);
      cell.retried.clear();
      cell.counts.clear();
      cell.late = 0;
    }
  }
}

}  // namespace coalmine::engine
