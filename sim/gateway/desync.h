// How an Application Load Balancer judges request heads: desync mitigation modes.
//
// Pure. Requests are classified as aws/http-desync-guardian does (docs/README.md, tests/*.yaml).
// What is let through although it is not compliant is tidied first: rewritten so that it can be
// read in one way only. A target therefore never sees a field that can be taken for a framing
// field, a bad byte, or two lengths; AWS's own load balancer passes some of these on.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "sim/gateway/http1.h"
#include "sim/traffic/route_table.h"

namespace coalmine::gateway {

enum class DesyncClass : std::uint8_t { Compliant, Acceptable, Ambiguous, Severe };

struct DesyncVerdict {
  DesyncClass tier = DesyncClass::Compliant;
  const char* reason = "Compliant";  ///< as AWS's access logs name it
};

/// What is to be done with a request in a mode (ALB user guide, desync mitigation mode).
enum class DesyncAction : std::uint8_t {
  Pass,
  Isolate,  ///< pass, then close both connections
  Refuse,   ///< 400
};
DesyncAction desync_action(DesyncClass tier, traffic::DesyncMode mode);

/// The verdict on a head that parse_request() would refuse, or that may_deviate(). `head` is a
/// whole one, with its empty line, all lines ending in CRLF. `tidied` becomes the same request as a
/// head that can be read in one way only, or empty if there is none; parse_request() may refuse it
/// still. HTTP/1.0 with a Transfer-Encoding is tidied as HTTP/1.1.
DesyncVerdict judge_head(std::string_view head, std::string& tidied);

/// Whether a head that parse_request() took may be less than compliant. Cheap.
bool may_deviate(std::string_view head, const RequestHead& parsed);

/// Whether a load balancer that drops invalid header fields keeps this one: letters, digits and
/// hyphens (ALB user guide, routing.http.drop_invalid_header_fields.enabled).
bool is_valid_alb_field(std::string_view name);

}  // namespace coalmine::gateway
