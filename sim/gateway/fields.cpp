#include "sim/gateway/fields.h"

#include <algorithm>
#include <cstring>
#include <string>

namespace coalmine::gateway {
namespace {

/// Whether a name, of the same size and without control bytes, is `lower` in any case. Bit 5 tells
/// upper from lower case; of the bytes that may stand here only letters meet a letter by it.
template <std::size_t N>
bool is(std::string_view name, const char (&lower)[N]) {
  constexpr std::size_t kSize = N - 1;
  constexpr std::uint64_t kCase = 0x2020202020202020;
  const auto differ = [&](std::size_t at, auto word) {
    auto other = word;
    std::memcpy(&word, name.data() + at, sizeof word);
    std::memcpy(&other, lower + at, sizeof other);
    return (word | static_cast<decltype(word)>(kCase)) != other;
  };
  if constexpr (kSize >= 8) {
    if (differ(0, std::uint64_t{})) return false;
    if constexpr (kSize > 16) {
      if (differ(8, std::uint64_t{})) return false;
    }
    return !differ(kSize - 8, std::uint64_t{});  // may look at some bytes again
  } else if constexpr (kSize >= 4) {
    return !differ(0, std::uint32_t{}) && !differ(kSize - 4, std::uint32_t{});
  } else {
    static_assert(kSize == 2);
    return !differ(0, std::uint16_t{});
  }
}

}  // namespace

Field kind_of(std::string_view name) {
  switch (name.size()) {
    case 2:
      return is(name, "te") ? Field::HopByHop : Field::Other;
    case 4:
      return is(name, "host") ? Field::Host : is(name, "date") ? Field::Date : Field::Other;
    case 6:
      return is(name, "expect") ? Field::Expect : is(name, "server") ? Field::Server : Field::Other;
    case 7:
      return is(name, "upgrade") ? Field::Upgrade : Field::Other;
    case 10:
      return is(name, "connection")   ? Field::Connection
             : is(name, "keep-alive") ? Field::HopByHop
                                      : Field::Other;
    case 12:
      return is(name, "x-request-id") ? Field::RequestId : Field::Other;
    case 14:
      return is(name, "content-length") ? Field::ContentLength : Field::Other;
    case 15:
      return is(name, "x-forwarded-for")   ? Field::ForwardedFor
             : is(name, "x-amzn-trace-id") ? Field::AmznTraceId
                                           : Field::Other;
    case 16:
      return is(name, "proxy-connection")   ? Field::HopByHop
             : is(name, "x-forwarded-port") ? Field::ForwardedPort
                                            : Field::Other;
    case 17:
      return is(name, "transfer-encoding")   ? Field::TransferEncoding
             : is(name, "x-forwarded-proto") ? Field::ForwardedProto
                                             : Field::Other;
    default:
      return Field::Other;
  }
}

namespace {

// "Content_Length" and the like become the real thing in servers that map '_' to '-'.
bool is_look_alike(std::string_view name) {
  std::string dashed(name);
  std::replace(dashed.begin(), dashed.end(), '_', '-');
  const Field kind = kind_of(dashed);
  return kind == Field::ContentLength || kind == Field::TransferEncoding || kind == Field::Host;
}

/// The first byte at or behind `p` that a field's value must not hold (9110 5.5): a control byte
/// other than HTAB, at the latest the CR that ends the line. Eight at a time.
const char* value_end(const char* p, const char* end) {
  constexpr std::uint64_t kOnes = 0x0101010101010101, kHigh = 0x8080808080808080;
  while (end - p >= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, p, sizeof word);
    const std::uint64_t del = word ^ (kOnes * 0x7f);
    if ((((word - kOnes * 0x20) & ~word) | ((del - kOnes) & ~del)) & kHigh) break;
    p += 8;
  }
  while (p < end && (kClasses[static_cast<unsigned char>(*p)] & kValue) != 0) ++p;
  return p;
}

/// Why a line whose name ends at a byte that is neither a colon nor allowed in a name is bad.
Parsed bad_name(const char* line, const char* stop, const char* end) {
  if (*line == ' ' || *line == '\t') return bad(400, "header line begins with a space");
  const std::string_view rest(stop, static_cast<std::size_t>(end - stop));
  const std::size_t colon = rest.substr(0, rest.find('\n')).find(':');
  if (colon == std::string_view::npos || stop + colon == line)
    return bad(400, "header line without a name");
  return bad(400, "bad byte in a header name");
}

}  // namespace

Parsed split_fields(std::string_view lines, std::vector<FieldView>& out) {
  out.clear();
  const char* p = lines.data();
  const char* const end = p + lines.size();
  while (end - p > 2) {
    if (out.size() == kMaxFields) return bad(431, "too many header fields");
    const char* const line = p;
    bool underscore = false;
    for (; p < end && (kClasses[static_cast<unsigned char>(*p)] & kToken) != 0; ++p) {
      underscore |= *p == '_';
    }
    if (p == end || *p != ':' || p == line) return bad_name(line, p, end);
    const std::string_view name(line, static_cast<std::size_t>(p - line));
    const char* const value = ++p;
    p = value_end(p, end);
    if (end - p < 2 || p[0] != '\r' || p[1] != '\n') return bad(400, "bad byte in a header value");
    const auto value_size = static_cast<std::size_t>(p - value);
    p += 2;
    if (underscore && is_look_alike(name)) {
      return bad(400, "header name that can be taken for a framing field");
    }
    out.push_back({kind_of(name),
                   {line, static_cast<std::size_t>(p - line)},
                   name,
                   trimmed({value, value_size})});
  }
  return {Parsed::State::Done};
}

}  // namespace coalmine::gateway
