#include "sim/study/floor.h"

#include <algorithm>
#include <cmath>

#include "sim/core/math.h"
#include "sim/engine/world/recorder.h"
#include "sim/study/statistics.h"

namespace coalmine::study {
namespace {

using world::Fault;
using world::FaultKind;
using world::Latency;

// Latencies are compared in bins of equal ratio: 32 per doubling from 0.1 ms to 100 s and over.
// Binning loses information, so a floor from bins would be too high if it were coarse; at 2% per
// bin the loss is far below what is printed.
constexpr int kBinsPerDoubling = 32;
constexpr double kFirstBin_s = 1e-4;
constexpr int kBins = 20 * kBinsPerDoubling + 1;
/// A bin that the stable version never fills: one request there is proof. Counted as one in a
/// thousand million, which keeps the bound finite and below the truth.
constexpr double kNever = 1e-9;
constexpr int kDelayPoints = 64;

constexpr double kNormal99 = 2.3263478740408408;  // quantile of the standard normal

double sigma_of(const world::LognormalLatency& latency) {
  const double ratio = to_seconds(latency.p99) / to_seconds(latency.median);
  return ratio <= 1 ? 0 : math::log(ratio) / kNormal99;
}

/// P(latency <= t).
double cdf(const Latency& latency, double t) {
  if (const auto* fixed = std::get_if<world::FixedLatency>(&latency)) {
    return t >= to_seconds(fixed->value) ? 1 : 0;
  }
  if (const auto* uniform = std::get_if<world::UniformLatency>(&latency)) {
    const double low = to_seconds(uniform->low), high = to_seconds(uniform->high);
    if (high <= low) return t >= low ? 1 : 0;
    return std::clamp((t - low) / (high - low), 0.0, 1.0);
  }
  const auto* lognormal = std::get_if<world::LognormalLatency>(&latency);
  if (lognormal == nullptr || t <= 0) return t <= 0 ? 0 : 1;
  const double sigma = sigma_of(*lognormal), median = to_seconds(lognormal->median);
  if (sigma == 0) return t >= median ? 1 : 0;
  return math::normal_cdf(math::log(t / median) / sigma);
}

/// `kDelayPoints` values of equal probability, for what comes on top.
std::vector<double> equal_parts(const Latency& latency) {
  std::vector<double> values;
  for (int i = 0; i < kDelayPoints; ++i) {
    const double want = (i + 0.5) / kDelayPoints;
    double low = 0, high = 3600;
    for (int step = 0; step < 50; ++step) {
      const double middle = (low + high) / 2;
      (cdf(latency, middle) < want ? low : high) = middle;
    }
    values.push_back(high);
  }
  return values;
}

/// What the metrics can see of one request.
struct Sight {
  double errors = 0;         ///< share of 5xx, resets and timeouts
  double unseen = 0;         ///< share of answers that users find wrong and metrics do not
  bool unknown = false;      ///< a fault whose effect depends on what happened before
  std::vector<double> bins;  ///< share of answers by latency, adding up to 1
};

std::vector<double> latency_bins(const Latency& base, const std::vector<Fault>& delays) {
  std::vector<std::pair<double, std::vector<double>>> on_top;  // share, equal parts
  for (const Fault& fault : delays) {
    if (fault.latency) on_top.emplace_back(fault.share.share(), equal_parts(*fault.latency));
  }
  const auto total_cdf = [&](double t) {
    // One delay at a time: two on the same request are rare, and slower still.
    double plain = 1, sum = 0;
    for (const auto& [share, parts] : on_top) {
      double late = 0;
      for (const double d : parts) late += cdf(base, t - d);
      sum += plain * share * late / static_cast<double>(parts.size());
      plain *= 1 - share;
    }
    return sum + plain * cdf(base, t);
  };
  const double ratio = math::exp(math::log(2) / kBinsPerDoubling);
  std::vector<double> bins;
  double edge = kFirstBin_s, before = 0;
  for (int i = 0; i + 1 < kBins; ++i, edge *= ratio) {
    const double below = total_cdf(edge);
    bins.push_back(std::max(below - before, 0.0));
    before = std::max(before, below);
  }
  bins.push_back(std::max(1 - before, 0.0));
  return bins;
}

/// `answers_only`: metrics of what a version answered, not of what was answered for it.
Sight see(const Latency& latency, const std::vector<Fault>& faults, const std::string& segment,
          bool with_latency, bool answers_only) {
  Sight sight;
  double well = 1, seen = 1;
  std::vector<Fault> delays;
  for (const Fault& fault : faults) {
    if (!fault.segment.empty() && fault.segment != segment) continue;
    const double share = fault.share.share();
    switch (fault.kind) {
      case FaultKind::Slow:
        delays.push_back(fault);
        continue;
      case FaultKind::Truncate:
      case FaultKind::WrongBody:
        well *= 1 - share;
        continue;
      case FaultKind::Reset:
      case FaultKind::Hang:
        (answers_only ? well : seen) *= 1 - share;
        continue;
      case FaultKind::Errors:
        seen *= 1 - share;
        continue;
      default:
        sight.unknown = true;
    }
  }
  sight.errors = 1 - seen;
  sight.unseen = 1 - well;
  if (with_latency) sight.bins = latency_bins(latency, delays);
  return sight;
}

double mean_bin(const std::vector<double>& bins) {
  double sum = 0;
  for (std::size_t i = 0; i < bins.size(); ++i) sum += static_cast<double>(i) * bins[i];
  return sum;
}

double bin_divergence(const std::vector<double>& canary, const std::vector<double>& stable) {
  double sum = 0;
  for (std::size_t i = 0; i < canary.size(); ++i) {
    if (canary[i] <= 1e-15) continue;
    sum += canary[i] * math::log(canary[i] / std::max(stable[i], kNever));
  }
  return std::max(sum, 0.0);
}

/// Faults in force at `t`, by version.
std::vector<Fault> active_faults(const world::Spec& spec, std::size_t version, Duration t) {
  std::vector<Fault> faults = spec.versions[version].faults;
  for (const world::Event& event : spec.events) {
    const auto* inject = std::get_if<world::InjectFault>(&event.what);
    if (inject == nullptr || inject->target != spec.versions[version].name) continue;
    if (event.at <= t && (!inject->length || t < event.at + *inject->length)) {
      faults.push_back(inject->fault);
    }
  }
  return faults;
}

Divergence compare_at(const world::Spec& spec, std::size_t stable, std::size_t canary, Duration t) {
  std::vector<std::pair<std::string, double>> segments;
  double rest = 1;
  for (const world::Segment& segment : spec.traffic.segments) {
    segments.emplace_back(segment.name, segment.share.share());
    rest -= segment.share.share();
  }
  if (rest > 1e-9) segments.emplace_back("", rest);
  Divergence result;
  const std::vector<Fault> of_stable = active_faults(spec, stable, t);
  const std::vector<Fault> of_canary = active_faults(spec, canary, t);
  const auto slow = [](const Fault& fault) { return fault.kind == FaultKind::Slow; };
  const bool with_latency = spec.versions[stable].latency != spec.versions[canary].latency ||
                            std::any_of(of_stable.begin(), of_stable.end(), slow) ||
                            std::any_of(of_canary.begin(), of_canary.end(), slow);
  for (const auto& [name, share] : segments) {
    // A load balancer counts its own 502s and 504s to itself; whoever counts a segment sees them.
    const bool answers_only = spec.plan.traffic == rollout::TrafficApi::Alb && name.empty();
    const Sight before =
        see(spec.versions[stable].latency, of_stable, name, with_latency, answers_only);
    const Sight now =
        see(spec.versions[canary].latency, of_canary, name, with_latency, answers_only);
    const bool same_bins = before.bins == now.bins;
    // Better canaries diverge too, but there is nothing to detect.
    const bool more_errors = now.errors > before.errors + 1e-12;
    const bool slower = !same_bins && mean_bin(now.bins) > mean_bin(before.bins) + 1e-9;
    double nats = more_errors ? binary_divergence(now.errors, std::max(before.errors, kNever)) : 0;
    if (slower) nats += (1 - now.errors) * bin_divergence(now.bins, before.bins);
    result.per_request += share * nats;
    result.worse = result.worse || more_errors || slower || now.unseen > before.unseen + 1e-12;
    result.unknown = result.unknown || (now.unknown && !before.unknown);
  }
  result.worse = result.worse || result.unknown;
  result.invisible = result.worse && !result.unknown && result.per_request <= 0;
  return result;
}

bool hits_both(const world::Spec& spec, const world::Event& event) {
  const auto& inject = std::get<world::InjectFault>(event.what);
  const auto same = [&](const world::Event& other) {
    const auto* twin = std::get_if<world::InjectFault>(&other.what);
    return twin != nullptr && twin->target == spec.plan.stable && other.at == event.at &&
           twin->length == inject.length && twin->fault.kind == inject.fault.kind &&
           twin->fault.share == inject.fault.share && twin->fault.segment == inject.fault.segment;
  };
  return std::any_of(spec.events.begin(), spec.events.end(), same);
}

}  // namespace

Divergence divergence(const world::Spec& spec) {
  const auto stable = world::version_index(spec, spec.plan.stable);
  const auto canary = world::version_index(spec, spec.plan.canary);
  if (!stable || !canary) return {};
  std::vector<Duration> moments = {Duration{}};
  for (const world::Event& event : spec.events) {
    if (std::holds_alternative<world::InjectFault>(event.what)) moments.push_back(event.at);
  }
  Divergence most;
  for (const Duration t : moments) {
    const Divergence now = compare_at(spec, *stable, *canary, t);
    const bool worse = most.worse || now.worse, unknown = most.unknown || now.unknown;
    if (now.per_request > most.per_request || (now.worse && !most.worse)) most = now;
    most.worse = worse;
    most.unknown = unknown;
    most.invisible = most.invisible && !unknown;
  }
  return most;
}

std::optional<double> information_floor(const Divergence& divergence) {
  if (!divergence.worse || divergence.unknown || divergence.per_request <= 0) return std::nullopt;
  return std::max(1.0, binary_divergence(1 - kFloorBeta, kFloorAlpha) / divergence.per_request);
}

world::Spec healthy_twin(const world::Spec& spec) {
  world::Spec twin = spec;
  const auto stable = world::version_index(spec, spec.plan.stable);
  const auto canary = world::version_index(spec, spec.plan.canary);
  if (!stable || !canary) return twin;
  twin.versions[*canary].faults = twin.versions[*stable].faults;
  twin.versions[*canary].latency = twin.versions[*stable].latency;
  std::erase_if(twin.events, [&spec](const world::Event& event) {
    const auto* inject = std::get_if<world::InjectFault>(&event.what);
    return inject != nullptr && inject->target == spec.plan.canary && !hits_both(spec, event);
  });
  return twin;
}

namespace {

std::string describe_latency(const Latency& latency) {
  using coalmine::to_string;
  if (const auto* fixed = std::get_if<world::FixedLatency>(&latency)) {
    return to_string(fixed->value);
  }
  if (const auto* uniform = std::get_if<world::UniformLatency>(&latency)) {
    return fmt::format("{} to {}", to_string(uniform->low), to_string(uniform->high));
  }
  if (const auto* lognormal = std::get_if<world::LognormalLatency>(&latency)) {
    return fmt::format("median {}, p99 {}", to_string(lognormal->median),
                       to_string(lognormal->p99));
  }
  return "its own";
}

std::string describe_one(const Fault& fault) {
  std::string text;
  if (fault.kind == FaultKind::Slow && fault.latency) {
    text = fmt::format("{} slower by {}", to_string(fault.share), describe_latency(*fault.latency));
  } else {
    text = fmt::format("{} {}", world::to_string(fault.kind), to_string(fault.share));
  }
  return fault.segment.empty() ? text : text + " in " + fault.segment;
}

}  // namespace

std::string describe_fault(const world::Spec& spec) {
  std::string text;
  const auto add = [&text](const std::string& part) { text += (text.empty() ? "" : "; ") + part; };
  const auto stable = world::version_index(spec, spec.plan.stable);
  const auto canary = world::version_index(spec, spec.plan.canary);
  if (!stable || !canary) return text;
  for (const std::size_t v : {*canary, *stable}) {
    const world::Version& version = spec.versions[v];
    std::string own;
    for (const Fault& fault : version.faults) {
      own += (own.empty() ? "" : ", ") + describe_one(fault);
    }
    if (spec.versions[*canary].latency != spec.versions[*stable].latency) {
      own +=
          (own.empty() ? "" : ", ") + std::string("latency ") + describe_latency(version.latency);
    }
    if (!own.empty()) add(fmt::format("{} {}", version.name, own));
  }
  for (const world::Event& event : spec.events) {
    const auto* inject = std::get_if<world::InjectFault>(&event.what);
    if (inject == nullptr) continue;
    std::string when = "from " + to_string(event.at);
    if (inject->length) when += " for " + to_string(*inject->length);
    add(fmt::format("{} {} {}", inject->target, describe_one(inject->fault), when));
  }
  return text;
}

}  // namespace coalmine::study
