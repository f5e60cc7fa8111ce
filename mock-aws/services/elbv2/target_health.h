#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "mock-aws/services/ports.h"
#include "sim/core/time.h"

namespace coalmine::mock {

/// A target group's health check. Defaults: facts of CreateTargetGroup for HTTP.
struct HealthCheck {
  bool enabled = true;
  std::string protocol = "HTTP";
  std::string port = "traffic-port";
  std::string path = "/";
  std::string matcher = "200";  ///< "200", "200,202", "200-299"
  Duration interval = std::chrono::seconds{30};
  Duration timeout = std::chrono::seconds{5};
  int healthy_threshold = 5;
  int unhealthy_threshold = 2;
  bool operator==(const HealthCheck&) const = default;
};

/// What became of a probe.
struct ProbeOutcome {
  enum class Kind { Answered, TimedOut, Failed };  ///< Failed: refused, reset or not HTTP
  Kind kind = Kind::Answered;
  int status = 200;  ///< Answered over HTTP
};

/// How a target stands with its health check.
struct TargetProgress {
  TargetHealth health;
  int passes = 0;    ///< in a row
  int failures = 0;  ///< in a row
};

/// A target that has just been registered.
TargetProgress registered();
/// The target after one more probe. One pass is enough after registration; then it takes
/// healthy_threshold passes or unhealthy_threshold failures in a row to change the state.
TargetProgress after_probe(const HealthCheck& check, TargetProgress progress,
                           const ProbeOutcome& outcome);

/// Whether the matcher covers the status.
bool matches(std::string_view matcher, int status);
/// Whether it is a list of codes and ranges within 200 to 499, as ALB demands.
bool valid_matcher(std::string_view matcher);

std::string_view to_string(TargetState state);  ///< "healthy", "unused", ...

}  // namespace coalmine::mock
