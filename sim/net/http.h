// sim/net: HTTP/1.1 servers and clients for everything that is not the gateway.
//
// The mock AWS endpoint, its client and the sample app speak HTTP through here. Handlers see
// plain values and do not know the library behind (cpp-httplib inside our own connection
// loop, in one .cpp file). The gateway does not use it: it streams, and has its own loop.
//
// Below: sim/core. Above: sim/aws, mock-aws/server, sample-app.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/core/result.h"
#include "sim/core/time.h"

namespace coalmine::net {

/// Whether two header names or tokens are the same, ignoring the case of ASCII letters.
bool same_name(std::string_view a, std::string_view b);

/// Header fields in the order they came; names compare without case. Repeated fields stay apart.
class Headers {
 public:
  Headers() = default;
  Headers(std::initializer_list<std::pair<std::string, std::string>> fields) : fields_(fields) {}

  /// The first value of the field, or null.
  const std::string* find(std::string_view name) const;
  /// The first value, or `fallback`.
  std::string get(std::string_view name, std::string_view fallback = "") const;
  bool has(std::string_view name) const { return find(name) != nullptr; }
  void add(std::string name, std::string value);
  /// Replaces every field of that name by this one.
  void set(std::string_view name, std::string value);
  void remove(std::string_view name);

  auto begin() const { return fields_.begin(); }
  auto end() const { return fields_.end(); }
  std::size_t size() const { return fields_.size(); }
  bool empty() const { return fields_.empty(); }
  bool operator==(const Headers&) const = default;

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

struct Request {
  std::string method = "GET";
  std::string target = "/";  ///< as on the wire: still percent-encoded, with the query
  Headers headers;
  std::string body;
  std::string peer;  ///< "127.0.0.1:53124" on a server, empty on a client

  std::string_view path() const;   ///< `target` before '?', still encoded
  std::string_view query() const;  ///< `target` behind '?', still encoded
};

/// Hands out a body piece by piece; write() is false once the client has gone or the server stops.
class BodyWriter {
 public:
  virtual ~BodyWriter() = default;
  /// An empty piece sends nothing and only asks whether to go on: a stream that waits for
  /// events does so at least every few hundred milliseconds, or stop() has to wait for it.
  virtual bool write(std::string_view piece) = 0;
};

/// How a response misbehaves on purpose (sample-app's faults).
enum class Misbehaviour {
  None,
  Reset,     ///< close with RST before a byte is sent
  Hang,      ///< answer nothing until the client leaves or the server stops
  Truncate,  ///< true Content-Length, half the body, then close
};

struct Response {
  int status = 200;
  Headers headers;  ///< Content-Length, Date and Connection are added by the server
  std::string body;
  /// If set, called once to produce a chunked body instead of `body` (event streams).
  std::function<void(BodyWriter&)> stream;
  Misbehaviour misbehaviour = Misbehaviour::None;
};

Response text_response(int status, std::string body, std::string_view type = "text/plain");
Response json_response(int status, std::string body);

using Handler = std::function<Response(const Request&)>;

struct ServerOptions {
  std::size_t max_connections = 1024;     ///< further ones are closed at once with 503
  std::size_t max_body_bytes = 64 << 20;  ///< beyond: 413
  Duration idle_timeout = std::chrono::seconds{75};
  Duration header_timeout = std::chrono::seconds{10};  ///< for a request head once begun
};

/// Serves until destroyed or stopped; one thread per connection, keep-alive, pipelining kept.
/// Malformed requests get 400 and the connection is closed; they never reach the handler.
class Server {
 public:
  /// Port 0 picks a free one. Errors (Environment): the address is in use or not ours.
  static Result<std::unique_ptr<Server>> listen(const std::string& host, int port, Handler handler,
                                                ServerOptions options = {});
  virtual ~Server() = default;
  virtual int port() const = 0;
  virtual const std::string& host() const = 0;
  /// Stops accepting, lets running handlers finish (streams see write() == false), joins.
  /// Requests that have arrived are still answered, with Connection: close. Not from a handler.
  virtual void stop() = 0;
};

struct ClientOptions {
  Duration connect_timeout = std::chrono::seconds{5};
  Duration read_timeout = std::chrono::seconds{60};
};

/// A keep-alive client for one origin; use from one thread at a time. https needs OpenSSL and
/// verifies certificates against the system's store.
class Client {
 public:
  /// `origin` is scheme://host[:port].
  static Result<std::unique_ptr<Client>> open(std::string_view origin, ClientOptions options = {});
  virtual ~Client() = default;
  /// Sends method, target, headers and body exactly as given (Host and Content-Length are added
  /// when absent). Errors (Environment) name the origin and what failed.
  virtual Result<Response> send(const Request& request) = 0;
  /// Streams a response body into `sink` until the end or until it returns false.
  virtual Status stream(const Request& request, std::function<bool(std::string_view)> sink) = 0;
};

// --- URLs ------------------------------------------------------------------------------------

/// Every byte but A-Z a-z 0-9 - . _ ~ becomes %XX (RFC 3986); '/' too unless `keep_slash`.
std::string percent_encode(std::string_view text, bool keep_slash = false);
/// %XX decoded ('+' stays unless `form`); a stray % is kept as it is.
std::string percent_decode(std::string_view text, bool form = false);
/// The decoded pairs of a query or form body, in order.
std::vector<std::pair<std::string, std::string>> parse_query(std::string_view query);

}  // namespace coalmine::net
