#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "sim/gateway/http1.h"
#include "sim/traffic/route_index.h"

namespace coalmine::gateway {

/// What a gateway adds to or changes in a request head.
struct ForwardContext {
  traffic::Dialect dialect = traffic::Dialect::Envoy;
  std::string_view peer;  ///< the client's address, for X-Forwarded-For
  int listener_port = 0;
  std::string_view path;           ///< to send
  std::string_view original_path;  ///< set if a route rewrote it (x-envoy-original-path)
  std::string_view host;
  bool https = false;                ///< how the client came
  bool upgrade = false;              ///< ask for a WebSocket, as the client did
  bool trace = false;                ///< give a request without traceparent one (W3C)
  std::uint64_t random[2] = {0, 0};  ///< for x-request-id, X-Amzn-Trace-Id and traceparent
  std::int64_t epoch_s = 0;
};

/// Appends the head that goes upstream: hop-by-hop fields gone, X-Forwarded-* and request ids as
/// the dialect has them (facts: Envoy with use_remote_address on an internal client; ALB).
void append_upstream_head(std::string& out, const RequestHead& head, const ForwardContext& context);

/// Appends the head that goes to the client. `body` is how the body will be framed there. A 101
/// says that the connection goes on as a WebSocket.
void append_downstream_head(std::string& out, const ResponseHead& head, traffic::Dialect dialect,
                            BodyKind body, bool close, std::int64_t service_ms,
                            std::string_view date);

/// Appends a complete answer given here; the body is left out (but counted) for HEAD.
void append_local_reply(std::string& out, const traffic::LocalReply& reply,
                        traffic::Dialect dialect, bool to_head, bool close, std::string_view date);

/// What a failed attempt is answered with, in the dialect's words.
enum class Failure : std::uint8_t {
  ConnectFailure,    ///< Envoy UF
  ConnectTimeout,    ///< Envoy UF
  ClosedBeforeHead,  ///< Envoy UC
  Protocol,          ///< Envoy UPE
  RequestTimeout,    ///< Envoy UT
  NoHost,            ///< Envoy UH
  Overflow,          ///< Envoy UO
  NoRoom,            ///< for another client connection
  StreamIdle,        ///< Envoy SI, the request being complete
};
traffic::LocalReply failure_reply(Failure failure, traffic::Dialect dialect, std::string reason);
/// A refusal of a malformed or unwanted request.
traffic::LocalReply refusal_reply(int status, traffic::Dialect dialect, std::string reason);

/// "Tue, 24 Nov 2026 19:30:04 GMT"
std::string http_date(std::int64_t epoch_s);

}  // namespace coalmine::gateway
