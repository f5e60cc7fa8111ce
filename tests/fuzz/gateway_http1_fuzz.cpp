// Heads and chunked bodies of any bytes: no crash, and the same reading wherever they are cut.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "sim/core/check.h"
#include "sim/gateway/chunks.h"
#include "sim/gateway/heads.h"
#include "sim/gateway/http1.h"

namespace {

using namespace coalmine::gateway;

void fuzz_request(std::string_view bytes) {
  RequestHead head;
  HeadScan whole_scan;
  const Parsed whole = parse_request(bytes, whole_scan, head);
  if (whole.state == Parsed::State::Done) {
    CHECK(whole.length <= bytes.size());
    // What is sent on must be read by ourselves as one request with the same framing.
    ForwardContext context;
    context.path = head.path;
    context.host = head.host.empty() ? "default" : head.host;
    context.peer = "127.0.0.1";
    std::string out;
    append_upstream_head(out, head, context);
    RequestHead again;
    HeadScan scan;
    const Parsed second = parse_request(out, scan, again);
    const bool too_large =
        second.state == Parsed::State::Bad && (second.status == 431 || second.status == 414);
    CHECK(too_large || (second.state == Parsed::State::Done && second.length == out.size()));
    if (!too_large) {
      CHECK(again.framing.kind == head.framing.kind && again.framing.length == head.framing.length);
    }
  }
  HeadScan cut_scan;
  Parsed cut = parse_request(bytes.substr(0, bytes.size() / 2), cut_scan, head);
  if (cut.state == Parsed::State::Incomplete) {
    cut = parse_request(bytes, cut_scan, head);
    CHECK(cut.state == whole.state && cut.length == whole.length);
  }
}

void fuzz_response(std::string_view bytes, bool to_head) {
  ResponseHead head;
  HeadScan scan;
  const Parsed whole = parse_response(bytes, scan, to_head, head);
  HeadScan cut_scan;
  ResponseHead other;
  Parsed cut = parse_response(bytes.substr(0, bytes.size() / 3), cut_scan, to_head, other);
  if (cut.state == Parsed::State::Incomplete) {
    cut = parse_response(bytes, cut_scan, to_head, other);
    CHECK(cut.state == whole.state && cut.length == whole.length);
  }
  if (whole.state != Parsed::State::Done) return;
  CHECK(whole.length <= bytes.size());
  if (to_head || head.status < 200) CHECK(head.framing.kind == BodyKind::None);
  if (head.status < 200) return;
  // What the client gets must be read by ourselves as one response with the same framing.
  const BodyKind body =
      head.framing.kind == BodyKind::UntilClose ? BodyKind::Chunked : head.framing.kind;
  std::string out;
  append_downstream_head(out, head, coalmine::traffic::Dialect::Envoy, body, false, 1,
                         "Thu, 01 Jan 1970 00:00:00 GMT");
  ResponseHead again;
  HeadScan again_scan;
  const Parsed second = parse_response(out, again_scan, to_head, again);
  if (second.state == Parsed::State::Bad) return;  // one field or byte too many, with ours
  CHECK(second.state == Parsed::State::Done && second.length == out.size());
  CHECK(again.status == head.status && again.framing.kind == body &&
        again.framing.length == head.framing.length);
}

std::string decode(std::string_view bytes, std::size_t piece, ChunkDecoder& decoder) {
  std::string out;
  std::string part;
  for (std::size_t i = 0; i < bytes.size() && !decoder.done() && !decoder.bad();) {
    part = bytes.substr(i, piece);
    const auto step = decoder.decode(part.data(), part.size());
    CHECK(step.consumed == part.size() || decoder.done() || decoder.bad());
    out += part.substr(0, step.payload);
    i += step.consumed;
  }
  return out;
}

void fuzz_chunks(std::string_view bytes, std::size_t piece) {
  ChunkDecoder one;
  const std::string whole = decode(bytes, bytes.size(), one);
  for (const std::size_t size : {std::size_t{1}, piece}) {
    ChunkDecoder other;
    const std::string pieces = decode(bytes, size, other);
    CHECK(one.done() == other.done() && one.bad() == other.bad());
    if (!one.bad()) CHECK(whole == pieces && one.trailers() == other.trailers());
  }
  if (!one.done()) return;
  // Encoded anew and decoded again it is the same.
  std::string out;
  if (!whole.empty()) append_chunk_size(out, whole.size());
  out += whole;
  if (!whole.empty()) out += "\r\n";
  out += "0\r\n" + one.trailers() + "\r\n";
  ChunkDecoder again;
  CHECK(decode(out, out.size(), again) == whole);
  CHECK(again.done() && again.trailers() == one.trailers());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  fuzz_request(bytes);
  fuzz_response(bytes, false);
  fuzz_response(bytes, true);
  fuzz_chunks(bytes, size == 0 ? 1 : 1 + data[0] % 37U);
  return 0;
}
