// Strict HTTP/1.1 framing: heads and chunked bodies, on bytes that others own.
//
// Pure. Where RFC 9112 leaves a choice, the strict one is taken, so that no two parties can
// read the same bytes differently (request smuggling).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/traffic/request.h"

namespace coalmine::gateway {

inline constexpr std::size_t kMaxUriBytes = 8 << 10;              ///< beyond: 414
inline constexpr std::size_t kMaxFieldBytes = 16 << 10;           ///< one header line; beyond: 431
inline constexpr std::size_t kMaxHeadBytes = 64 << 10;            ///< a whole head; beyond: 431
inline constexpr std::size_t kMaxFields = 100;                    ///< beyond: 431
inline constexpr std::size_t kMaxChunkLineBytes = 256 + 20;       ///< size, extension and line end
inline constexpr std::size_t kMaxChunkExtensionBytes = 16 << 10;  ///< of one message
inline constexpr std::size_t kMaxChunkDigits = 16;

/// What a header field is to a proxy; everything unknown is Other and passes through.
enum class Field : std::uint8_t {
  Other,
  Host,
  ContentLength,
  TransferEncoding,
  Connection,
  HopByHop,  ///< Keep-Alive, Proxy-Connection, TE, or named by Connection
  Upgrade,
  Expect,
  ForwardedFor,
  ForwardedProto,
  ForwardedPort,
  RequestId,
  AmznTraceId,
  Server,
  Date,
};

struct FieldView {
  Field kind = Field::Other;
  std::string_view line;  ///< the whole line with its CRLF
  std::string_view name;
  std::string_view value;  ///< trimmed
};

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

/// How far a parse got.
struct Parsed {
  enum class State : std::uint8_t { Incomplete, Done, Bad };
  State state = State::Incomplete;
  std::size_t length = 0;  ///< Done: bytes of the head
  int status = 400;        ///< Bad: what to answer
  const char* why = "";    ///< Bad: for the reason header
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

/// Decodes a chunked body as it comes.
class ChunkDecoder {
 public:
  enum class State : std::uint8_t {
    Size,
    Extension,
    SizeEnd,
    Data,
    DataCr,
    DataLf,
    Trailer,
    Done,
    Bad
  };

  struct Step {
    std::size_t consumed = 0;  ///< of the input, up to the end of the body at most
    std::size_t payload = 0;   ///< bytes moved to the front of the input
  };
  /// Reads `bytes[0, size)` and moves the payload in it to the front. Extensions are dropped.
  Step decode(char* bytes, std::size_t size);
  bool done() const { return state_ == State::Done; }
  bool bad() const { return state_ == State::Bad; }
  /// The trailer fields that may be forwarded, each with its CRLF; complete when done().
  const std::string& trailers() const { return trailers_; }

 private:
  void size_byte(char c);
  void end_size_line();
  void end_trailer_line();

  State state_ = State::Size;
  std::uint64_t left_ = 0;
  std::uint32_t digits_ = 0;
  std::uint32_t line_bytes_ = 0;
  std::uint32_t extension_bytes_ = 0;
  std::uint32_t trailer_fields_ = 0;
  std::string line_;  ///< the trailer line being read
  std::string trailers_;
};

/// Appends "SIZE\r\n" for a chunk.
void append_chunk_size(std::string& out, std::size_t size);

/// The standard phrase of a status, or "Unknown".
std::string_view reason_phrase(int status);

}  // namespace coalmine::gateway
