#pragma once

#include <optional>
#include <string>

#include "mock-aws/protocol/api_call.h"
#include "mock-aws/protocol/service.h"
#include "sim/core/json.h"
#include "sim/core/time.h"
#include "sim/net/http.h"

namespace coalmine::mock {

/// What the server stands before: the cloud, and in tests something small. The server calls it
/// from one thread at a time and with rising `now`.
class Backend {
 public:
  virtual ~Backend() = default;
  /// Answers one AWS request. Never fails: errors are answers.
  virtual net::Response handle(const net::Request& request, TimePoint now) = 0;
  /// The operation asked for, without carrying it out; nullopt when there is none.
  virtual std::optional<ApiCall> identify(const net::Request& request) const = 0;
  /// `refusal` as an answer in the protocol that the request speaks.
  virtual net::Response refuse(const net::Request& request, const AwsError& refusal) = 0;

  virtual void tick(TimePoint now) = 0;
  virtual TimePoint next_wakeup() const = 0;
  /// Empties all state.
  virtual void reset(TimePoint now) = 0;
  virtual Json state() const = 0;
  /// A manual clock was moved; told after the ticks that this took.
  virtual void clock_moved(TimePoint) {}
};

}  // namespace coalmine::mock
