#include "mock-aws/services/logs/logs.h"

#include <nlohmann/json.hpp>

#include "sim/core/json.h"

namespace coalmine::mock {

Logs::Logs(Scope scope, Random random, EventSink& events)
    : scope_(std::move(scope)), events_(events) {
  static_cast<void>(random);  // nothing here is drawn: ids count
}

const OperationTable<Logs>& Logs::operations() {
  static const OperationTable<Logs> kOperations = {
      {"CreateLogGroup", &Logs::create_log_group},
      {"DescribeLogGroups", &Logs::describe_log_groups},
      {"DeleteLogGroup", &Logs::delete_log_group},
      {"CreateLogStream", &Logs::create_log_stream},
      {"DescribeLogStreams", &Logs::describe_log_streams},
      {"DeleteLogStream", &Logs::delete_log_stream},
      {"PutRetentionPolicy", &Logs::put_retention_policy},
      {"DeleteRetentionPolicy", &Logs::delete_retention_policy},
      {"TagResource", &Logs::tag_resource},
      {"UntagResource", &Logs::untag_resource},
      {"ListTagsForResource", &Logs::list_tags_for_resource},
      {"TagLogGroup", &Logs::tag_log_group},
      {"UntagLogGroup", &Logs::untag_log_group},
      {"ListTagsLogGroup", &Logs::list_tags_log_group},
      {"PutLogEvents", &Logs::put_log_events},
      {"GetLogEvents", &Logs::get_log_events},
      {"FilterLogEvents", &Logs::filter_log_events},
  };
  return kOperations;
}

bool Logs::implements(std::string_view operation) const {
  return operations().count(operation) > 0;
}

Reply Logs::call(std::string_view operation, const Json& input, CallContext& context) {
  const auto found = operations().find(operation);
  if (found == operations().end()) {
    return aws_error("NotImplemented", "logs {} is not implemented", operation);
  }
  tick(context.now);
  return (this->*found->second)(input, context);
}

void Logs::tick(TimePoint now) {
  for (auto& [group_name, group] : groups_) drop_expired(group, now);
}

Json Logs::state() const {
  Json groups = Json::array();
  for (const auto& [group_name, group] : groups_) {
    Json streams = Json::array();
    for (const auto& [stream_name, stream] : group.streams) {
      streams.push_back({{"logStreamName", stream_name}, {"events", stream.events.size()}});
    }
    groups.push_back({{"logGroupName", group_name}, {"logStreams", std::move(streams)}});
  }
  return {{"logGroups", std::move(groups)}};
}

std::int64_t to_epoch_ms(TimePoint t) {
  return std::chrono::floor<std::chrono::milliseconds>(t.time_since_epoch()).count();
}

}  // namespace coalmine::mock
