#include "sim/traffic/retry.h"

#include <algorithm>

namespace coalmine::traffic {
namespace {

enum Bit : std::uint32_t {
  k5xx = 1U << 0,
  kGatewayError = 1U << 1,
  kReset = 1U << 2,
  kConnectFailure = 1U << 3,
  kRefusedStream = 1U << 4,  // never seen on HTTP/1.1
  kRetriable4xx = 1U << 5,
  kServerError = 1U << 6,
  k503 = 1U << 7,
};

constexpr struct {
  std::string_view name;
  std::uint32_t bits;
} kConditions[] = {
    {"5xx", k5xx},
    {"gateway-error", kGatewayError},
    {"reset", kReset},
    {"reset-before-request", kConnectFailure},
    {"connect-failure", kConnectFailure},
    {"refused-stream", kRefusedStream},
    {"retriable-4xx", kRetriable4xx},
    {"server-error", kServerError},
    {"client-error", kRetriable4xx},
    {"stream-error", kRefusedStream},
    {"connection-error", kConnectFailure},
    {"503", k503},
};

std::uint32_t bits_of_status(int status) {
  std::uint32_t bits = 0;
  if (status >= 500 && status <= 599) bits |= k5xx;
  if (status >= 502 && status <= 504) bits |= kGatewayError;
  if (status == 503) bits |= k503;
  if (status == 409) bits |= kRetriable4xx;
  // App Mesh's server-error: 500 to 508, 510, 511 (API model, HttpRetryPolicy)
  if ((status >= 500 && status <= 508) || status == 510 || status == 511) bits |= kServerError;
  return bits;
}

}  // namespace

Result<RetryConditions> parse_retry_conditions(const std::vector<std::string>& names) {
  RetryConditions out;
  for (const std::string& name : names) {
    const auto known = std::find_if(std::begin(kConditions), std::end(kConditions),
                                    [&](const auto& c) { return c.name == name; });
    if (known == std::end(kConditions)) {
      std::string allowed;
      for (const auto& c : kConditions) allowed += fmt::format(" {}", c.name);
      return error("retry condition \"{}\" is unknown, allowed are{}", name, allowed);
    }
    out.bits |= known->bits;
  }
  return out;
}

RetryPolicy app_mesh_default_retries() {
  return {{"503", "connect-failure", "refused-stream", "reset"}, 2, {}};
}

RetryAnswer ask_retry_policy(const RetryPolicy& policy, RetryConditions conditions,
                             const AttemptOutcome& outcome, int retries_done) {
  std::uint32_t on = 0;
  switch (outcome.kind) {
    case AttemptOutcome::Kind::Response:
      on = bits_of_status(outcome.status);
      break;
    case AttemptOutcome::Kind::ConnectFailure:
      // 5xx and gateway-error cover it in Envoy (a 503 of its own); reset too
      on = kConnectFailure | k5xx | kGatewayError | kReset | kServerError | k503;
      break;
    case AttemptOutcome::Kind::ResetBeforeHead:
      on = kReset | k5xx | kGatewayError | kServerError;
      break;
    case AttemptOutcome::Kind::PerTryTimeout:
      on = k5xx | kGatewayError | kServerError | kReset;
      break;
  }
  if ((conditions.bits & on) == 0) return RetryAnswer::No;
  return retries_done < policy.max_retries ? RetryAnswer::Yes : RetryAnswer::Spent;
}

bool should_retry(const RetryPolicy& policy, RetryConditions conditions,
                  const AttemptOutcome& outcome, int retries_done) {
  return ask_retry_policy(policy, conditions, outcome, retries_done) == RetryAnswer::Yes;
}

Duration retry_backoff(int n, double uniform) {
  constexpr Duration kBase = std::chrono::milliseconds(25);
  constexpr Duration kCap = std::chrono::milliseconds(250);
  const int doublings = std::clamp(n, 1, 20);
  const Duration window = std::min<Duration>(kBase * ((1LL << doublings) - 1), kCap);
  return Duration{static_cast<std::int64_t>(static_cast<double>(window.count()) * uniform)};
}

}  // namespace coalmine::traffic
