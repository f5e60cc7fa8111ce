#include "sim/rollout/aws/target.h"

#include <charconv>

#include "sim/rollout/analysis/analysis.h"

namespace coalmine::rollout {
namespace {

using namespace std::chrono_literals;

bool is_cloudwatch_period(Duration period) {
  for (const Duration fine : {Duration{1s}, Duration{5s}, Duration{10s}, Duration{30s}}) {
    if (period == fine) return true;
  }
  return period >= 1min && period % Duration{1min} == Duration{};
}

std::optional<std::string> variable(const aws::Environment& environment, const char* name) {
  auto value = environment.variable(name);
  if (value && value->empty()) return std::nullopt;
  return value;
}

struct Access {
  aws::Credentials credentials;
  aws::ClientOptions options;
};

Result<Access> find_access(const TargetSettings& settings, const aws::Environment& environment) {
  Access access;
  access.options.endpoint = endpoint_of(settings, environment);
  access.options.region = settings.region;
  if (settings.aws) {
    if (access.options.region.empty()) {
      TRY(access.options.region, aws::find_region(environment));
    }
    TRY(access.credentials, aws::find_credentials(environment));
    return access;
  }
  if (access.options.region.empty()) {
    access.options.region = aws::find_region(environment).value_or("us-east-1");
  }
  // The mock takes any key; a key of twelve digits is the account. Keys in the environment say
  // which account is meant; the shared files' keys are real ones and stay at home.
  access.credentials = {variable(environment, "AWS_ACCESS_KEY_ID").value_or("000000000000"),
                        variable(environment, "AWS_SECRET_ACCESS_KEY").value_or("coalmine"),
                        variable(environment, "AWS_SESSION_TOKEN").value_or("")};
  return access;
}

}  // namespace

std::string endpoint_of(const TargetSettings& settings, const aws::Environment& environment) {
  std::string endpoint = settings.endpoint.empty()
                             ? variable(environment, "AWS_ENDPOINT_URL").value_or("")
                             : settings.endpoint;
  while (endpoint.ends_with('/')) endpoint.pop_back();
  if (endpoint.empty() && !settings.aws) endpoint = kLocalEndpoint;
  return endpoint;
}

std::map<std::string, std::string> to_map(const TargetSettings& s) {
  return {{"target", s.aws ? "aws" : "local"},
          {"traffic", s.traffic},
          {"endpoint", s.endpoint},
          {"region", s.region},
          {"mesh", s.mesh},
          {"router", s.router},
          {"route", s.route},
          {"gateway", s.gateway},
          {"load-balancer", s.load_balancer},
          {"listener-port", fmt::format("{}", s.listener_port)},
          {"rule", s.rule_arn},
          {"stable-target", s.stable_target},
          {"canary-target", s.canary_target},
          {"cluster", s.cluster},
          {"stable-service", s.stable_service},
          {"canary-service", s.canary_service},
          {"baseline-target", s.baseline_target},
          {"baseline-service", s.baseline_service},
          {"metric-period", coalmine::to_string(s.metric_period)},
          {"metric-delay", coalmine::to_string(s.metric_delay)}};
}

TargetSettings settings_from_map(const std::map<std::string, std::string>& map) {
  TargetSettings s;
  const auto text = [&map](const char* key, std::string& value) {
    if (const auto at = map.find(key); at != map.end()) value = at->second;
  };
  const auto duration = [&map](const char* key, Duration& value) {
    if (const auto at = map.find(key); at != map.end()) {
      value = parse_duration(at->second).value_or(value);
    }
  };
  std::string target, port;
  text("target", target);
  s.aws = target == "aws";
  text("traffic", s.traffic);
  text("endpoint", s.endpoint);
  text("region", s.region);
  text("mesh", s.mesh);
  text("router", s.router);
  text("route", s.route);
  text("gateway", s.gateway);
  text("load-balancer", s.load_balancer);
  text("listener-port", port);
  std::from_chars(port.data(), port.data() + port.size(), s.listener_port);
  text("rule", s.rule_arn);
  text("stable-target", s.stable_target);
  text("canary-target", s.canary_target);
  text("cluster", s.cluster);
  text("stable-service", s.stable_service);
  text("canary-service", s.canary_service);
  text("baseline-target", s.baseline_target);
  text("baseline-service", s.baseline_service);
  duration("metric-period", s.metric_period);
  duration("metric-delay", s.metric_delay);
  return s;
}

Result<std::unique_ptr<RolloutTarget>> RolloutTarget::open(const TargetSettings& settings,
                                                           const Plan& plan, Clock& clock,
                                                           const aws::Environment& environment) {
  if (settings.traffic == "ecs") {
    return error("--traffic ecs (ECS-native deployments) is not available yet; use appmesh or alb");
  }
  if (settings.traffic != "appmesh" && settings.traffic != "alb") {
    return error("--traffic is \"{}\", allowed are appmesh, alb", settings.traffic);
  }
  // ALB's metrics are minutes everywhere; the mock's App Mesh metrics are kept by the second.
  const bool minutes = settings.aws || settings.traffic == "alb";
  CloudWatchOptions timing{minutes ? Duration{60s} : Duration{10s},
                           settings.aws ? Duration{60s} : Duration{5s}, segments_of(plan.analyses)};
  if (settings.metric_period > Duration{}) timing.period = settings.metric_period;
  if (settings.metric_delay > Duration{}) timing.delay = settings.metric_delay;
  if (!is_cloudwatch_period(timing.period)) {
    return error("the metric period is {}; CloudWatch has 1s, 5s, 10s, 30s and whole minutes",
                 coalmine::to_string(timing.period));
  }
  TRY(Access access, find_access(settings, environment));

  std::unique_ptr<RolloutTarget> target(new RolloutTarget);
  target->settings_ = settings;
  target->settings_.endpoint = access.options.endpoint;
  target->settings_.region = access.options.region;
  target->description_ =
      access.options.endpoint.empty()
          ? fmt::format("AWS, region {}", access.options.region)
          : fmt::format("{}, region {}", access.options.endpoint, access.options.region);
  target->transport_ = aws::http_transport();
  target->client_ = std::make_unique<aws::Client>(
      *target->transport_, access.credentials, access.options, clock,
      // Jitter must differ between processes, and need not be repeatable.
      Random(static_cast<std::uint64_t>(clock.now().time_since_epoch().count())));
  const auto otherwise = [](const std::string& given, const std::string& instead) {
    return given.empty() ? instead : given;
  };
  VersionNames names{plan.stable, plan.canary, settings.stable_target, settings.canary_target,
                     {},          {}};
  if (has_step<Experiment>(plan)) {
    names.baseline = baseline_of(plan);
    names.baseline_target =
        otherwise(settings.baseline_target, settings.stable_target + "-baseline");
  }
  CloudWatchMetrics::Metrics metrics;
  if (settings.traffic == "alb") {
    auto alb = std::make_unique<AlbTraffic>(*target->client_,
                                            AlbPlace{settings.load_balancer, settings.listener_port,
                                                     settings.rule_arn, stickiness_of(plan)},
                                            names);
    metrics = [traffic = alb.get()]() -> Result<PlanMetrics> {
      TRY(const AlbArns arns, traffic->arns());
      return alb_metrics(arns);
    };
    target->traffic_ = std::move(alb);
  } else {
    target->traffic_ = std::make_unique<AppMeshTraffic>(
        *target->client_, aws::RouteName{settings.mesh, settings.router, settings.route}, names);
    metrics = [settings, names]() -> Result<PlanMetrics> {
      return mesh_metrics(settings.mesh, settings.gateway, names);
    };
  }
  EcsServices services{settings.cluster, plan.stable, plan.canary,
                       otherwise(settings.stable_service, settings.stable_target),
                       otherwise(settings.canary_service, settings.canary_target)};
  services.baseline = names.baseline;
  services.baseline_service =
      otherwise(settings.baseline_service, services.stable_service + "-baseline");
  target->tasks_ = std::make_unique<EcsTasks>(*target->client_, std::move(services));
  target->metrics_ =
      std::make_unique<CloudWatchMetrics>(*target->client_, std::move(metrics), timing);
  return target;
}

}  // namespace coalmine::rollout
