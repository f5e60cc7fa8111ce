// mock-aws/services: what the services offer one another, beside their AWS operations.
//
// ECS registers its tasks with Cloud Map and ELBv2, reads images from ECR, writes logs and
// obeys alarms. It sees only these interfaces; mock-aws/services/cloud wires them. All pure:
// `now` is an argument, nothing blocks.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/core/json.h"
#include "sim/core/time.h"

namespace coalmine::mock {

/// One thing that happened, for GET /_coalmine/events, journals and the dashboard:
/// {"time":"2026-…Z","event":"route.updated", ...fields}. Names are `noun.verb-ed`.
class EventSink {
 public:
  virtual ~EventSink() = default;
  virtual void event(TimePoint now, std::string_view name, Json fields) = 0;
};

/// Cloud Map, seen from ECS and the data plane.
struct DiscoveredInstance {
  std::string id;
  std::string ipv4;
  std::optional<int> port;  ///< AWS_INSTANCE_PORT
  std::map<std::string, std::string> attributes;
  bool healthy = true;  ///< false only when a custom health check says UNHEALTHY
};
class InstanceRegistry {
 public:
  virtual ~InstanceRegistry() = default;
  /// `service` is an ARN or id. False: no such service.
  virtual bool register_instance(const std::string& service, const std::string& instance_id,
                                 const std::map<std::string, std::string>& attributes,
                                 TimePoint now) = 0;
  virtual bool deregister_instance(const std::string& service, const std::string& instance_id,
                                   TimePoint now) = 0;
  virtual bool has_service(const std::string& service) const = 0;
  /// All instances of a service that carry all these attributes; nullopt: no such name.
  virtual std::optional<std::vector<DiscoveredInstance>> discover(
      const std::string& namespace_name, const std::string& service_name,
      const std::map<std::string, std::string>& attributes) const = 0;
  /// A DNS name "service.namespace" (the namespace may hold dots).
  virtual std::optional<std::vector<DiscoveredInstance>> resolve(
      const std::string& hostname) const = 0;
  /// The DNS names that resolve() knows, sorted: for messages that name what would fit.
  virtual std::vector<std::string> hostnames() const { return {}; }
  /// Rises whenever an answer of discover() may have changed.
  virtual std::uint64_t revision() const = 0;
};

/// ELBv2 target groups, seen from ECS.
enum class TargetState { Initial, Healthy, Unhealthy, Unused, Draining, Unknown };
struct TargetHealth {
  TargetState state = TargetState::Unknown;
  std::string reason;       ///< "Target.ResponseCodeMismatch"
  std::string description;  ///< "Health checks failed with these codes: [500]"
};
class TargetGroups {
 public:
  virtual ~TargetGroups() = default;
  virtual bool exists(const std::string& target_group_arn) const = 0;
  /// Whether a listener or rule refers to the group, as CreateService demands.
  virtual bool has_load_balancer(const std::string& target_group_arn) const = 0;
  virtual void register_target(const std::string& target_group_arn, const std::string& ip, int port,
                               TimePoint now) = 0;
  /// Begins draining; the target is gone after the group's deregistration delay.
  virtual void deregister_target(const std::string& target_group_arn, const std::string& ip,
                                 int port, TimePoint now) = 0;
  virtual TargetHealth health(const std::string& target_group_arn, const std::string& ip,
                              int port) const = 0;
};

/// CloudWatch Logs, written by containers with the awslogs driver.
class LogSink {
 public:
  virtual ~LogSink() = default;
  /// Creates group (if `create_group`) and stream when missing. False: the group is missing.
  virtual bool append(const std::string& group, const std::string& stream,
                      const std::vector<std::string>& lines, bool create_group, TimePoint now) = 0;
};

/// ECR, asked before a container starts.
class ImageStore {
 public:
  virtual ~ImageStore() = default;
  /// The digest behind "host/repo[:tag]" or "host/repo@digest" (any host, matched by repository
  /// path); nullopt when the mock holds no such image.
  virtual std::optional<std::string> resolve(const std::string& image) const = 0;
};

/// CloudWatch alarms, polled by deployments.
enum class AlarmState { Ok, Alarm, InsufficientData };
class Alarms {
 public:
  virtual ~Alarms() = default;
  virtual std::optional<AlarmState> alarm_state(const std::string& name) const = 0;
};

/// CloudWatch metrics, written by the data plane and the virtual world.
struct MetricDatum {
  std::string metric;                             ///< "HTTPCode_Target_5XX_Count"
  std::map<std::string, std::string> dimensions;  ///< exact set: no roll-up
  TimePoint time;
  std::string unit;            ///< "Count", "Seconds", "Milliseconds"
  std::vector<double> values;  ///< with `counts`, same length: value i was seen counts[i] times
  std::vector<double> counts;
  bool high_resolution = false;  ///< kept by the second, else by the minute
};
class MetricSink {
 public:
  virtual ~MetricSink() = default;
  /// Any namespace, "AWS/…" too: this is the platform itself writing.
  virtual void put_metrics(const std::string& metric_namespace,
                           const std::vector<MetricDatum>& data, TimePoint now) = 0;
};

}  // namespace coalmine::mock
