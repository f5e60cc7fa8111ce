#include "sim/gateway/chunks.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "sim/gateway/fields.h"
#include "sim/traffic/request.h"

namespace coalmine::gateway {

using traffic::equals_ignoring_case;

void ChunkDecoder::size_byte(char c) {
  int digit = -1;
  if (c >= '0' && c <= '9') digit = c - '0';
  if (c >= 'a' && c <= 'f') digit = c - 'a' + 10;
  if (c >= 'A' && c <= 'F') digit = c - 'A' + 10;
  if (digit >= 0) {
    left_ = left_ * 16 + static_cast<std::uint64_t>(digit);
    state_ = ++digits_ > kMaxChunkDigits || left_ > 0x7fffffffffffffffU ? State::Bad : State::Size;
  } else if (digits_ == 0) {
    state_ = State::Bad;
  } else if (c == ';') {
    state_ = State::Extension;
  } else {
    state_ = c == '\r' ? State::SizeEnd : State::Bad;
  }
}

void ChunkDecoder::end_size_line() {
  digits_ = 0;
  line_bytes_ = 0;
  state_ = left_ == 0 ? State::Trailer : State::Data;
}

// One trailer line is complete in line_. What frames, routes, authorises or belongs to the
// connection has no business in a trailer and is dropped (9110 6.5.1).
void ChunkDecoder::end_trailer_line() {
  if (line_ == "\r\n") {
    state_ = State::Done;
    line_.clear();
    return;
  }
  std::vector<FieldView> fields;
  const std::string lines = line_ + "\r\n";
  if (split_fields(lines, fields).state == Parsed::State::Bad || ++trailer_fields_ > kMaxFields ||
      trailers_.size() + line_.size() > kMaxHeadBytes) {
    state_ = State::Bad;
    return;
  }
  const FieldView& field = fields.front();
  bool forbidden = field.kind != Field::Other;
  for (const std::string_view name :
       {"authorization", "cookie", "set-cookie", "proxy-authorization", "proxy-authenticate",
        "www-authenticate", "content-encoding", "content-type", "content-range", "trailer",
        "cache-control", "age", "expires", "location", "vary", "warning", "max-forwards"}) {
    forbidden |= equals_ignoring_case(field.name, name);
  }
  if (!forbidden) trailers_ += line_;
  line_.clear();
}

ChunkDecoder::Step ChunkDecoder::decode(char* bytes, std::size_t size) {
  Step step;
  std::size_t& i = step.consumed;
  while (i < size && state_ != State::Done && state_ != State::Bad) {
    if (state_ == State::Data) {
      const std::size_t take = static_cast<std::size_t>(std::min<std::uint64_t>(left_, size - i));
      if (step.payload != i) std::memmove(bytes + step.payload, bytes + i, take);
      step.payload += take;
      i += take;
      left_ -= take;
      if (left_ == 0) state_ = State::DataCr;
      continue;
    }
    const char c = bytes[i++];
    switch (state_) {
      case State::Size:
        size_byte(c);
        break;
      case State::Extension:
        ++extension_bytes_;
        if (c == '\r') {
          state_ = State::SizeEnd;
        } else if ((kClasses[static_cast<unsigned char>(c)] & kValue) == 0 ||
                   extension_bytes_ > kMaxChunkExtensionBytes) {
          state_ = State::Bad;
        }
        break;
      case State::SizeEnd:
        if (c == '\n') {
          end_size_line();
        } else {
          state_ = State::Bad;
        }
        break;
      case State::DataCr:
        state_ = c == '\r' ? State::DataLf : State::Bad;
        break;
      case State::DataLf:
        state_ = c == '\n' ? State::Size : State::Bad;
        break;
      case State::Trailer:
        line_ += c;
        if (c == '\n') {
          if (line_.size() < 2 || line_[line_.size() - 2] != '\r') {
            state_ = State::Bad;
          } else {
            end_trailer_line();
          }
        } else if (line_.size() > kMaxFieldBytes) {
          state_ = State::Bad;
        }
        break;
      default:
        break;
    }
    if ((state_ == State::Size || state_ == State::Extension) &&
        ++line_bytes_ > kMaxChunkLineBytes) {
      state_ = State::Bad;
    }
  }
  return step;
}

void append_chunk_size(std::string& out, std::size_t size) {
  char digits[18];
  int n = 0;
  do {
    digits[n++] = "0123456789abcdef"[size & 15U];
    size >>= 4;
  } while (size != 0);
  while (n > 0) out += digits[--n];
  out += "\r\n";
}

}  // namespace coalmine::gateway
