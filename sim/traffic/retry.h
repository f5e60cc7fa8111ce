#pragma once

#include <cstdint>
#include <string_view>

#include "sim/core/result.h"
#include "sim/core/time.h"
#include "sim/traffic/route_table.h"

namespace coalmine::traffic {

/// How an attempt ended, as far as retrying cares.
struct AttemptOutcome {
  enum class Kind : std::uint8_t {
    Response,         ///< a complete head came; `status` says which
    ConnectFailure,   ///< no connection was made: nothing was sent
    ResetBeforeHead,  ///< the connection ended before a response head
    PerTryTimeout,
  };
  Kind kind = Kind::Response;
  int status = 200;
};

/// The conditions of a retry policy as bits; one look-up per attempt, nothing per request.
struct RetryConditions {
  std::uint32_t bits = 0;
  bool operator==(const RetryConditions&) const = default;
};

/// Reads Envoy's names (`x-envoy-retry-on`, http_filters/router_filter) and App Mesh's events:
///   5xx, gateway-error, reset, reset-before-request, connect-failure, refused-stream,
///   retriable-4xx, server-error, client-error, stream-error, connection-error, and a status
///   such as "503". Errors name the condition that is unknown.
Result<RetryConditions> parse_retry_conditions(const std::vector<std::string>& names);

/// App Mesh retries twice when a route has no policy: on 503, connect-failure, refused-stream
/// and reset (App Mesh user guide, "Default route retry policy"). The compiler of a table sets
/// it where it applies; an empty RetryPolicy means none, as in Envoy.
RetryPolicy app_mesh_default_retries();

/// What a retry policy says to an attempt that ended.
enum class RetryAnswer : std::uint8_t {
  No,  ///< it went well enough, or the policy does not name what happened
  Yes,
  Spent,  ///< it would, had there not been all the retries that are allowed (Envoy's flag URX)
};

/// Whether this attempt is worth another one. `retries_done` so far; a request whose response
/// head went down, or whose body is not at hand any more, must not be asked about. Method and
/// idempotency play no part, as in Envoy.
RetryAnswer ask_retry_policy(const RetryPolicy& policy, RetryConditions conditions,
                             const AttemptOutcome& outcome, int retries_done);
bool should_retry(const RetryPolicy& policy, RetryConditions conditions,
                  const AttemptOutcome& outcome, int retries_done);

/// Wait before retry number `n` (from 1): uniform in [0, (2^n - 1) * 25 ms), at most 250 ms
/// (Envoy's default jittered back-off). `uniform` in [0, 1).
Duration retry_backoff(int n, double uniform);

}  // namespace coalmine::traffic
