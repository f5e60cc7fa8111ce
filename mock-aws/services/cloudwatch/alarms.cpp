// Alarms: naming, deleting and switching them, and their tags.
#include <nlohmann/json.hpp>

#include "mock-aws/services/cloudwatch/cloudwatch.h"
#include "sim/core/json.h"

namespace coalmine::mock {
namespace {

tl::unexpected<AwsError> no_resource(const std::string& resource) {
  return tl::unexpected<AwsError>(AwsError{"ResourceNotFoundException",
                                           fmt::format("Unknown resource {}", resource),
                                           0,
                                           {{"ResourceType", "alarm"}, {"ResourceId", resource}}});
}

}  // namespace

std::vector<std::string> strings_from(const Json& input, const char* member) {
  std::vector<std::string> values;
  if (const Json* list = find(input, member)) {
    for (const Json& value : *list) values.push_back(value.get<std::string>());
  }
  return values;
}

std::string CloudWatch::arn(const std::string& alarm) const {
  return fmt::format("arn:aws:cloudwatch:{}:{}:alarm:{}", scope_.region, scope_.account, alarm);
}

CloudWatch::Alarm* CloudWatch::find_by_arn(const std::string& resource) {
  const std::string prefix = arn("");
  if (!resource.starts_with(prefix)) return nullptr;
  const auto found = alarms_.find(resource.substr(prefix.size()));
  return found == alarms_.end() ? nullptr : &found->second;
}

void CloudWatch::remember(TimePoint now, const Alarm& alarm, std::string type, std::string summary,
                          const Json& data) {
  history_.push_back(
      {now, alarm.name, std::move(type), std::move(summary), dump_json(data), alarm.composite});
  if (history_.size() > kMaxAlarmHistory) history_.pop_front();
}

Reply CloudWatch::delete_alarms(const Json& input, CallContext& context) {
  const auto names = strings_from(input, "AlarmNames");
  for (const std::string& alarm_name : names) {
    if (alarms_.find(alarm_name) != alarms_.end()) continue;
    if (names.size() == 1) continue;  // deleting one that is gone already succeeds
    return aws_error("ResourceNotFound", "Alarm {} does not exist.", alarm_name);
  }
  for (const std::string& alarm_name : names) {
    const auto found = alarms_.find(alarm_name);
    if (found == alarms_.end()) continue;
    remember(context.now, found->second, "ConfigurationUpdate",
             fmt::format("Alarm \"{}\" deleted", alarm_name),
             {{"version", "1.0"}, {"type", "Delete"}});
    events_.event(context.now, "alarm.deleted", {{"alarm", alarm_name}});
    alarms_.erase(found);
  }
  return Json::object();
}

Reply CloudWatch::set_alarm_state(const Json& input, CallContext& context) {
  const std::string alarm_name = get_string(input, "AlarmName");
  const auto found = alarms_.find(alarm_name);
  if (found == alarms_.end()) {
    return aws_error("ResourceNotFound", "Alarm {} does not exist.", alarm_name);
  }
  const std::string data = get_string(input, "StateReasonData");
  if (!data.empty() && !parse_json(data)) {
    return aws_error("InvalidFormatFault", "StateReasonData is not valid JSON.");
  }
  change_state(found->second, *parse_alarm_state(get_string(input, "StateValue")),
               get_string(input, "StateReason"), data, context.now);
  evaluate_composites(context.now);
  return Json::object();
}

Reply CloudWatch::enable_alarm_actions(const Json& input, CallContext&) {
  for (const std::string& alarm_name : strings_from(input, "AlarmNames")) {
    if (const auto found = alarms_.find(alarm_name); found != alarms_.end()) {
      found->second.actions_enabled = true;
    }
  }
  return Json::object();
}

Reply CloudWatch::disable_alarm_actions(const Json& input, CallContext&) {
  for (const std::string& alarm_name : strings_from(input, "AlarmNames")) {
    if (const auto found = alarms_.find(alarm_name); found != alarms_.end()) {
      found->second.actions_enabled = false;
    }
  }
  return Json::object();
}

Reply CloudWatch::tag_resource(const Json& input, CallContext&) {
  Alarm* alarm = find_by_arn(get_string(input, "ResourceARN"));
  if (alarm == nullptr) return no_resource(get_string(input, "ResourceARN"));
  auto tags = alarm->tags;
  for (const Json& tag : *find(input, "Tags")) {
    tags[get_string(tag, "Key")] = get_string(tag, "Value");
  }
  if (tags.size() > kMaxTagsPerAlarm) {
    return aws_error("InvalidParameterValueException", "An alarm has at most {} tags.",
                     kMaxTagsPerAlarm);
  }
  alarm->tags = std::move(tags);
  return Json::object();
}

Reply CloudWatch::untag_resource(const Json& input, CallContext&) {
  Alarm* alarm = find_by_arn(get_string(input, "ResourceARN"));
  if (alarm == nullptr) return no_resource(get_string(input, "ResourceARN"));
  for (const std::string& key : strings_from(input, "TagKeys")) alarm->tags.erase(key);
  return Json::object();
}

Reply CloudWatch::list_tags_for_resource(const Json& input, CallContext&) {
  const Alarm* alarm = find_by_arn(get_string(input, "ResourceARN"));
  if (alarm == nullptr) return no_resource(get_string(input, "ResourceARN"));
  Json tags = Json::array();
  for (const auto& [key, value] : alarm->tags) tags.push_back({{"Key", key}, {"Value", value}});
  return Json{{"Tags", std::move(tags)}};
}

}  // namespace coalmine::mock
