// Header fields: the bytes that may stand in them, their names, and what they are to a proxy.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace coalmine::gateway {

inline constexpr std::size_t kMaxFieldBytes = 16 << 10;  ///< one header line; beyond: 431
inline constexpr std::size_t kMaxHeadBytes = 64 << 10;   ///< a whole head; beyond: 431
inline constexpr std::size_t kMaxFields = 100;           ///< beyond: 431

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

/// How far a parse got.
struct Parsed {
  enum class State : std::uint8_t { Incomplete, Done, Bad };
  State state = State::Incomplete;
  std::size_t length = 0;  ///< Done: bytes of the head
  int status = 400;        ///< Bad: what to answer
  const char* why = "";    ///< Bad: for the reason header
};

// Byte classes, one table look-up each.
enum : std::uint8_t { kToken = 1, kValue = 2, kTarget = 4, kHostByte = 8 };

constexpr std::array<std::uint8_t, 256> make_classes() {
  std::array<std::uint8_t, 256> out{};
  const auto mark = [&](std::string_view bytes, std::uint8_t bit) {
    for (const char c : bytes) out[static_cast<unsigned char>(c)] |= bit;
  };
  for (int c = 0; c < 256; ++c) {
    const bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (alnum) out[static_cast<std::size_t>(c)] |= kToken | kHostByte;
    if (c == '\t' || (c >= ' ' && c != 127)) out[static_cast<std::size_t>(c)] |= kValue;
    if (c > ' ' && c < 127 && c != '#') out[static_cast<std::size_t>(c)] |= kTarget;
  }
  mark("!#$%&'*+-.^_`|~", kToken);
  mark("-._~%!$&'()*+,;=:[]", kHostByte);
  return out;
}
inline constexpr auto kClasses = make_classes();

inline bool all_of_class(std::string_view text, std::uint8_t bit) {
  std::uint8_t all = bit;
  for (const char c : text) all &= kClasses[static_cast<unsigned char>(c)];
  return (all & bit) != 0;
}

inline Parsed bad(int status, const char* why) {
  return {Parsed::State::Bad, 0, status, why};
}

/// Without the blanks and tabs around it.
inline std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// What a field of this name, in any case, is to a proxy.
Field kind_of(std::string_view name);

/// Splits the lines behind a start line into fields, in one pass. The bytes end with an empty line,
/// and every line ends with CRLF. The fields refer to them.
Parsed split_fields(std::string_view lines, std::vector<FieldView>& out);

}  // namespace coalmine::gateway
