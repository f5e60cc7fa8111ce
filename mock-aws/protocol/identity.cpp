#include "mock-aws/protocol/identity.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <charconv>

#include "mock-aws/protocol/account.h"

namespace coalmine::mock {
namespace {

constexpr std::string_view kMismatch =
    "The request signature we calculated does not match the signature you provided. Check your "
    "AWS Secret Access Key and signing method. Consult the service documentation for details.";

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

/// "20261124T193004Z"
std::string basic(TimePoint t) {
  std::string text = to_iso8601(t);
  text.erase(std::remove_if(text.begin(), text.end(), [](char c) { return c == '-' || c == ':'; }),
             text.end());
  return text;
}

/// How long after its signing a request counts: a presigned URL says so itself.
Duration lifetime(const net::Request& request, const Caller& caller) {
  if (!caller.presigned) return kMaxClockSkew;
  for (const auto& [name, value] : net::parse_query(request.query())) {
    int seconds = 0;
    if (name != "X-Amz-Expires") continue;
    std::from_chars(value.data(), value.data() + value.size(), seconds);
    return std::chrono::seconds{std::clamp(seconds, 0, 604800)};
  }
  return kMaxClockSkew;
}

std::optional<AuthProblem> check_time(const net::Request& request, const Caller& caller,
                                      TimePoint now) {
  const auto signed_at = aws::signing_time(request);
  if (!signed_at) {
    return AuthProblem{AuthFailure::Incomplete,
                       "Date must be in ISO-8601 'basic format' in X-Amz-Date."};
  }
  if (basic(*signed_at).substr(0, 8) != caller.claim->date) {
    return AuthProblem{
        AuthFailure::BadSignature,
        fmt::format("Date in Credential scope does not match YYYYMMDD from ISO-8601 "
                    "version of date from HTTP: '{}' != '{}', from '{}'.",
                    caller.claim->date, basic(*signed_at).substr(0, 8), basic(*signed_at))};
  }
  const Duration allowed = lifetime(request, caller);
  const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(allowed).count();
  if (now - *signed_at > allowed) {
    return AuthProblem{AuthFailure::BadSignature,
                       fmt::format("Signature expired: {} is now earlier than {} ({} - {} min.)",
                                   basic(*signed_at), basic(now - allowed), basic(now), minutes)};
  }
  if (*signed_at - now > kMaxClockSkew) {
    return AuthProblem{
        AuthFailure::BadSignature,
        fmt::format("Signature not yet current: {} is still later than {} ({} + 15 min.)",
                    basic(*signed_at), basic(now + kMaxClockSkew), basic(now))};
  }
  return std::nullopt;
}

}  // namespace

Caller identify_caller(const net::Request& request) {
  Caller caller;
  Result<aws::Authorization> claim = error("not signed");
  if (const std::string* header = request.headers.find("Authorization")) {
    claim = aws::parse_authorization(*header);
    if (!claim) caller.problem = claim.error().message;
  } else if (request.query().find("X-Amz-Credential=") != std::string_view::npos) {
    claim = aws::parse_presigned(request.target);
    caller.presigned = true;
    if (!claim) caller.problem = claim.error().message;
  }
  if (!claim) return caller;
  caller.access_key = claim->access_key;
  caller.signing_name = claim->service;
  if (!claim->region.empty()) caller.scope.region = claim->region;
  caller.scope.account = account_of_key(claim->access_key);
  caller.claim = *std::move(claim);
  return caller;
}

std::optional<AuthProblem> check_signature(const net::Request& request, const Caller& caller,
                                           const SecretOf& secret_of, TimePoint now) {
  if (!caller.claim) {
    if (caller.problem.empty()) {
      return AuthProblem{AuthFailure::Unsigned, "Missing Authentication Token"};
    }
    return AuthProblem{AuthFailure::Incomplete, caller.problem};
  }
  const auto secret = secret_of(caller.access_key);
  if (!secret) {
    return AuthProblem{AuthFailure::UnknownKey,
                       "The security token included in the request is invalid."};
  }
  const auto& names = caller.claim->signed_headers;
  if (std::find(names.begin(), names.end(), "host") == names.end()) {
    return AuthProblem{AuthFailure::BadSignature,
                       "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."};
  }
  if (auto problem = check_time(request, caller, now)) return problem;
  const std::string wanted = aws::expected_signature(request, *caller.claim, *secret);
  if (!equal_in_constant_time(wanted, caller.claim->signature)) {
    return AuthProblem{AuthFailure::BadSignature, std::string(kMismatch)};
  }
  return std::nullopt;
}

}  // namespace coalmine::mock
