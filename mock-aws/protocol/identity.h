#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "mock-aws/protocol/service.h"
#include "sim/aws/sigv4.h"
#include "sim/net/http.h"

namespace coalmine::mock {

/// Who calls, by the request's own word.
struct Caller {
  Scope scope;               ///< of the key and the credential scope; defaults when unsigned
  std::string access_key;    ///< empty: not signed
  std::string signing_name;  ///< "elasticloadbalancing"; empty: not signed
  std::optional<aws::Authorization> claim;
  bool presigned = false;
  std::string problem;  ///< why there is no claim although the request carries credentials
};

/// Reads the Authorization header, else the credentials of a presigned URL.
Caller identify_caller(const net::Request& request);

/// The secret key behind an access key; nullopt: there is no such key.
using SecretOf = std::function<std::optional<std::string>(std::string_view access_key)>;

/// How far a request's time may be off (AWS: 15 minutes for all services here).
inline constexpr Duration kMaxClockSkew = std::chrono::minutes{15};

enum class AuthFailure { Unsigned, Incomplete, UnknownKey, BadSignature };
struct AuthProblem {
  AuthFailure failure;
  std::string message;
};
/// Whether the request is signed by the secret of its key, and lately; nullopt: it is.
std::optional<AuthProblem> check_signature(const net::Request& request, const Caller& caller,
                                           const SecretOf& secret_of, TimePoint now);

}  // namespace coalmine::mock
