#include "sim/traffic/target_json.h"

#include <charconv>

#include "sim/traffic/json_reader.h"

namespace coalmine::traffic {
namespace {

constexpr std::uint64_t kMaxCount = 1'000'000;

constexpr std::pair<std::string_view, HealthCheck::Protocol> kProtocols[] = {
    {"http", HealthCheck::Protocol::Http}, {"tcp", HealthCheck::Protocol::Tcp}};

// --- reading ---------------------------------------------------------------------------------

Result<Instance> read_instance(const Json& json, const std::string& path) {
  Instance out;
  if (json.is_string()) {
    const std::string text = json.get<std::string>();
    const std::size_t colon = text.rfind(':');
    const std::string_view port =
        colon == std::string::npos ? std::string_view{} : std::string_view(text).substr(colon + 1);
    const auto [end, failure] = std::from_chars(port.data(), port.data() + port.size(), out.port);
    if (port.empty() || failure != std::errc{} || end != port.data() + port.size()) {
      return error("{}: \"{}\" must be ADDRESS:PORT", path, text);
    }
    out.id = text;
    out.address = text.substr(0, colon);
    return out;
  }
  TRY(Reader reader, Reader::object(json, path));
  TRY_STATUS(reader.require("address"));
  TRY_STATUS(reader.require("port"));
  TRY_STATUS(reader.read("id", out.id));
  TRY_STATUS(reader.read("address", out.address));
  TRY_STATUS(reader.read("port", out.port, 1, 65535));
  TRY_STATUS(reader.read("healthy", out.healthy));
  TRY_STATUS(reader.done());
  return out;
}

Result<SuccessRatePolicy> read_success_rate(const Json& json, const std::string& path) {
  TRY(Reader reader, Reader::object(json, path));
  SuccessRatePolicy out;
  TRY_STATUS(reader.read("minimum_hosts", out.minimum_hosts, 0, kMaxCount));
  TRY_STATUS(reader.read("request_volume", out.request_volume, 0, kMaxCount));
  TRY_STATUS(reader.read("stdev_factor", out.stdev_factor, 0.0, 1000.0));
  TRY_STATUS(reader.done());
  return out;
}

Result<OutlierPolicy> read_outlier(const Json& json, const std::string& path) {
  TRY(Reader reader, Reader::object(json, path));
  OutlierPolicy out;
  TRY_STATUS(reader.read("consecutive_errors", out.consecutive_errors, 0, kMaxCount));
  TRY_STATUS(
      reader.read("consecutive_gateway_errors", out.consecutive_gateway_errors, 0, kMaxCount));
  if (const Json* given = reader.take("success_rate")) {
    TRY(out.success_rate, read_success_rate(*given, reader.path_of("success_rate")));
  }
  TRY_STATUS(reader.read("interval", out.interval));
  TRY_STATUS(reader.read("base_ejection", out.base_ejection));
  TRY_STATUS(reader.read("max_ejection", out.max_ejection));
  TRY_STATUS(reader.read("max_ejection_percent", out.max_ejection_percent, 0, 100));
  TRY_STATUS(reader.read("always_eject_one", out.always_eject_one));
  TRY_STATUS(reader.done());
  return out;
}

Result<PoolLimits> read_pool(const Json& json, const std::string& path) {
  TRY(Reader reader, Reader::object(json, path));
  PoolLimits out;
  TRY_STATUS(reader.read("max_connections", out.max_connections, 1, PoolLimits::kNone));
  TRY_STATUS(reader.read("max_pending", out.max_pending, 0, PoolLimits::kNone));
  TRY_STATUS(reader.read("max_retries", out.max_retries, 0, PoolLimits::kNone));
  TRY_STATUS(reader.done());
  return out;
}

Result<HealthCheck> read_health_check(const Json& json, const std::string& path) {
  TRY(Reader reader, Reader::object(json, path));
  HealthCheck out;
  TRY_STATUS(reader.read("protocol", out.protocol, kProtocols));
  TRY_STATUS(reader.read("path", out.path));
  TRY_STATUS(reader.read("port", out.port, 1, 65535));
  TRY_STATUS(reader.read("interval", out.interval));
  TRY_STATUS(reader.read("no_traffic_interval", out.no_traffic_interval));
  TRY_STATUS(reader.read("timeout", out.timeout));
  TRY_STATUS(reader.read("healthy_threshold", out.healthy_threshold, 1, kMaxCount));
  TRY_STATUS(reader.read("unhealthy_threshold", out.unhealthy_threshold, 1, kMaxCount));
  TRY_STATUS(reader.done());
  return out;
}

// --- writing: what equals its default is left out --------------------------------------------

Json write(const OutlierPolicy& policy) {
  const OutlierPolicy plain;
  Json out = {{"consecutive_errors", policy.consecutive_errors},
              {"interval", to_string(policy.interval)},
              {"base_ejection", to_string(policy.base_ejection)},
              {"max_ejection_percent", policy.max_ejection_percent}};
  if (policy.consecutive_gateway_errors != 0) {
    out["consecutive_gateway_errors"] = policy.consecutive_gateway_errors;
  }
  if (const auto& rate = policy.success_rate) {
    out["success_rate"] = {{"minimum_hosts", rate->minimum_hosts},
                           {"request_volume", rate->request_volume},
                           {"stdev_factor", rate->stdev_factor}};
  }
  if (policy.max_ejection != plain.max_ejection) {
    out["max_ejection"] = to_string(policy.max_ejection);
  }
  if (policy.always_eject_one != plain.always_eject_one) out["always_eject_one"] = false;
  return out;
}

Json write(const PoolLimits& pool) {
  const PoolLimits plain;
  Json out = Json::object();
  if (pool.max_connections != plain.max_connections) out["max_connections"] = pool.max_connections;
  if (pool.max_pending != plain.max_pending) out["max_pending"] = pool.max_pending;
  if (pool.max_retries != plain.max_retries) out["max_retries"] = pool.max_retries;
  return out;
}

Json write(const HealthCheck& check) {
  Json out = {{"protocol", name_of(check.protocol, kProtocols)},
              {"interval", to_string(check.interval)},
              {"timeout", to_string(check.timeout)},
              {"healthy_threshold", check.healthy_threshold},
              {"unhealthy_threshold", check.unhealthy_threshold}};
  if (check.protocol == HealthCheck::Protocol::Http || check.path != "/") out["path"] = check.path;
  if (check.port != 0) out["port"] = check.port;
  if (check.no_traffic_interval != Duration{}) {
    out["no_traffic_interval"] = to_string(check.no_traffic_interval);
  }
  return out;
}

}  // namespace

Result<Timeouts> read_timeouts(const Json& json, const std::string& path) {
  TRY(Reader reader, Reader::object(json, path));
  Timeouts out;
  TRY_STATUS(reader.read("request", out.request));
  TRY_STATUS(reader.read("idle", out.idle));
  TRY_STATUS(reader.done());
  return out;
}

Json timeouts_to_json(const Timeouts& timeouts) {
  return {{"request", to_string(timeouts.request)}, {"idle", to_string(timeouts.idle)}};
}

Result<Target> target_from_json(const Json& json, const std::string& path) {
  TRY(Reader reader, Reader::object(json, path));
  Target out;
  TRY_STATUS(reader.require("name"));
  TRY_STATUS(reader.read("name", out.name));
  TRY_STATUS(reader.read("weight", out.weight, 0, 4294967295));
  TRY_STATUS(reader.each("instances", [&](const Json& item, const std::string& at) -> Status {
    TRY(Instance instance, read_instance(item, at));
    out.instances.push_back(std::move(instance));
    return {};
  }));
  TRY_STATUS(reader.read("unavailable", out.unavailable));
  if (const Json* given = reader.take("timeouts")) {
    TRY(out.timeouts, read_timeouts(*given, reader.path_of("timeouts")));
  }
  if (const Json* given = reader.take("outlier")) {
    TRY(out.outlier, read_outlier(*given, reader.path_of("outlier")));
  }
  if (const Json* given = reader.take("pool")) {
    TRY(out.pool, read_pool(*given, reader.path_of("pool")));
  }
  if (const Json* given = reader.take("health_check")) {
    TRY(out.health_check, read_health_check(*given, reader.path_of("health_check")));
  }
  TRY_STATUS(reader.read("panic_percent", out.panic_percent, 0, 100));
  TRY_STATUS(reader.done());
  return out;
}

Json target_to_json(const Target& target) {
  Json out = {{"name", target.name}, {"weight", target.weight}};
  Json instances = Json::array();
  for (const Instance& i : target.instances) {
    const std::string address = fmt::format("{}:{}", i.address, i.port);
    if (i.healthy && i.id == address) {
      instances.push_back(address);
      continue;
    }
    Json item = {{"id", i.id}, {"address", i.address}, {"port", i.port}};
    if (!i.healthy) item["healthy"] = false;
    instances.push_back(std::move(item));
  }
  out["instances"] = std::move(instances);
  if (!target.unavailable.empty()) out["unavailable"] = target.unavailable;
  if (target.timeouts) out["timeouts"] = timeouts_to_json(*target.timeouts);
  if (target.outlier) out["outlier"] = write(*target.outlier);
  if (target.pool != PoolLimits{}) out["pool"] = write(target.pool);
  if (target.health_check) out["health_check"] = write(*target.health_check);
  if (target.panic_percent != kDefaultPanicPercent) out["panic_percent"] = target.panic_percent;
  return out;
}

}  // namespace coalmine::traffic
