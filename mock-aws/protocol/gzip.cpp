#include "mock-aws/protocol/gzip.h"

#include <zlib.h>

#include <array>

namespace coalmine::mock {

std::optional<std::string> gunzip(std::string_view packed) {
  z_stream stream{};
  if (inflateInit2(&stream, 15 + 16) != Z_OK) return std::nullopt;  // + 16: gzip header
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  std::string result;
  std::array<char, 16384> buffer;
  int status = Z_OK;
  while (status == Z_OK && result.size() <= kMaxUnpackedBytes) {
    stream.next_out = reinterpret_cast<Bytef*>(buffer.data());
    stream.avail_out = buffer.size();
    status = inflate(&stream, Z_NO_FLUSH);
    result.append(buffer.data(), buffer.size() - stream.avail_out);
  }
  inflateEnd(&stream);
  if (status != Z_STREAM_END || result.size() > kMaxUnpackedBytes) return std::nullopt;
  return result;
}

}  // namespace coalmine::mock
