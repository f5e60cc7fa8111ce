// sim/aws: the AWS client of a rollout: credentials, SigV4, transports and the typed calls.
//
// The rollout controller's adapters call AWS through here, in all three worlds: the Transport
// decides whether the bytes go to the in-process mock core, to a mock over HTTP, or to AWS over
// HTTPS. Signing is the same code that mock-aws verifies with.
//
//   typed call -> Client::call -> sign -> Transport -> (retry with jitter) -> Json
//
// Below: sim/net, sim/core. Above: sim/rollout's adapters, mock-aws/protocol (sigv4.h only).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "sim/core/clock.h"
#include "sim/core/json.h"
#include "sim/core/random.h"
#include "sim/core/result.h"
#include "sim/net/http.h"

namespace coalmine::aws {

struct Credentials {
  std::string access_key;
  std::string secret_key;
  std::string session_token;  ///< empty: none
};

/// From AWS_ACCESS_KEY_ID / AWS_SECRET_ACCESS_KEY / AWS_SESSION_TOKEN, else from the profile
/// (AWS_PROFILE, default "default") of the shared files (AWS_SHARED_CREDENTIALS_FILE,
/// AWS_CONFIG_FILE, ~/.aws). The error lists every place that was tried.
Result<Credentials> find_credentials();
/// AWS_REGION, AWS_DEFAULT_REGION, then the profile's region.
Result<std::string> find_region();

/// What the look-ups above see of the process: variables and files. A test brings its own.
struct Environment {
  std::function<std::optional<std::string>(const std::string& name)> variable;
  std::function<std::optional<std::string>(const std::string& path)> read_file;
};
Environment process_environment();
Result<Credentials> find_credentials(const Environment& environment);
Result<std::string> find_region(const Environment& environment);

/// Carries one signed request to an endpoint and brings the answer back.
class Transport {
 public:
  virtual ~Transport() = default;
  /// `origin` is scheme://host[:port] of the endpoint the request was signed for.
  virtual Result<net::Response> send(const std::string& origin, const net::Request& request) = 0;
};

/// Over sockets, keep-alive, http and https.
std::unique_ptr<Transport> http_transport(net::ClientOptions options = {});
/// Straight into a function: the in-process mock core. The clock is the function's business.
std::unique_ptr<Transport> in_process_transport(net::Handler handler);

/// An error AWS answered: code as on the wire ("ThrottlingException"), status and message.
struct ServiceError {
  std::string code;
  std::string message;
  int status = 0;
};

struct ClientOptions {
  std::string region = "us-east-1";
  /// One endpoint for every service (the mock's); empty: AWS's regional https endpoints.
  std::string endpoint;
  int max_attempts = 5;  ///< AWS "standard" retry mode: 3
  Duration max_backoff = std::chrono::seconds{20};
};

/// Speaks rest-json, aws-json and query to the services a rollout needs (appmesh, elbv2,
/// cloudwatch, ecs, sts). Retries throttling, 5xx and transport faults with full-jitter
/// exponential back-off, slept on `clock`, so virtual time costs nothing.
class Client {
 public:
  Client(Transport& transport, Credentials credentials, ClientOptions options, Clock& clock,
         Random random);
  /// `service` is the model's name: "appmesh". Output members by model name.
  /// Errors: kind Failed with "CODE: message" when AWS refused; Environment when unreachable.
  /// last_error() holds the parts of the former.
  Result<Json> call(std::string_view service, std::string_view operation, const Json& input);
  const std::optional<ServiceError>& last_error() const { return last_error_; }

 private:
  Transport& transport_;
  Credentials credentials_;
  ClientOptions options_;
  Clock& clock_;
  Random random_;
  std::optional<ServiceError> last_error_;
  Duration skew_{};  ///< AWS's clock minus ours, learnt from a refusal
};

/// Whether AWS asks for less: such calls are worth repeating.
bool is_throttling(const ServiceError& error);
/// Whether the signature's time was refused: our clock is off.
bool is_clock_skew(const ServiceError& error);
/// "Tue, 24 Nov 2026 20:40:28 GMT" (RFC 9110); nullopt if it is not such a date.
std::optional<TimePoint> parse_http_date(std::string_view text);

}  // namespace coalmine::aws
