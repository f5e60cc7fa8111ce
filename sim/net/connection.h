// sim/net/connection: one client's connection to a Server, served on its own thread.
#pragma once

#include <atomic>
#include <string>

#include "sim/net/address.h"
#include "sim/net/http.h"

namespace coalmine::net {

/// What the connections of a server have in common; it outlives them.
struct ServerContext {
  Handler handler;
  ServerOptions options;
  Fd wake;  ///< an eventfd, readable for good once the server stops
  std::atomic<bool> stopping{false};
};

/// Serves requests until the client or the server is done, then closes the socket.
/// `socket` does not block.
void serve_connection(const ServerContext& context, Fd socket, std::string peer);

/// "HTTP/1.1 503 ..." with a text body and Connection: close.
std::string refusal(int status, std::string_view message);

}  // namespace coalmine::net
