// What an ALB tidies, of any bytes: a head that the parser takes as one whole, and that gives
// nothing more to tidy.
#include <cstdint>
#include <string>
#include <string_view>

#include "sim/core/check.h"
#include "sim/gateway/desync.h"

namespace {

using namespace coalmine::gateway;

Parsed parse(std::string_view bytes, RequestHead& head) {
  HeadScan scan;
  return parse_request(bytes, scan, head);
}

void fuzz_head(std::string_view head) {
  RequestHead strict_head;
  const Parsed strict = parse(head, strict_head);
  const bool whole = strict.length > 0 && strict.length == head.size();  // and nothing else
  if (!whole) return;
  std::string tidied;
  const DesyncVerdict verdict = judge_head(head, tidied);
  if (strict.state == Parsed::State::Done && verdict.tier != DesyncClass::Compliant) {
    CHECK(may_deviate(head, strict_head));
  }
  RequestHead parsed;
  const Parsed got = parse(tidied, parsed);
  if (got.state != Parsed::State::Done) return;
  CHECK(got.length == tidied.size());
  // A head that both readings take frames its body the same in both.
  if (strict.state == Parsed::State::Done) {
    CHECK(parsed.framing.kind == strict_head.framing.kind);
    CHECK(parsed.framing.length == strict_head.framing.length);
  }
  int lengths = 0;
  for (const FieldView& field : parsed.fields) {
    lengths += field.kind == Field::ContentLength || field.kind == Field::TransferEncoding;
  }
  CHECK(lengths <= 1);
  std::string again;
  judge_head(tidied, again);
  CHECK(again == tidied);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  fuzz_head(bytes);
  // Fuzzers find the rest of a head sooner if it has a beginning and an end.
  fuzz_head("POST /a HTTP/1.1\r\nHost: x\r\n" + std::string(bytes) + "\r\n\r\n");
  return 0;
}
