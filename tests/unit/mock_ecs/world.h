// A little world for the ECS core: fakes for its neighbours, simulated tasks, virtual time.
#pragma once

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "mock-aws/services/ecs/ecs.h"
#include "mock-aws/tasks/simulated.h"

namespace coalmine::mock::test {

using namespace std::chrono_literals;

struct FakeEvents : EventSink {
  void event(TimePoint, std::string_view name, Json fields) override {
    log.emplace_back(std::string(name), std::move(fields));
  }
  std::vector<std::pair<std::string, Json>> log;
};

struct FakeRegistry : InstanceRegistry {
  bool register_instance(const std::string& service, const std::string& id,
                         const std::map<std::string, std::string>& attributes, TimePoint) override {
    instances[service][id] = attributes;
    ++version;
    return true;
  }
  bool deregister_instance(const std::string& service, const std::string& id,
                           TimePoint now) override {
    deregistered[id] = now;
    ++version;
    return instances[service].erase(id) > 0;
  }
  bool has_service(const std::string& service) const override { return known.count(service) > 0; }
  std::optional<std::vector<DiscoveredInstance>> discover(
      const std::string&, const std::string&,
      const std::map<std::string, std::string>&) const override {
    return std::nullopt;
  }
  std::optional<std::vector<DiscoveredInstance>> resolve(const std::string&) const override {
    return std::nullopt;
  }
  std::uint64_t revision() const override { return version; }

  std::set<std::string> known;
  std::map<std::string, std::map<std::string, std::map<std::string, std::string>>> instances;
  std::map<std::string, TimePoint> deregistered;
  std::uint64_t version = 0;
};

/// Targets are healthy `healthy_after` their registration unless their port is in `failing`.
struct FakeTargetGroups : TargetGroups {
  explicit FakeTargetGroups(const TimePoint& clock) : now(clock) {}
  bool exists(const std::string& arn) const override { return groups.count(arn) > 0; }
  bool has_load_balancer(const std::string& arn) const override { return !unused.count(arn); }
  void register_target(const std::string& arn, const std::string& ip, int port,
                       TimePoint t) override {
    registered[key(arn, ip, port)] = t;
  }
  void deregister_target(const std::string& arn, const std::string& ip, int port,
                         TimePoint t) override {
    registered.erase(key(arn, ip, port));
    draining[key(arn, ip, port)] = t + delay;
  }
  TargetHealth health(const std::string& arn, const std::string& ip, int port) const override {
    const auto k = key(arn, ip, port);
    if (const auto it = draining.find(k); it != draining.end() && now < it->second) {
      return {TargetState::Draining, "Target.DeregistrationInProgress", ""};
    }
    const auto it = registered.find(k);
    if (it == registered.end()) return {TargetState::Unused, "Target.NotRegistered", ""};
    if (now < it->second + healthy_after) {
      return {TargetState::Initial, "Elb.InitialHealthChecking", ""};
    }
    if (!failing) return {TargetState::Healthy, "", ""};
    return {TargetState::Unhealthy, "Target.ResponseCodeMismatch",
            "Health checks failed with these codes: [500]"};
  }
  static std::string key(const std::string& arn, const std::string& ip, int port) {
    return fmt::format("{} {}:{}", arn, ip, port);
  }

  const TimePoint& now;
  std::set<std::string> groups, unused;
  std::map<std::string, TimePoint> registered, draining;
  Duration delay = 30s, healthy_after = 5s;
  bool failing = false;
};

struct FakeLogs : LogSink {
  bool append(const std::string& group, const std::string& stream,
              const std::vector<std::string>& lines, bool, TimePoint) override {
    auto& log = streams[group + " " + stream];
    log.insert(log.end(), lines.begin(), lines.end());
    return true;
  }
  std::map<std::string, std::vector<std::string>> streams;
};

struct FakeImages : ImageStore {
  std::optional<std::string> resolve(const std::string& image) const override {
    const auto it = digests.find(image);
    return it == digests.end() ? std::nullopt : std::optional(it->second);
  }
  std::map<std::string, std::string> digests;
};

struct FakeAlarms : Alarms {
  std::optional<AlarmState> alarm_state(const std::string& name) const override {
    const auto it = states.find(name);
    return it == states.end() ? std::nullopt : std::optional(it->second);
  }
  std::map<std::string, AlarmState> states;
};

struct World {
  explicit World(EcsOptions options = {})
      : ecs(EcsDependencies{{"111122223333", "eu-west-1"},
                            Random(7),
                            events,
                            registry,
                            groups,
                            logs,
                            images,
                            alarms,
                            addresses,
                            options}) {}

  /// The reply, or {"__type": code, "message": text}.
  Json call(std::string_view operation, Json input) {
    CallContext context{now, "111122223333", "eu-west-1", "", random};
    const Reply reply = ecs.call(operation, input, context);
    settle();
    if (reply) return *reply;
    return {{"__type", reply.error().code}, {"message", reply.error().message}};
  }

  void settle() { pump(ecs, driver, now); }

  /// Steps from event to event, as the virtual world does.
  void run_for(Duration duration) {
    const TimePoint end = now + duration;
    for (;;) {
      settle();
      const TimePoint next = std::min(ecs.next_wakeup(), driver.next_event());
      if (next > end) break;
      now = std::max(now, next);
    }
    now = end;
    settle();
  }

  /// Until `done` holds, at most `limit`; whether it did.
  bool run_until(const std::function<bool()>& done, Duration limit = 1h) {
    const TimePoint end = now + limit;
    for (;;) {
      settle();
      if (done()) return true;
      const TimePoint next = std::min(ecs.next_wakeup(), driver.next_event());
      if (next > end) return false;
      now = std::max(now, next);
    }
  }

  std::string define(const std::string& family, const std::string& image,
                     Json extra = Json::object()) {
    Json container = {
        {"name", "app"}, {"image", image}, {"portMappings", {{{"containerPort", 9000}}}}};
    container.update(extra);
    const Json reply = call("RegisterTaskDefinition", {{"family", family},
                                                       {"networkMode", "awsvpc"},
                                                       {"requiresCompatibilities", {"FARGATE"}},
                                                       {"cpu", "256"},
                                                       {"memory", "512"},
                                                       {"containerDefinitions", {container}}});
    if (!reply.contains("taskDefinition")) return dump_json(reply);
    return reply["taskDefinition"]["taskDefinitionArn"];
  }

  static Json network() { return {{"awsvpcConfiguration", {{"subnets", {"subnet-1"}}}}}; }

  Json create_service(const std::string& name, const std::string& family, int desired,
                      Json extra = Json::object()) {
    Json input = {{"serviceName", name},
                  {"taskDefinition", family},
                  {"desiredCount", desired},
                  {"launchType", "FARGATE"},
                  {"networkConfiguration", network()}};
    input.update(extra);
    return call("CreateService", input);
  }

  Json service(const std::string& name) {
    return call("DescribeServices", {{"services", {name}}})["services"][0];
  }

  /// What the waiter services-stable waits for.
  bool stable(const std::string& name) {
    const Json s = service(name);
    return s["deployments"].size() == 1 && s["runningCount"] == s["desiredCount"];
  }
  bool steady(const std::string& name) {
    const Json s = service(name);
    return stable(name) && s["deployments"][0]["rolloutState"] == "COMPLETED";
  }

  std::vector<TaskView> tasks_of(const std::string& service_name) {
    std::vector<TaskView> found;
    for (TaskView& view : ecs.tasks()) {
      if (view.service == service_name) found.push_back(std::move(view));
    }
    return found;
  }
  int running(const std::string& service_name, int revision) {
    int count = 0;
    for (const TaskView& view : tasks_of(service_name)) {
      count += view.revision == revision && view.last_status == "RUNNING" ? 1 : 0;
    }
    return count;
  }

  /// Service events, oldest first, with ids replaced by letters and times from `start`.
  std::string events_text(const std::string& name) {
    std::string text;
    std::map<std::string, std::string> names;
    const Json list = service(name)["events"];
    for (auto it = list.rbegin(); it != list.rend(); ++it) {
      std::string message = (*it)["message"];
      for (const auto& [marker, prefix] :
           std::vector<std::pair<std::string, std::string>>{{"(task ", "T"}, {"ecs-svc/", "D"}}) {
        for (std::size_t at = 0; (at = message.find(marker, at)) != std::string::npos;) {
          at += marker.size();
          std::size_t end = at;
          while (end < message.size() && std::isalnum(static_cast<unsigned char>(message[end]))) {
            ++end;
          }
          const std::string id = message.substr(at, end - at);
          auto [entry, added] = names.emplace(id, "");
          if (added) entry->second = prefix + std::to_string(++counts[prefix]);
          message.replace(at, end - at, entry->second);
        }
      }
      const Duration since = from_epoch_seconds((*it)["createdAt"]) - start;
      text += fmt::format("{:>10}  {}\n", to_stopwatch(since), message);
    }
    return text;
  }
  std::map<std::string, int> counts;

  TimePoint start = kVirtualEpoch;
  TimePoint now = kVirtualEpoch;
  Random random{11};
  FakeEvents events;
  FakeRegistry registry;
  FakeTargetGroups groups{now};
  FakeLogs logs;
  FakeImages images;
  FakeAlarms alarms;
  AddressPool addresses;
  SimulatedDriver driver;
  Ecs ecs;
};

}  // namespace coalmine::mock::test
