#include <fmt/format.h>
#include <httplib.h>

#include <chrono>
#include <csignal>

#include "sim/net/address.h"
#include "sim/net/http.h"

namespace coalmine::net {
namespace {

using Steady = std::chrono::steady_clock;

struct Origin {
  std::string text;  // scheme://host[:port], as given
  bool secure = false;
  std::string host;  // without brackets
  int port = 80;
};

Result<Origin> parse_origin(std::string_view text) {
  const auto wrong = [text](std::string_view what) {
    return error("{} is not an origin ({}); write scheme://host[:port], as http://127.0.0.1:4566",
                 text, what);
  };
  Origin origin;
  std::string_view rest = text;
  if (!rest.empty() && rest.back() == '/') rest.remove_suffix(1);
  origin.text = rest;
  const std::size_t scheme = rest.find("://");
  if (scheme == std::string_view::npos) return wrong("no scheme");
  origin.secure = same_name(rest.substr(0, scheme), "https");
  if (!origin.secure && !same_name(rest.substr(0, scheme), "http")) {
    return wrong("the scheme must be http or https");
  }
  origin.port = origin.secure ? 443 : 80;
  rest.remove_prefix(scheme + 3);
  if (rest.find_first_of("/?#@ ") != std::string_view::npos) {
    return wrong("nothing may follow the port, no user may precede the host");
  }
  const bool bracketed = !rest.empty() && rest.front() == '[';
  const std::size_t host_end = bracketed ? rest.find(']') : rest.find(':');
  if (bracketed && host_end == std::string_view::npos) return wrong("no closing ]");
  origin.host = bracketed ? rest.substr(1, host_end - 1) : rest.substr(0, host_end);
  if (origin.host.empty()) return wrong("no host");
  const std::size_t colon = bracketed ? host_end + 1 : host_end;
  if (colon != std::string_view::npos && colon < rest.size()) {
    const std::string_view port = rest.substr(colon + 1);
    int value = 0;
    for (const char c : port) {
      if (c < '0' || c > '9' || value > 65535) return wrong("the port must be 1 to 65535");
      value = value * 10 + (c - '0');
    }
    if (rest[colon] != ':' || value < 1 || value > 65535) {
      return wrong("the port must be 1 to 65535");
    }
    origin.port = value;
  }
  return origin;
}

bool is_idempotent(std::string_view method) {
  return method == "GET" || method == "HEAD" || method == "PUT" || method == "DELETE" ||
         method == "OPTIONS";
}

httplib::Request to_library(const Request& request) {
  httplib::Request out;
  out.method = request.method;
  out.path = request.target;
  for (const auto& [name, value] : request.headers) out.headers.emplace(name, value);
  if (!request.headers.has("User-Agent")) {
    out.headers.emplace("User-Agent", "coalmine/" COALMINE_VERSION);
  }
  out.body = request.body;
  return out;
}

Response from_library(httplib::Response& from) {
  Response response;
  response.status = from.status;
  for (auto& [name, value] : from.headers) response.headers.add(name, value);
  response.body = std::move(from.body);
  return response;
}

class HttplibClient : public Client {
 public:
  HttplibClient(Origin origin, ClientOptions options)
      : origin_(std::move(origin)), options_(options), client_(origin_.text) {
    client_.set_connection_timeout(options.connect_timeout);
    client_.set_read_timeout(options.read_timeout);
    client_.set_write_timeout(options.read_timeout);
    client_.set_keep_alive(true);
    client_.set_tcp_nodelay(true);
    client_.set_url_encode(false);  // what was signed is what is sent
    client_.set_decompress(false);
    if (origin_.host == "localhost") client_.set_hostname_addr_map({{"localhost", "127.0.0.1"}});
  }

  bool usable() const { return client_.is_valid(); }

  Result<Response> send(const Request& request) override {
    const bool reused = client_.is_socket_open() != 0;
    const auto begun = Steady::now();
    httplib::Request out = to_library(request);
    httplib::Response in;
    httplib::Error why = httplib::Error::Success;
    if (client_.send(out, in, why)) return from_library(in);
    // The server may have closed a kept connection while our request was on its way. Sending
    // again is safe only if it may run twice; a fresh connection's failure is a real one.
    if (reused && is_idempotent(request.method) && lost(why) && !timed_out(begun)) {
      out = to_library(request);
      in = {};
      if (client_.send(out, in, why)) return from_library(in);
    }
    return failure(why, begun);
  }

  Status stream(const Request& request, std::function<bool(std::string_view)> sink) override {
    constexpr std::size_t kErrorTextBytes = 4096;
    const auto begun = Steady::now();
    httplib::Request out = to_library(request);
    int status = 0;
    std::string refusal;
    out.response_handler = [&status](const httplib::Response& response) {
      status = response.status;
      return true;
    };
    out.content_receiver = [&](const char* data, std::size_t size, std::uint64_t, std::uint64_t) {
      if (status >= 200 && status < 300) return sink({data, size});
      refusal.append(data, std::min(size, kErrorTextBytes - refusal.size()));
      return refusal.size() < kErrorTextBytes;
    };
    httplib::Response in;
    httplib::Error why = httplib::Error::Success;
    const bool complete = client_.send(out, in, why);
    if (status >= 300) {
      return error(ErrorKind::Failed, "{}{} answered {}: {}", origin_.text, request.target, status,
                   refusal);
    }
    if (complete || why == httplib::Error::Canceled) return {};
    return failure(why, begun);
  }

 private:
  static bool lost(httplib::Error why) {
    return why == httplib::Error::Read || why == httplib::Error::Write;
  }
  bool timed_out(Steady::time_point begun) const {
    return Steady::now() - begun >= options_.read_timeout;
  }

  tl::unexpected<Error> failure(httplib::Error why, Steady::time_point begun) const {
    const auto fail = [this](std::string_view what, std::string_view reason) {
      return error(ErrorKind::Environment, "{} {}: {}", what, origin_.text, reason);
    };
    switch (why) {
      case httplib::Error::Connection:
      case httplib::Error::ConnectionTimeout: {
        const std::string reason =
            why_no_connection(origin_.host, origin_.port, options_.connect_timeout);
        return fail("cannot connect to", reason.empty() ? "the connection failed" : reason);
      }
      case httplib::Error::SSLServerVerification:
        return fail("cannot trust",
                    X509_verify_cert_error_string(client_.get_openssl_verify_result()));
      case httplib::Error::SSLConnection:
        return fail("cannot talk TLS with", "the handshake failed");
      case httplib::Error::SSLLoadingCerts:
        return fail("cannot verify", "the system's certificates do not load");
      default:
        if (timed_out(begun)) {
          return fail("no answer from", fmt::format("nothing came for {}",
                                                    coalmine::to_string(options_.read_timeout)));
        }
        return fail("lost the connection to", "it was closed before a whole answer came");
    }
  }

  Origin origin_;
  ClientOptions options_;
  httplib::Client client_;
};

}  // namespace

Result<std::unique_ptr<Client>> Client::open(std::string_view origin, ClientOptions options) {
  TRY(Origin parsed, parse_origin(origin));
  // The library sends without MSG_NOSIGNAL: a server that leaves must not end the process.
  std::signal(SIGPIPE, SIG_IGN);
  auto client = std::make_unique<HttplibClient>(std::move(parsed), options);
  if (!client->usable()) return error("no client for {}", origin);
  return client;
}

}  // namespace coalmine::net
