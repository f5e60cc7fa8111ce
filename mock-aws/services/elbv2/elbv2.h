// mock-aws/services/elbv2: application load balancers of one account and region.
//
// Load balancers, listeners, rules and target groups with the meaning that ELBv2 gives them, and
// the health of targets as a state machine (target_health.h). Probes are decided here and carried
// out elsewhere: due_probes() says what to ask, probe_result() hears the answer. What a load
// balancer serves is compiled to a route table by mock-aws/dataplane/load_balancer.h.
//
//   operations -> rules, groups -> compile -> gateway     due_probes -> prober -> probe_result
//
// Only Type application with HTTP listeners: the gateway that stands in speaks plain HTTP.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mock-aws/protocol/service.h"
#include "mock-aws/services/elbv2/rule_syntax.h"
#include "mock-aws/services/elbv2/target_health.h"
#include "mock-aws/services/ports.h"

namespace coalmine::mock {

inline constexpr std::size_t kMaxElbNameLength = 32;
inline constexpr std::size_t kMaxListeners = 50;          ///< per load balancer
inline constexpr std::size_t kMaxRules = 100;             ///< per load balancer, without defaults
inline constexpr std::size_t kMaxTargetsPerGroup = 1000;  ///< ELBv2 quota
inline constexpr std::size_t kMaxElbTags = 50;
inline constexpr std::size_t kElbPage = 400;
/// A load balancer is "provisioning" so long, and a target "registering".
inline constexpr Duration kProvisioningTime = std::chrono::seconds{2};
inline constexpr Duration kRegistrationTime = std::chrono::seconds{1};

using Attributes = std::map<std::string, std::string>;

struct LoadBalancer {
  std::string arn, name, scheme, ip_address_type;
  std::string address;  ///< its own loopback address; also its DNSName
  std::string vpc;
  std::vector<std::string> subnets, security_groups;
  TimePoint created{}, active_at{};
  Attributes attributes, tags;
};

struct ElbListener {
  std::string arn, load_balancer;
  int port = 80;
  std::string protocol = "HTTP";
  Attributes attributes, tags;
};

struct ElbRule {
  std::string arn, listener;
  std::optional<int> priority;  ///< none: the default rule
  Json conditions, actions;     ///< normalised
  Attributes tags;
};

struct ElbTarget {
  TargetProgress progress;
  TimePoint next_probe{};
  std::uint64_t probe = 0;            ///< the one that is out; 0: none
  TimePoint draining_until = kNever;  ///< kNever: not draining
};

struct TargetGroup {
  std::string arn, name, protocol, protocol_version, vpc, target_type;
  int port = 80;
  HealthCheck check;
  Attributes attributes, tags;
  std::map<std::pair<std::string, int>, ElbTarget> targets;  ///< by address and port
  bool in_use = false;                                       ///< a listener or rule refers to it
};

struct LoadBalancerView {
  std::string name, arn, address;
  std::vector<int> ports;  ///< of its listeners, rising
};

/// A health check that is to be made now.
struct Probe {
  std::uint64_t id = 0;
  std::string address;
  int port = 0;
  std::string path, protocol;
  Duration timeout{};
  std::string matcher;
};

/// What Elbv2 asks of the world around it; what is not given has a plain stand-in.
struct ElbSurroundings {
  /// A loopback address of its own for a load balancer; nullopt: none is left.
  std::function<std::optional<std::string>()> acquire_address;
  std::function<void(const std::string&)> release_address;
  struct Subnet {
    std::string vpc, zone;
  };
  /// nullopt: no such subnet. Without this function every subnet exists.
  std::function<std::optional<Subnet>(const std::string&)> subnet;
};

class Elbv2 : public Service, public TargetGroups {
 public:
  Elbv2(Scope scope, Random random, EventSink& events, ElbSurroundings around = {});

  std::string_view name() const override { return "elbv2"; }
  bool implements(std::string_view operation) const override;
  Reply call(std::string_view operation, const Json& input, CallContext& context) override;
  void tick(TimePoint now) override;
  TimePoint next_wakeup() const override;
  Json state() const override;

  bool exists(const std::string& target_group_arn) const override;
  bool has_load_balancer(const std::string& target_group_arn) const override;
  void register_target(const std::string& target_group_arn, const std::string& ip, int port,
                       TimePoint now) override;
  void deregister_target(const std::string& target_group_arn, const std::string& ip, int port,
                         TimePoint now) override;
  TargetHealth health(const std::string& target_group_arn, const std::string& ip,
                      int port) const override;

  /// Probes whose time has come; each is handed out once. One that is not answered until the next
  /// is due counts as nothing.
  std::vector<Probe> due_probes(TimePoint now);
  /// The answer to a probe; an unknown or outdated id is ignored.
  void probe_result(std::uint64_t id, const ProbeOutcome& outcome, TimePoint now);
  /// When the next probe is due; kNever: no target needs one.
  TimePoint next_probe() const;
  /// For worlds without sockets: tick() makes the probes itself with this.
  using Prober = std::function<ProbeOutcome(const Probe&, TimePoint now)>;
  void set_prober(Prober prober) { prober_ = std::move(prober); }

  std::vector<LoadBalancerView> load_balancers() const;
  /// Rises whenever what a load balancer serves may have changed.
  std::uint64_t revision() const { return revision_; }

  // For the compiler of route tables.
  const LoadBalancer* find_load_balancer(const std::string& name_or_arn) const;
  std::vector<const ElbListener*> listeners_of(const std::string& load_balancer_arn) const;
  /// Ascending priority, the default rule last.
  std::vector<const ElbRule*> rules_of(const std::string& listener_arn) const;
  const TargetGroup* find_group(const std::string& arn) const;

 private:
  static const OperationTable<Elbv2>& operations();

  // load_balancers.cpp
  Reply create_load_balancer(const Json& input, CallContext& context);
  Reply describe_load_balancers(const Json& input, CallContext& context);
  Reply delete_load_balancer(const Json& input, CallContext& context);
  Reply set_security_groups(const Json& input, CallContext& context);
  Reply set_subnets(const Json& input, CallContext& context);
  Reply set_ip_address_type(const Json& input, CallContext& context);
  Json describe(const LoadBalancer& balancer, TimePoint now) const;
  Json zones(const LoadBalancer& balancer) const;
  tl::expected<std::vector<std::string>, AwsError> read_subnets(const Json& input) const;

  // listeners.cpp
  Reply create_listener(const Json& input, CallContext& context);
  Reply describe_listeners(const Json& input, CallContext& context);
  Reply modify_listener(const Json& input, CallContext& context);
  Reply delete_listener(const Json& input, CallContext& context);
  Json describe(const ElbListener& listener) const;
  void erase_listener(const std::string& arn);

  // rules.cpp
  Reply create_rule(const Json& input, CallContext& context);
  Reply describe_rules(const Json& input, CallContext& context);
  Reply modify_rule(const Json& input, CallContext& context);
  Reply delete_rule(const Json& input, CallContext& context);
  Reply set_rule_priorities(const Json& input, CallContext& context);
  Reply read_actions(const Json& actions, const std::string& load_balancer) const;
  std::string balancer_of_group(const std::string& group) const;
  static Json describe(const ElbRule& rule);

  // target_groups.cpp
  Reply create_target_group(const Json& input, CallContext& context);
  Reply describe_target_groups(const Json& input, CallContext& context);
  Reply modify_target_group(const Json& input, CallContext& context);
  Reply delete_target_group(const Json& input, CallContext& context);
  Reply register_targets(const Json& input, CallContext& context);
  Reply deregister_targets(const Json& input, CallContext& context);
  Reply describe_target_health(const Json& input, CallContext& context);
  Json describe(const TargetGroup& group) const;
  TargetHealth health_of(const TargetGroup& group, const std::string& ip, int port) const;

  // attributes.cpp
  Reply describe_load_balancer_attributes(const Json& input, CallContext& context);
  Reply modify_load_balancer_attributes(const Json& input, CallContext& context);
  Reply describe_target_group_attributes(const Json& input, CallContext& context);
  Reply modify_target_group_attributes(const Json& input, CallContext& context);
  Reply describe_listener_attributes(const Json& input, CallContext& context);
  Reply modify_listener_attributes(const Json& input, CallContext& context);
  Reply add_tags(const Json& input, CallContext& context);
  Reply remove_tags(const Json& input, CallContext& context);
  Reply describe_tags(const Json& input, CallContext& context);
  tl::expected<Attributes*, AwsError> tags_of(const std::string& arn);

  void changed(TimePoint now, std::string_view what, Json fields);
  void update_use(TimePoint now);
  std::string balancer_tail(const std::string& load_balancer_arn) const;

  Scope scope_;
  Random random_;
  EventSink& events_;
  ElbSurroundings around_;
  Prober prober_;
  std::map<std::string, LoadBalancer> balancers_;  // each by ARN
  std::map<std::string, ElbListener> listeners_;
  std::map<std::string, ElbRule> rules_;
  std::map<std::string, TargetGroup> groups_;
  std::uint64_t revision_ = 1;
  std::uint64_t last_probe_ = 0;
  std::uint32_t last_address_ = 0;
};

Attributes default_load_balancer_attributes();
Attributes default_target_group_attributes();
std::vector<std::string> string_list(const Json& input, std::string_view member);
/// The Tags of an input; an error for a key that comes twice.
tl::expected<Attributes, AwsError> read_tags(const Json& input);
/// Length, characters and hyphens of a load balancer's or target group's name.
std::optional<AwsError> check_elb_name(std::string_view what, const std::string& name);

}  // namespace coalmine::mock
