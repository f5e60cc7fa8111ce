// Heads and chunked bodies of any bytes: no crash, and the same reading wherever they are cut.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "sim/core/check.h"
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

void fuzz_response(std::string_view bytes) {
  ResponseHead head;
  HeadScan scan;
  const Parsed parsed = parse_response(bytes, scan, false, head);
  if (parsed.state != Parsed::State::Done || head.status < 200) return;
  std::string out;
  append_downstream_head(out, head, coalmine::traffic::Dialect::Envoy, head.framing.kind, false, 1,
                         "Thu, 01 Jan 1970 00:00:00 GMT");
}

void fuzz_chunks(std::string_view bytes) {
  std::string whole(bytes);
  ChunkDecoder one;
  const auto step = one.decode(whole.data(), whole.size());
  whole.resize(step.payload);
  ChunkDecoder other;
  std::string pieces;
  for (std::size_t i = 0; i < bytes.size() && !other.done() && !other.bad(); ++i) {
    char c = bytes[i];
    if (other.decode(&c, 1).payload == 1) pieces += c;
  }
  CHECK(one.done() == other.done() && one.bad() == other.bad());
  if (!one.bad()) CHECK(whole == pieces && one.trailers() == other.trailers());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  fuzz_request(bytes);
  fuzz_response(bytes);
  fuzz_chunks(bytes);
  return 0;
}
