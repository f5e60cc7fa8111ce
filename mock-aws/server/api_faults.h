#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "mock-aws/protocol/service.h"
#include "mock-aws/server/backend.h"
#include "sim/core/json.h"
#include "sim/core/random.h"
#include "sim/core/result.h"

namespace coalmine::mock {

inline constexpr std::size_t kMaxApiFaults = 100;
inline constexpr Duration kMaxApiDelay = std::chrono::minutes{1};

/// What goes wrong with AWS calls, to test how a pipeline takes it.
struct ApiFault {
  enum class Action {
    Throttle,  ///< the service's own throttling error
    Error,     ///< `code` with `status`
    Delay,     ///< answers, but late
    Drop,      ///< closes the connection without an answer
  };
  std::string service;    ///< empty: any
  std::string operation;  ///< empty: any
  std::uint64_t nth = 0;  ///< only the nth matching call; 0: every one
  double probability = 1;
  std::uint64_t times = 0;  ///< strikes at most so often; 0: without end
  Action action = Action::Throttle;
  std::string code;
  std::string message;
  int status = 0;
  Duration delay{};
  bool operator==(const ApiFault&) const = default;
};

/// What becomes of one call: after `delay` the connection drops, `error` is answered, or (neither)
/// the call goes on.
struct ApiFaultOutcome {
  Duration delay{};
  bool drop = false;
  std::optional<AwsError> error;
};

/// The faults in force with their counters. Pure: chance is an argument.
class ApiFaults {
 public:
  Status add(const std::vector<ApiFault>& faults);
  void clear() { entries_.clear(); }
  bool empty() const { return entries_.empty(); }
  /// Faults are asked in the order they were added; delays add up, the first error or drop wins.
  ApiFaultOutcome decide(const ApiCall& call, Random& random);
  /// A list as POSTed, each with "calls" (matched) and "struck".
  Json to_json() const;

 private:
  struct Entry {
    ApiFault fault;
    std::uint64_t calls = 0;
    std::uint64_t struck = 0;
  };
  std::vector<Entry> entries_;
};

/// One fault, a list, or {"faults":[...]}:
///   {"service":"appmesh","operation":"UpdateRoute","action":"throttle","nth":2}
///   {"action":"error","code":"ServerException","status":500,"message":"...","probability":"10%"}
///   {"service":"ecs","action":"delay","delay":"2s","times":3}   {"action":"drop"}
Result<std::vector<ApiFault>> parse_api_faults(const Json& value);

/// The service's own words for "too many requests".
AwsError throttling_error(const std::string& service);

}  // namespace coalmine::mock
