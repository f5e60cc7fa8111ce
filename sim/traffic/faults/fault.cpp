#include "sim/traffic/faults/fault.h"

#include <algorithm>

#include "sim/core/check.h"

namespace coalmine::faults {
namespace {

/// A full heap slows everything down; this is the delay when it is half full.
constexpr Duration kHalfFullDelay = std::chrono::milliseconds{20};
constexpr Duration kMaxLeakDelay = std::chrono::seconds{10};

bool same_name(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [lower](char x, char y) { return lower(x) == lower(y); });
}

bool has_header(const RequestFacts& request, const Fault& fault) {
  return std::any_of(request.headers.begin(), request.headers.end(), [&fault](const auto& field) {
    return field.second == fault.header_value && same_name(field.first, fault.header_name);
  });
}

bool in_scope(const Fault& fault, const RequestFacts& request) {
  if (fault.path.empty()) {
    const bool concerns_checks =
        fault.kind == Kind::Unhealthy || fault.kind == Kind::SlowStart || fault.kind == Kind::Crash;
    if (request.health_check && !concerns_checks) return false;
  } else if (request.path.substr(0, fault.path.size()) != fault.path) {
    return false;
  }
  return fault.header_name.empty() || has_header(request, fault);
}

/// f / (1 - f) of the half-full delay at fill f: gentle at first, then a wall.
Duration leak_delay(std::uint64_t bytes, std::uint64_t limit) {
  const double fill = static_cast<double>(bytes) / static_cast<double>(limit);
  const double ns = static_cast<double>(kHalfFullDelay.count()) * fill / (1.0 - fill);
  return Duration{
      static_cast<std::int64_t>(std::min(ns, static_cast<double>(kMaxLeakDelay.count())))};
}

}  // namespace

FaultState::FaultState(std::vector<Fault> faults, TimePoint started)
    : faults_(std::move(faults)), memories_(faults_.size()), started_(started) {}

bool FaultState::strikes(const Fault& fault, Memory& memory, Random& random) {
  if (fault.share >= 1) return true;
  if (fault.share <= 0) return false;
  if (fault.burst <= 0) return random.bernoulli(fault.share);
  // Two states: a burst ends with probability 1/L per request, and begins so often that the
  // share of requests inside is `share`.
  const double end = 1.0 / fault.burst;
  const double begin = end * fault.share / (1.0 - fault.share);
  if (!memory.begun) {
    memory.begun = true;
    memory.in_burst = random.bernoulli(fault.share);
  } else {
    memory.in_burst = memory.in_burst ? !random.bernoulli(end) : random.bernoulli(begin);
  }
  return memory.in_burst;
}

void FaultState::apply(const Fault& fault, Memory& memory, const RequestFacts& request,
                       TimePoint now, Random& random, Outcome& outcome) const {
  const auto fail = [&outcome](Effect effect, int status) {
    if (outcome.effect != Effect::None || outcome.status != 0) return;
    outcome.effect = effect;
    outcome.status = status;
  };
  const auto crash = [&outcome] {
    outcome.effect = Effect::Crash;
    outcome.status = 0;
  };
  switch (fault.kind) {
    case Kind::Errors:
      return fail(Effect::None, fault.code);
    case Kind::Latency:
      outcome.delay += fault.latency.sample(random);
      return;
    case Kind::Reset:
      return fail(Effect::Reset, 0);
    case Kind::Hang:
      return fail(Effect::Hang, 0);
    case Kind::Truncate:
      return fail(Effect::Truncate, 0);
    case Kind::WrongBody:
      return fail(Effect::WrongBody, 0);
    case Kind::Unhealthy:
      if (request.health_check) fail(Effect::None, 503);
      return;
    case Kind::Crash:
      if (request.health_check) return;
      if (memory.requests >= fault.after) crash();
      ++memory.requests;
      return;
    case Kind::SlowStart: {
      const Duration left = started_ + fault.warm_up - now;
      if (left <= Duration::zero()) return;
      if (request.health_check) return fail(Effect::None, 503);
      const double cold = to_seconds(left) / to_seconds(fault.warm_up);
      const Duration delay = fault.latency.sample(random);
      outcome.delay += from_seconds(to_seconds(delay) * std::min(cold, 1.0));
      return;
    }
    case Kind::Leak:
      memory.bytes += fault.growth_bytes;
      if (memory.bytes >= fault.limit_bytes) return crash();
      outcome.grow_bytes += fault.growth_bytes;
      outcome.delay += leak_delay(memory.bytes, fault.limit_bytes);
      return;
  }
  CHECK_FAILED("no such fault");
}

Outcome FaultState::decide(const RequestFacts& request, TimePoint now, Random& random) {
  Outcome outcome;
  for (std::size_t i = 0; i < faults_.size() && outcome.effect != Effect::Crash; ++i) {
    const Fault& fault = faults_[i];
    if (in_scope(fault, request) && strikes(fault, memories_[i], random)) {
      apply(fault, memories_[i], request, now, random, outcome);
    }
  }
  return outcome;
}

}  // namespace coalmine::faults
