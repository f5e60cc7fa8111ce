// Strict HTTP/1.1 framing: heads of requests and responses, on bytes that others own.
//
// Pure. Where RFC 9112 leaves a choice, the strict one is taken, so that no two parties can
// read the same bytes differently (request smuggling).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "sim/gateway/fields.h"

namespace coalmine::gateway {

inline constexpr std::size_t kMaxUriBytes = 8 << 10;  ///< beyond: 414

enum class BodyKind : std::uint8_t {
  None,
  Length,
  Chunked,
  UntilClose,  ///< responses only
};

struct Framing {
  BodyKind kind = BodyKind::None;
  std::uint64_t length = 0;  ///< of Length
};

/// Another protocol that a request asks for, or a response goes on in (9110 7.8).
enum class Upgrade : std::uint8_t {
  None,  ///< or h2c, which Envoy ignores too
  WebSocket,
  Other,
};

struct RequestHead {
  std::string_view method;
  std::string_view path;   ///< origin-form, without query; "*" for OPTIONS *
  std::string_view query;  ///< behind '?'
  bool has_query = false;
  std::string_view host;  ///< of the absolute-form, else of Host
  int minor = 1;          ///< HTTP/1.minor, 1 at most
  std::vector<FieldView> fields;
  Framing framing;
  bool keep_alive = true;
  bool expects_continue = false;
  Upgrade upgrade = Upgrade::None;  ///< only if Connection says so, too
};

struct ResponseHead {
  int status = 0;
  std::string_view reason;
  int minor = 1;
  std::vector<FieldView> fields;
  Framing framing;
  bool keep_alive = true;
  Upgrade upgrade = Upgrade::None;
};

/// Remembers how far an incomplete head was searched, so that a slow sender costs no more than a
/// fast one.
struct HeadScan {
  std::size_t line = 0;  ///< where the unfinished line begins
  std::size_t seen = 0;  ///< bytes of it already searched
};

/// Parses a request head at the front of `bytes`. `head` is filled only when Done and refers to
/// `bytes`; its vector is reused.
Parsed parse_request(std::string_view bytes, HeadScan& scan, RequestHead& head);
/// The same for a response; `to_head` if it answers a HEAD request. Bad means 502.
Parsed parse_response(std::string_view bytes, HeadScan& scan, bool to_head, ResponseHead& head);

/// The standard phrase of a status, or "Unknown".
std::string_view reason_phrase(int status);

}  // namespace coalmine::gateway
