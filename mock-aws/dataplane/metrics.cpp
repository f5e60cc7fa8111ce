#include "mock-aws/dataplane/metrics.h"

#include <nlohmann/json.hpp>

#include "mock-aws/services/elbv2/elbv2.h"
#include "sim/aws/metric_names.h"

namespace coalmine::mock {
namespace {

namespace names = aws::metrics;

/// "AAA/BBB" -> both parts; nullopt when one is missing.
std::optional<std::pair<std::string, std::string>> halves(const std::string& text) {
  const auto slash = text.find('/');
  if (slash == 0 || slash == std::string::npos || slash + 1 == text.size()) return std::nullopt;
  return std::pair{text.substr(0, slash), text.substr(slash + 1)};
}

/// "5xx" or, where `statuses` are wanted, "503".
bool is_code(const std::string& code, bool statuses) {
  if (code.size() != 3 || code[0] < '1' || code[0] > '5') return false;
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  return code.substr(1) == "xx" || (statuses && is_digit(code[1]) && is_digit(code[2]));
}

Status add_codes(const Json& target, std::string_view member, const std::string& place,
                 CodeClasses& into, std::map<int, double>* statuses) {
  const Json* codes = find(target, member);
  if (codes == nullptr) return {};
  if (!codes->is_object()) return error("{}.{} must be an object", place, member);
  for (const auto& [code, count] : codes->items()) {
    if (!is_code(code, statuses != nullptr) || !count.is_number()) {
      return error("{}.{} has \"{}\": {}; allowed are \"1xx\" to \"5xx\" with a number", place,
                   member, code, dump_json(count));
    }
    into[static_cast<std::size_t>(code[0] - '0')] += count.get<double>();
    if (code[1] != 'x') (*statuses)[std::stoi(code)] += count.get<double>();
  }
  return {};
}

Status add_latency(const Json& target, const std::string& place, TargetCounts& into) {
  const Json* latency = find(target, "latency_us");
  const Json* buckets = latency == nullptr ? nullptr : find(*latency, "buckets");
  if (buckets == nullptr) return {};
  if (!buckets->is_array()) return error("{}.latency_us.buckets must be an array", place);
  for (const Json& bucket : *buckets) {
    if (!bucket.is_array() || bucket.size() != 2 || !bucket[0].is_number() ||
        !bucket[1].is_number()) {
      return error("{}.latency_us.buckets has {}; allowed are [VALUE_US, COUNT] pairs", place,
                   dump_json(bucket));
    }
    into.latency_us[bucket[0].get<double>()] += bucket[1].get<double>();
  }
  return {};
}

Status read_source(const Json& json, GatewayReport& report) {
  const Json* source = find(json, "source");
  if (source == nullptr) return error("source is missing");
  const auto scope = halves(get_string(*source, "scope"));
  if (!scope) {
    return error("source.scope is \"{}\", must be ACCOUNT/REGION", get_string(*source, "scope"));
  }
  report.scope = {scope->first, scope->second};
  report.load_balancer = get_string(*source, "load-balancer");
  if (!report.load_balancer.empty()) return {};
  const auto gateway = halves(get_string(*source, "virtual-gateway"));
  if (!gateway) {
    return error("source needs \"virtual-gateway\": \"MESH/NAME\" or \"load-balancer\": \"NAME\"");
  }
  report.mesh = gateway->first;
  report.virtual_gateway = gateway->second;
  return {};
}

/// Collects data of one report.
struct Writer {
  TimePoint time;
  bool high_resolution;
  std::vector<MetricDatum> data;

  void count(std::string_view metric, names::Dimensions dimensions, double value) {
    if (value <= 0) return;
    data.push_back(
        {std::string(metric), std::move(dimensions), time, "Count", {value}, {1}, high_resolution});
  }
  void latency(std::string_view metric, names::Dimensions dimensions, const char* unit,
               double units_per_us, const std::map<double, double>& latency_us) {
    MetricDatum datum{std::string(metric), std::move(dimensions), time, unit, {}, {},
                      high_resolution};
    for (const auto& [value_us, count] : latency_us) {
      if (count <= 0) continue;
      datum.values.push_back(value_us * units_per_us);
      datum.counts.push_back(count);
    }
    if (!datum.values.empty()) data.push_back(std::move(datum));
  }
};

void add(TargetCounts& total, const TargetCounts& more) {
  total.requests += more.requests;
  for (std::size_t i = 1; i < total.codes.size(); ++i) {
    total.codes[i] += more.codes[i];
    total.local_codes[i] += more.local_codes[i];
  }
  for (const auto& [status, count] : more.local_statuses) total.local_statuses[status] += count;
  total.connect_failures += more.connect_failures;
  for (const auto& [value, count] : more.latency_us) total.latency_us[value] += count;
}

/// Name -> dimension value of every target group that the load balancer's rules forward to.
std::map<std::string, std::string> target_groups_of(const Elbv2& elb,
                                                    const LoadBalancer& balancer) {
  std::map<std::string, std::string> groups;
  const auto note = [&](const std::string& arn) {
    if (const TargetGroup* group = elb.find_group(arn)) {
      groups[group->name] = names::dimension_of_arn(group->arn);
    }
  };
  for (const ElbListener* listener : elb.listeners_of(balancer.arn)) {
    for (const ElbRule* rule : elb.rules_of(listener->arn)) {
      for (const Json& action : rule->actions) {
        note(get_string(action, "TargetGroupArn"));
        const Json* forward = find(action, "ForwardConfig");
        const Json* tuples = forward == nullptr ? nullptr : find(*forward, "TargetGroups");
        if (tuples == nullptr) continue;
        for (const Json& tuple : *tuples) note(get_string(tuple, "TargetGroupArn"));
      }
    }
  }
  return groups;
}

void write_target(Writer& writer, const TargetCounts& counts, const names::Dimensions& dimensions) {
  writer.count(names::kAlbRequests, dimensions, counts.requests);
  for (char c = '2'; c <= '5'; ++c) {
    writer.count(names::alb_target_code(c), dimensions,
                 counts.codes[static_cast<std::size_t>(c - '0')]);
  }
  writer.count(names::kAlbConnectionErrors, dimensions, counts.connect_failures);
  writer.latency(names::kAlbLatency, dimensions, "Seconds", 1e-6, counts.latency_us);
}

/// What the load balancer answered itself has no target group.
void write_own(Writer& writer, const TargetCounts& total, const names::Dimensions& dimensions) {
  for (char c = '3'; c <= '5'; ++c) {
    writer.count(names::alb_own_code(c), dimensions,
                 total.local_codes[static_cast<std::size_t>(c - '0')]);
  }
  for (const int status : names::kAlbOwnStatuses) {
    const auto count = total.local_statuses.find(status);
    if (count != total.local_statuses.end()) {
      writer.count(names::alb_own_status(status), dimensions, count->second);
    }
  }
}

}  // namespace

Result<GatewayReport> parse_gateway_report(const Json& json) {
  GatewayReport report;
  TRY_STATUS(read_source(json, report));
  const Json* time = find(json, "time");
  if (time == nullptr || !time->is_number()) return error("time must be epoch seconds");
  report.time = from_epoch_seconds(time->get<double>());
  const Json* targets = find(json, "targets");
  if (targets == nullptr || !targets->is_array()) return error("targets must be an array");
  std::size_t index = 0;
  for (const Json& target : *targets) {
    const std::string place = fmt::format("targets[{}]", index++);
    if (!target.is_object()) return error("{} must be an object", place);
    const std::string target_name = get_string(target, "target");
    TargetCounts counts;
    counts.requests = get_number(target, "requests");
    if (counts.requests < 0) return error("{}.requests is {}", place, counts.requests);
    counts.connect_failures = get_number(target, "connect_failures");
    TRY_STATUS(add_codes(target, "codes", place,
                         target_name.empty() ? counts.local_codes : counts.codes, nullptr));
    TRY_STATUS(add_codes(target, "local_codes", place, counts.local_codes, &counts.local_statuses));
    TRY_STATUS(add_latency(target, place, counts));
    add(report.targets[target_name], counts);
  }
  return report;
}

MetricBatch app_mesh_metrics(const GatewayReport& report) {
  Writer writer{report.time, true, {}};
  TargetCounts total;
  for (const auto& [node, counts] : report.targets) {
    add(total, counts);
    if (node.empty()) continue;
    const auto dimensions = [&report, &name = node](std::string_view code_class) {
      return names::mesh_dimensions(report.mesh, report.virtual_gateway, name, code_class);
    };
    writer.count(names::kMeshRequests, dimensions(""), counts.requests);
    for (char c = '1'; c <= '5'; ++c) {
      // Envoy counts what it answers for a cluster (no healthy upstream, a timeout) there too.
      const auto i = static_cast<std::size_t>(c - '0');
      writer.count(names::kMeshRequestsByClass, dimensions(std::string(1, c)),
                   counts.codes[i] + counts.local_codes[i]);
    }
    writer.latency(names::kMeshLatency, dimensions(""), "Milliseconds", 1e-3, counts.latency_us);
  }
  for (char c = '1'; c <= '5'; ++c) {
    const auto i = static_cast<std::size_t>(c - '0');
    writer.count(names::kMeshAnswersByClass,
                 names::mesh_dimensions(report.mesh, report.virtual_gateway, "", std::string(1, c)),
                 total.codes[i] + total.local_codes[i]);
  }
  return {std::string(names::kMeshNamespace), std::move(writer.data)};
}

MetricBatch load_balancer_metrics(const GatewayReport& report, const Elbv2& elb) {
  Writer writer{report.time, false, {}};
  const LoadBalancer* balancer = elb.find_load_balancer(report.load_balancer);
  if (balancer == nullptr) return {std::string(names::kAlbNamespace), {}};
  const std::string dimension = names::dimension_of_arn(balancer->arn);
  const auto groups = target_groups_of(elb, *balancer);
  TargetCounts total;
  for (const auto& [target, counts] : report.targets) {
    TargetCounts more = counts;
    // RequestCount holds only requests for which a target was picked.
    if (target.empty()) more.requests = 0;
    add(total, more);
    if (const auto group = groups.find(target); group != groups.end()) {
      write_target(writer, counts, names::alb_dimensions(dimension, group->second));
    }
  }
  write_target(writer, total, names::alb_dimensions(dimension));
  write_own(writer, total, names::alb_dimensions(dimension));
  return {std::string(names::kAlbNamespace), std::move(writer.data)};
}

MetricBatch segment_metrics(const GatewayReport& report, const Elbv2& elb) {
  Writer writer{report.time, true, {}};
  const auto write = [&](const TargetCounts& counts, const names::Dimensions& version) {
    for (const auto& [segment, part] : counts.segments) {
      const names::Dimensions dimensions = names::segment_dimensions(version, segment);
      writer.count(names::kSegmentRequests, dimensions, part.requests);
      writer.count(names::kSegmentErrors, dimensions, part.errors);
    }
  };
  if (report.load_balancer.empty()) {
    for (const auto& [node, counts] : report.targets) {
      write(counts, names::mesh_dimensions(report.mesh, report.virtual_gateway, node));
    }
  } else if (const auto* balancer = elb.find_load_balancer(report.load_balancer)) {
    const std::string dimension = names::dimension_of_arn(balancer->arn);
    const auto groups = target_groups_of(elb, *balancer);
    for (const auto& [target, counts] : report.targets) {
      const auto group = groups.find(target);
      if (group != groups.end()) write(counts, names::alb_dimensions(dimension, group->second));
    }
  }
  return {std::string(names::kSegmentNamespace), std::move(writer.data)};
}

}  // namespace coalmine::mock
