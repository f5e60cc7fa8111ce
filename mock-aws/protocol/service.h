// mock-aws/protocol: AWS's wire protocols, driven by the service models.
//
// One Endpoint takes the bytes of any AWS request: finds service and operation, checks the
// input against the model (required, ranges, patterns, enums, unions), calls the service, and
// writes the answer in the protocol the client spoke. A service below mock-aws/services adds
// only meaning; an operation without meaning answers an honest not-implemented error.
//
//   bytes -> protocol -> model check -> Service::call -> state -> response bytes
//
// Below: sim/aws (SigV4), sim/net (HTTP values), sim/core. Above: mock-aws/services.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

#include "sim/core/json.h"
#include "sim/core/random.h"
#include "sim/core/time.h"

namespace coalmine::mock {

/// The account and region that a service object is for.
struct Scope {
  std::string account = "000000000000";
  std::string region = "us-east-1";
  auto operator<=>(const Scope&) const = default;
};

/// An error as AWS answers it. `code` is the shape name of the model ("NotFoundException",
/// "LoadBalancerNotFoundException"); wire code and HTTP status come from the model. For an
/// error that the operation does not declare, `status` says it (0: 400).
struct AwsError {
  std::string code;
  std::string message;
  int status = 0;
  std::map<std::string, std::string> members;  ///< further members of the error shape
};

/// The output members by their model names: timestamps as numbers (epoch seconds, or epoch
/// milliseconds where the model has plain longs, as in Logs), blobs as base64 text.
using Reply = tl::expected<Json, AwsError>;

/// The fmt-formatted message makes call sites read as AWS's wording.
template <typename... Args>
tl::unexpected<AwsError> aws_error(std::string code, fmt::format_string<Args...> text,
                                   Args&&... args) {
  return tl::unexpected<AwsError>(
      AwsError{std::move(code), fmt::format(text, std::forward<Args>(args)...), 0, {}});
}

/// What every call knows. Time and randomness are arguments.
struct CallContext {
  TimePoint now;
  std::string account;  ///< 12 digits
  std::string region;
  std::string access_key;  ///< empty when the request was not signed
  Random& random;
};

/// One AWS service of one account and region. Input has passed the model's checks and holds
/// the members by model name; JSON nulls are gone; timestamps are epoch seconds.
class Service {
 public:
  virtual ~Service() = default;
  /// The model's name below mock-aws/models: "appmesh", "ecs", "elbv2", ...
  virtual std::string_view name() const = 0;
  /// Whether the operation has meaning here; the others answer not implemented.
  virtual bool implements(std::string_view operation) const = 0;
  virtual Reply call(std::string_view operation, const Json& input, CallContext& context) = 0;

  /// Moves everything that time moves; called with rising `now`.
  virtual void tick(TimePoint now) { static_cast<void>(now); }
  /// When tick() next has something to do; kNever if nothing is pending.
  virtual TimePoint next_wakeup() const { return kNever; }
  /// The whole state, for GET /_coalmine/state.
  virtual Json state() const = 0;
};

/// A table from operation name to member function, for the common shape of a service:
///   static const OperationTable<AppMesh> kOperations = {{"CreateMesh", &AppMesh::create_mesh}};
template <typename S>
using OperationTable = std::map<std::string_view, Reply (S::*)(const Json&, CallContext&)>;

}  // namespace coalmine::mock
