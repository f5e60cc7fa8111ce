#include "mock-aws/server/api_faults.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "sim/core/units.h"

namespace coalmine::mock {
namespace {

using Action = ApiFault::Action;

constexpr std::array<const char*, 4> kActions{"throttle", "error", "delay", "drop"};
constexpr double kMaxCount = 1e9;

Result<std::string> read_name(const Json& value, const std::string& key) {
  if (!value.is_string()) return error("{} must be text, not {}", key, dump_json(value));
  const auto& text = value.get_ref<const std::string&>();
  return text == "*" ? "" : text;
}

Result<std::uint64_t> read_count(const Json& value, const std::string& key, double low,
                                 double high) {
  const double number = value.is_number() ? value.get<double>() : low - 1;
  if (!(number >= low && number <= high) ||
      number != static_cast<double>(static_cast<std::uint64_t>(number))) {
    return error("{} is {}, allowed is a whole number {} to {}", key, dump_json(value), low, high);
  }
  return static_cast<std::uint64_t>(number);
}

/// 0.1 or "10%".
Result<double> read_probability(const Json& value) {
  double p = value.is_number() ? value.get<double>() : -1;
  if (value.is_string()) {
    TRY(const Percent percent, parse_percent(value.get_ref<const std::string&>()));
    p = percent.share();
  }
  if (!(p >= 0 && p <= 1)) {
    return error("probability is {}, allowed is 0 to 1 or \"0%\" to \"100%\"", dump_json(value));
  }
  return p;
}

Result<Duration> read_delay(const Json& value) {
  if (!value.is_string()) return error("delay is {}; write \"2s\"", dump_json(value));
  TRY(const Duration delay, parse_duration(value.get_ref<const std::string&>()));
  if (delay > kMaxApiDelay) {
    return error("delay is {}, allowed is at most {}", dump_json(value),
                 coalmine::to_string(kMaxApiDelay));
  }
  return delay;
}

Status read_setting(const std::string& key, const Json& value, ApiFault& fault) {
  if (key == "service") {
    TRY(fault.service, read_name(value, key));
  } else if (key == "operation") {
    TRY(fault.operation, read_name(value, key));
  } else if (key == "code") {
    TRY(fault.code, read_name(value, key));
  } else if (key == "message") {
    TRY(fault.message, read_name(value, key));
  } else if (key == "nth") {
    TRY(fault.nth, read_count(value, key, 1, kMaxCount));
  } else if (key == "times") {
    TRY(fault.times, read_count(value, key, 1, kMaxCount));
  } else if (key == "status") {
    TRY(const std::uint64_t status, read_count(value, key, 400, 599));
    fault.status = static_cast<int>(status);
  } else if (key == "probability") {
    TRY(fault.probability, read_probability(value));
  } else if (key == "delay") {
    TRY(fault.delay, read_delay(value));
  } else {
    return error(
        "a fault has no \"{}\"; allowed are service, operation, nth, probability, times, action, "
        "code, status, message, delay",
        key);
  }
  return {};
}

Result<ApiFault> read_fault(const Json& value) {
  if (!value.is_object()) return error("a fault must be an object, not {}", dump_json(value));
  const std::string action = get_string(value, "action");
  const auto* found = std::find(kActions.begin(), kActions.end(), action);
  if (found == kActions.end()) {
    return error("action is \"{}\", allowed are throttle, error, delay, drop", action);
  }
  ApiFault fault;
  fault.action = static_cast<Action>(found - kActions.begin());
  for (const auto& [key, setting] : value.items()) {
    if (key != "action") TRY_STATUS(read_setting(key, setting, fault));
  }
  if (fault.action == Action::Error && fault.code.empty()) return error("error needs \"code\"");
  if (fault.action == Action::Delay && fault.delay <= Duration::zero()) {
    return error("delay needs \"delay\", as \"2s\"");
  }
  return fault;
}

bool matches(const ApiFault& fault, const ApiCall& call) {
  return (fault.service.empty() || fault.service == call.service) &&
         (fault.operation.empty() || fault.operation == call.operation);
}

AwsError error_of(const ApiFault& fault, const ApiCall& call) {
  if (fault.action == Action::Throttle) return throttling_error(call.service);
  std::string message =
      fault.message.empty() ? "An error that was asked for by a fault." : fault.message;
  return {fault.code, std::move(message), fault.status, {}};
}

}  // namespace

AwsError throttling_error(const std::string& service) {
  if (service == "appmesh") return {"TooManyRequestsException", "Rate exceeded", 429, {}};
  if (service == "ec2") return {"RequestLimitExceeded", "Request limit exceeded.", 503, {}};
  if (service == "servicediscovery" || service == "cloudmap") {
    return {"RequestLimitExceeded", "Rate exceeded", 400, {}};
  }
  if (service == "elbv2" || service == "cloudwatch" || service == "iam" || service == "sts") {
    return {"Throttling", "Rate exceeded", 400, {}};
  }
  return {"ThrottlingException", "Rate exceeded", 400, {}};
}

Status ApiFaults::add(const std::vector<ApiFault>& faults) {
  if (entries_.size() + faults.size() > kMaxApiFaults) {
    return error("{} faults are too many, allowed are {}", entries_.size() + faults.size(),
                 kMaxApiFaults);
  }
  for (const ApiFault& fault : faults) entries_.push_back({fault, 0, 0});
  return {};
}

ApiFaultOutcome ApiFaults::decide(const ApiCall& call, Random& random) {
  ApiFaultOutcome outcome;
  bool settled = false;
  for (Entry& entry : entries_) {
    const ApiFault& fault = entry.fault;
    if (!matches(fault, call)) continue;
    ++entry.calls;  // "the second call" is the client's second, whoever answered the first
    if (settled) continue;
    if (fault.nth != 0 && entry.calls != fault.nth) continue;
    if (fault.times != 0 && entry.struck >= fault.times) continue;
    if (fault.probability < 1 && !random.bernoulli(fault.probability)) continue;
    ++entry.struck;
    outcome.delay = std::min(outcome.delay + fault.delay, kMaxApiDelay);
    if (fault.action == Action::Delay) continue;
    outcome.drop = fault.action == Action::Drop;
    if (!outcome.drop) outcome.error = error_of(fault, call);
    settled = true;
  }
  return outcome;
}

Json ApiFaults::to_json() const {
  Json list = Json::array();
  for (const Entry& entry : entries_) {
    const ApiFault& fault = entry.fault;
    Json value = {{"action", kActions[static_cast<std::size_t>(fault.action)]},
                  {"calls", entry.calls},
                  {"struck", entry.struck}};
    if (!fault.service.empty()) value["service"] = fault.service;
    if (!fault.operation.empty()) value["operation"] = fault.operation;
    if (fault.nth != 0) value["nth"] = fault.nth;
    if (fault.times != 0) value["times"] = fault.times;
    if (fault.probability != 1) value["probability"] = fault.probability;
    if (!fault.code.empty()) value["code"] = fault.code;
    if (!fault.message.empty()) value["message"] = fault.message;
    if (fault.status != 0) value["status"] = fault.status;
    if (fault.delay != Duration::zero()) value["delay"] = coalmine::to_string(fault.delay);
    list.push_back(std::move(value));
  }
  return list;
}

Result<std::vector<ApiFault>> parse_api_faults(const Json& value) {
  const Json* list = find(value, "faults");
  if (list == nullptr) list = &value;
  std::vector<ApiFault> faults;
  if (!list->is_array()) {
    TRY(ApiFault fault, read_fault(*list));
    faults.push_back(std::move(fault));
    return faults;
  }
  for (const Json& item : *list) {
    TRY(ApiFault fault, read_fault(item));
    faults.push_back(std::move(fault));
  }
  return faults;
}

}  // namespace coalmine::mock
