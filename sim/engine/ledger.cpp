#include "sim/engine/ledger.h"

#include <algorithm>
#include <numeric>

#include "sim/core/math.h"

namespace coalmine::engine {
namespace {

using world::Ending;
using Endings = std::array<std::uint64_t, world::kEndings>;

std::uint64_t count_of(const Endings& endings, Ending ending) {
  return endings[static_cast<std::size_t>(ending)];
}

/// Requests that were answered 5xx, by whomever.
std::uint64_t answered_5xx(const Endings& endings) {
  return count_of(endings, Ending::Error) + count_of(endings, Ending::Reset) +
         count_of(endings, Ending::Timeout);
}

/// Counted when they end, as the gateway does: no period has more errors than requests. What Envoy
/// answers itself, because a version broke the connection or has no task, it counts to the cluster
/// that was picked. A load balancer counts it to itself, in HTTPCode_ELB_5XX_Count, which no target
/// group has; for want of a task not even as a request (AWS, "CloudWatch metrics for your
/// Application Load Balancer").
void add_counts(VersionMetrics& metrics, const Meter& meter, rollout::TrafficApi api) {
  metrics.requests += meter.ended();
  if (api == rollout::TrafficApi::AppMesh) {
    metrics.requests += meter.dropped;
    metrics.errors += answered_5xx(meter.endings) + meter.dropped;
    return;
  }
  metrics.errors += count_of(meter.endings, Ending::Error);
  metrics.own_answers[502] += count_of(meter.endings, Ending::Reset);
  metrics.own_answers[503] += meter.dropped;
  metrics.own_answers[504] += count_of(meter.endings, Ending::Timeout);
}

std::uint64_t user_failures(const Endings& endings) {
  std::uint64_t sum = 0;
  for (std::size_t i = 1; i < world::kEndings; ++i) sum += endings[i];
  return sum;
}

}  // namespace

Ledger::Ledger(const world::Spec& spec, world::Recorder& recorder, std::uint64_t seed,
               TimePoint start, std::vector<std::shared_ptr<const LatencyTable>> tables, Read read)
    : spec_(spec),
      recorder_(recorder),
      start_(start),
      users_(Random(seed).split("users")),
      moments_(Random(seed).split("moments")),
      tables_(std::move(tables)),
      canary_(world::version_index(spec, spec.plan.canary).value_or(0)),
      period_(spec.versions.size()),
      seen_(spec.versions.size()),
      seen_failed_(spec.versions.size()),
      read_(read),
      read_fast_(read.latency ? spec.versions.size() : 0) {
  for (Meter& meter : period_) {
    meter.segments.resize(spec.traffic.segments.size());
    meter.timeout = world::request_timeout(spec);
  }
}

std::vector<Meter>& Ledger::meters_beside(std::size_t from) {
  if (!beside_.empty()) return beside_;
  beside_.resize(period_.size());
  read_beside_.resize(read_.latency ? period_.size() : 0);
  for (std::size_t v = 0; v < period_.size(); ++v) {
    period_[v].beside = &beside_[v];
    beside_[v].timeout = period_[v].timeout;
    period_[v].beside_from = from;
  }
  return beside_;
}

std::vector<Histogram>& Ledger::fine_latencies() {
  fine_.resize(period_.size());
  return fine_;
}

void Ledger::end_span(TimePoint begin, TimePoint end, const std::vector<std::uint32_t>& weights,
                      bool by_marks) {
  world::Span span{begin - start_, end - start_, {}, {}, dropped_ - seen_dropped_};
  if (!by_marks) span.weights = weights;
  seen_dropped_ = dropped_;
  std::uint64_t total = span.dropped, weight = 0;
  for (const std::uint32_t w : weights) weight += w;
  for (std::size_t v = 0; v < period_.size(); ++v) {
    const std::uint64_t requests = period_[v].total();
    const std::uint64_t failed = user_failures(period_[v].endings);
    span.versions.push_back({requests - seen_[v], failed - seen_failed_[v]});
    total += span.versions[v].requests + span.versions[v].failed;
    seen_[v] = requests;
    seen_failed_[v] = failed;
  }
  if (weight > 0) {
    world::Record& record = recorder_.record();
    record.max_canary_share =
        std::max(record.max_canary_share,
                 static_cast<double>(weights[canary_]) / static_cast<double>(weight));
  }
  see_canary(begin, end, span.versions[canary_].requests);
  if (total > 0) recorder_.record().spans.push_back(std::move(span));
}

/// First and last moment of the canary's requests.
void Ledger::see_canary(TimePoint begin, TimePoint end, std::uint64_t requests) {
  if (requests == 0) return;
  world::Record& record = recorder_.record();
  if (!record.first_canary) {
    // The first of n uniform moments: P(first > x) = (1 - x)^n.
    const double u = 1 - moments_.uniform();
    const double x = 1 - math::pow(u, 1.0 / static_cast<double>(requests));
    record.first_canary = (begin - start_) + from_seconds(to_seconds(end - begin) * x);
  }
  last_canary_span_ = {begin, end};
  last_canary_count_ = requests;
}

void Ledger::count_users() {
  world::Record& record = recorder_.record();
  world::VersionRecord& canary = record.versions[canary_];
  if (!known_users_) {
    std::vector<std::uint64_t> requests;
    std::uint64_t rest = canary.requests;
    for (const world::Tally& segment : canary.segments) {
      requests.push_back(segment.requests);
      rest -= segment.requests;
    }
    requests.push_back(rest);
    known_users_ = meet_users(requests, spec_.traffic.users, users_);
  }
  record.blast_users = canary.users = known_users_->all;
  canary.segment_users = known_users_->by_segment;
  canary.segment_users.resize(canary.segments.size());  // the rest has no name
}

/// The latencies of a version's period; what the fast loop counted is what was added since the
/// last call.
Histogram Ledger::period_latency(const Meter& meter, FastCounts& read, std::size_t version) const {
  Histogram out = meter.other;
  for (std::size_t i = 0; meter.fast_requests > 0 && i < meter.fast.size(); ++i) {
    if (meter.fast[i] != read[i]) out.add(tables_[version]->at(i), meter.fast[i] - read[i]);
    read[i] = meter.fast[i];
  }
  return out;
}

PeriodMetrics Ledger::end_period(TimePoint from, TimePoint to) {
  PeriodMetrics metrics{from, to, {}};
  for (std::size_t v = 0; v < period_.size(); ++v) {
    const Meter& meter = period_[v];
    VersionMetrics one;
    add_counts(one, meter, spec_.plan.traffic);
    for (std::size_t i = 0; read_.segments && i < meter.segments.size(); ++i) {
      const Endings& endings = meter.segments[i].endings;
      one.segments.push_back({std::accumulate(endings.begin(), endings.end(), std::uint64_t{0}),
                              answered_5xx(endings)});
    }
    if (read_.latency) one.latency = period_latency(meter, read_fast_[v], v);
    if (!beside_.empty()) {
      const Meter& more = beside_[v];
      add_counts(one, more, spec_.plan.traffic);
      if (read_.latency) one.latency.merge(period_latency(more, read_beside_[v], v));
    }
    metrics.versions.push_back(std::move(one));
  }
  count_up();
  return metrics;
}

void Ledger::count_up() {
  world::Record& record = recorder_.record();
  for (std::size_t v = 0; v < period_.size(); ++v) {
    Meter& meter = period_[v];
    world::VersionRecord& total = record.versions[v];
    total.retries += meter.retries;
    total.requests += meter.total();
    for (std::size_t e = 0; e < world::kEndings; ++e) total.endings[e] += meter.endings[e];
    total.endings[static_cast<std::size_t>(Ending::Ok)] += meter.fast_requests;
    for (std::size_t i = 0; i < meter.segments.size(); ++i) {
      total.segments[i].requests += meter.segments[i].requests;
      total.segments[i].failed += user_failures(meter.segments[i].endings);
    }
    if (fine_.empty()) total.latency.merge(meter.other);
    meter.clear();
    seen_[v] = seen_failed_[v] = 0;
  }
  for (std::size_t v = 0; v < beside_.size(); ++v) {
    record.versions[v].beside += beside_[v].total();
    beside_[v].clear();
  }
  record.dropped = dropped_;
}

void Ledger::settle() {
  count_up();
  world::Record& record = recorder_.record();
  for (std::size_t v = 0; v < period_.size(); ++v) {
    const auto& fast = period_[v].fast;
    for (std::size_t i = 0; i < fast.size(); ++i) {
      if (fast[i] > 0) record.versions[v].latency.add(tables_[v]->at(i), fast[i]);
    }
  }
  for (std::size_t v = 0; v < fine_.size(); ++v) record.versions[v].latency.merge(fine_[v]);
  if (last_canary_span_) {
    // The last of n uniform moments: P(last < x) = x^n.
    const auto [begin, end] = *last_canary_span_;
    const double u = 1 - moments_.uniform();
    const double x = math::pow(u, 1.0 / static_cast<double>(last_canary_count_));
    record.last_canary = (begin - start_) + from_seconds(to_seconds(end - begin) * x);
  }
  count_users();
}

}  // namespace coalmine::engine
