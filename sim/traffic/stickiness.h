#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "sim/traffic/request.h"
#include "sim/traffic/route_table.h"

namespace coalmine::traffic {

// Target group stickiness of an Application Load Balancer: the cookie AWSALBTG names the group that
// a user met, and is read before the weights; AWSALBTGCORS is the same for requests of other sites
// (ALB user guide, "Target group stickiness"). It is set when the weights have chosen, so that the
// duration counts from then; whether AWS counts it from the user's last request is not documented.
// AWS encrypts the value; here it is a hash and a time, as good for those who only hand it back.

inline constexpr std::string_view kStickyCookie = "AWSALBTG", kStickyCookieCors = "AWSALBTGCORS";

/// The cookie's value for a user of `target` until `expires_s` (seconds since 1970).
std::string sticky_value(std::string_view target, std::int64_t expires_s);

/// Index of the target that the request's cookie names, whatever its weight; nullopt: there is no
/// such cookie, it has expired, or nobody has the name any more.
std::optional<std::size_t> sticky_target(std::span<const HeaderView> headers,
                                         std::span<const Target> targets, std::int64_t now_s);

/// Appends the two Set-Cookie fields; `expires` as in Date.
void append_sticky_cookies(std::string& out, std::string_view value, std::string_view expires);

}  // namespace coalmine::traffic
