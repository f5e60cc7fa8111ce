// sim/net/framing: where a request begins and ends, decided strictly and without I/O.
//
// cpp-httplib's own parser lets doubtful framing through (two lengths, length and chunks, bare
// line feeds) and decodes what must stay as sent. So the connection loop reads heads with this
// and hands the library only what it cannot misread. Where RFC 9112 leaves a choice, the
// strict one is taken: a refused request cannot be misunderstood.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "sim/net/http.h"

namespace coalmine::net {

inline constexpr std::size_t kMaxHeadBytes = 64 << 10;   ///< beyond: 431
inline constexpr std::size_t kMaxTargetBytes = 8 << 10;  ///< beyond: 414
inline constexpr std::size_t kMaxHeaderFields = 100;     ///< beyond: 431
inline constexpr std::size_t kMaxChunkLineBytes = 256;   ///< a chunk's size line, with extensions
inline constexpr std::size_t kMaxTrailerBytes = 16 << 10;

/// Why a request is refused: answered with `status`, then the connection closes.
struct FramingError {
  int status = 400;
  std::string message;
};

struct Head {
  Request request;  ///< without body and peer
  int minor_version = 1;
  bool keep_alive = true;  ///< what the client asked for
  bool expects_continue = false;
  bool chunked = false;
  std::uint64_t content_length = 0;
  bool has_body() const { return chunked || content_length > 0; }
};

/// Looks for the empty line that ends a head. `resume` is kept between calls on a growing buffer
/// (start with 0). The head's length with that line, 0 while it is incomplete, or an error as soon
/// as one is certain (a bare line feed, too long).
tl::expected<std::size_t, FramingError> find_head_end(std::string_view buffer, std::size_t& resume);

/// Parses a head that find_head_end() delimited.
tl::expected<Head, FramingError> parse_head(std::string_view head);

/// Decodes a chunked body piece by piece; extensions and trailers are dropped.
class ChunkedDecoder {
 public:
  enum class Step { NeedMore, Data, Done, Malformed };
  /// Takes from the front of `input`. Data: `piece` is the next part of the body, a part of
  /// `input`. Done: what is left in `input` belongs to the next request.
  Step next(std::string_view& input, std::string_view& piece);

 private:
  enum class State { SizeStart, Size, Extension, SizeLf, Data, DataCr, DataLf, Trailer, LastLf };
  Step malformed();

  State state_ = State::SizeStart;
  std::uint64_t left_ = 0;
  int digits_ = 0;
  std::size_t line_bytes_ = 0;
  std::size_t trailer_bytes_ = 0;
  bool failed_ = false;
};

}  // namespace coalmine::net
