// sim/aws, SigV4: AWS Signature Version 4, for signing (client) and for checking (mock).
//
// Pure: the time of signing is an argument. A library of its own (sim_sigv4), so that the
// mock's protocol layer needs nothing of the client.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/aws/client.h"
#include "sim/core/time.h"
#include "sim/net/http.h"

namespace coalmine::aws {

// AWS Signature Version 4 (AWS General Reference, "Signature Version 4 signing process").

struct SigningScope {
  std::string region;
  std::string service;  ///< signing name: "appmesh", "ecs", "monitoring", "elasticloadbalancing"
};

/// Adds X-Amz-Date, X-Amz-Security-Token (if any) and Authorization to `request`. Signs Host
/// (which must be set), Content-Type and every X-Amz-* header. The path is normalised and
/// encoded twice, as every service but S3 wants it.
void sign(net::Request& request, const Credentials& credentials, const SigningScope& scope,
          TimePoint now);

/// What an Authorization header claims.
struct Authorization {
  std::string access_key;
  std::string date;  ///< YYYYMMDD
  std::string region;
  std::string service;
  std::vector<std::string> signed_headers;
  std::string signature;
};
/// Parses "AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…" (spaces optional).
Result<Authorization> parse_authorization(std::string_view header);

/// The claim of a presigned URL: X-Amz-Credential, X-Amz-SignedHeaders and X-Amz-Signature in
/// the query of `target`. Error when one is missing or malformed.
Result<Authorization> parse_presigned(std::string_view target);

/// When the request says it was signed: X-Amz-Date, from the header or the query of a presigned
/// URL. nullopt: absent or not YYYYMMDDTHHMMSSZ.
std::optional<TimePoint> signing_time(const net::Request& request);

/// The signature that `request` should carry for the claim, from the request's own headers.
/// X-Amz-Content-SHA256 counts only where it says that the body is not signed
/// (UNSIGNED-PAYLOAD, STREAMING-…); otherwise the body itself is hashed.
std::string expected_signature(const net::Request& request, const Authorization& claim,
                               std::string_view secret_key);

/// Lower-case hex.
std::string sha256_hex(std::string_view data);

}  // namespace coalmine::aws
