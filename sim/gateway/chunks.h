// Chunked bodies (9112 7.1), strictly: what is not a chunk is bad, and extensions are dropped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace coalmine::gateway {

inline constexpr std::size_t kMaxChunkLineBytes = 256 + 20;       ///< size, extension and line end
inline constexpr std::size_t kMaxChunkExtensionBytes = 16 << 10;  ///< of one message
inline constexpr std::size_t kMaxChunkDigits = 16;

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

}  // namespace coalmine::gateway
