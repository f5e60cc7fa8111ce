// TLS on listeners: certificates and sessions over OpenSSL.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <memory>
#include <string>

#include "sim/core/result.h"
#include "sim/traffic/route_table.h"

struct ssl_ctx_st;
struct ssl_st;

namespace coalmine::gateway {

class TlsSession;

/// A listener's certificate and key, read once. Immutable: all workers share it, and sessions go on
/// with the one they began with when a newer one is in force.
class TlsContext {
 public:
  /// Reads the files. The error names the file and OpenSSL's reason. Clients must speak TLS 1.2 or
  /// later, and HTTP/1.1 if they negotiate a protocol at all (ALPN) and the listener is not tcp.
  static Result<std::shared_ptr<const TlsContext>> load(const traffic::ListenerTls& tls,
                                                        traffic::Protocol protocol);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  /// The server's side of a connection; the descriptor stays the caller's.
  std::unique_ptr<TlsSession> accept(int fd) const;

 private:
  explicit TlsContext(ssl_ctx_st* context) : context_(context) {}
  ssl_ctx_st* context_;
};

/// One connection. The socket must be non-blocking; calls mean what recv() and send() mean there.
class TlsSession {
 public:
  enum class Handshake { Done, Pending, Failed };

  explicit TlsSession(ssl_st* ssl) : ssl_(ssl) {}
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  /// To be called whenever the socket is ready, until it is not Pending any more.
  Handshake handshake();
  /// 0: the client ended its side properly. -1: errno is EAGAIN, or the session is broken, as it
  /// also is when the connection ends without a closing message.
  ssize_t read(char* into, std::size_t size);
  ssize_t write(const char* bytes, std::size_t size);
  /// Tells the client that nothing more will come; it can tell the end from a cut.
  void end_writing();

 private:
  ssize_t result(int returned);
  ssl_st* ssl_;
  bool broken_ = false;
};

}  // namespace coalmine::gateway
