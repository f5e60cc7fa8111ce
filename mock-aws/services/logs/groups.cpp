// Log groups, their streams, retention and tags.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "mock-aws/services/logs/logs.h"
#include "mock-aws/services/paging.h"
#include "sim/core/json.h"

namespace coalmine::mock {
namespace {

tl::unexpected<AwsError> no_group() {
  return aws_error("ResourceNotFoundException", "The specified log group does not exist.");
}

tl::unexpected<AwsError> bad_token() {
  return aws_error("InvalidParameterException", "The specified nextToken is invalid.");
}

constexpr int kRetentions[] = {1,   3,   5,   7,   14,   30,   60,   90,   120,  150,  180,
                               365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653};

void add_tags(std::map<std::string, std::string>& tags, const Json& given) {
  for (const auto& [key, value] : given.items()) tags[key] = value.get<std::string>();
}

}  // namespace

std::string Logs::arn(const std::string& group) const {
  return fmt::format("arn:aws:logs:{}:{}:log-group:{}", scope_.region, scope_.account, group);
}

tl::expected<Logs::Group*, AwsError> Logs::group_of(const Json& input) {
  std::string wanted = get_string(input, "logGroupName");
  const std::string identifier = get_string(input, "logGroupIdentifier");
  if (wanted.empty() == identifier.empty()) {
    return aws_error("InvalidParameterException",
                     "Exactly one of logGroupName and logGroupIdentifier must be specified.");
  }
  if (wanted.empty()) wanted = identifier;
  if (wanted.starts_with("arn:")) return group_of_arn(wanted);
  const auto found = groups_.find(wanted);
  if (found == groups_.end()) return no_group();
  return &found->second;
}

tl::expected<Logs::Group*, AwsError> Logs::group_of_arn(const std::string& resource) {
  const std::string prefix = arn("");
  if (!resource.starts_with(prefix)) return no_group();
  std::string wanted = resource.substr(prefix.size());
  if (wanted.ends_with(":*")) wanted.resize(wanted.size() - 2);
  const auto found = groups_.find(wanted);
  if (found == groups_.end()) return no_group();
  return &found->second;
}

tl::expected<Logs::Stream*, AwsError> Logs::stream_of(Group& group, const std::string& stream) {
  const auto found = group.streams.find(stream);
  if (found == group.streams.end()) {
    return aws_error("ResourceNotFoundException", "The specified log stream does not exist.");
  }
  return &found->second;
}

Reply Logs::create_log_group(const Json& input, CallContext& context) {
  Group group;
  group.name = get_string(input, "logGroupName");
  if (groups_.count(group.name) > 0) {
    return aws_error("ResourceAlreadyExistsException", "The specified log group already exists");
  }
  group.log_class = get_string(input, "logGroupClass", "STANDARD");
  group.created_ms = to_epoch_ms(context.now);
  if (const Json* tags = find(input, "tags")) add_tags(group.tags, *tags);
  events_.event(context.now, "log-group.created", {{"group", group.name}});
  groups_.emplace(group.name, std::move(group));
  return Json::object();
}

Reply Logs::describe_log_groups(const Json& input, CallContext&) {
  const std::string prefix = get_string(input, "logGroupNamePrefix");
  const std::string pattern = get_string(input, "logGroupNamePattern");
  if (!prefix.empty() && !pattern.empty()) {
    return aws_error("InvalidParameterException",
                     "logGroupNamePrefix and logGroupNamePattern are mutually exclusive.");
  }
  std::vector<const Group*> found;
  for (const auto& [group_name, group] : groups_) {
    if (!group_name.starts_with(prefix)) continue;
    if (!pattern.empty() && group_name.find(pattern) == std::string::npos) continue;
    found.push_back(&group);
  }
  const auto page = take_page(found, get_string(input, "nextToken"),
                              static_cast<std::size_t>(get_int(input, "limit", 50)),
                              [](const Group* each) { return each->name; });
  if (!page) return bad_token();
  Json list = Json::array();
  for (const Group* group : page->items) {
    std::uint64_t bytes = 0;
    for (const auto& [stream_name, stream] : group->streams) bytes += stream.stored_bytes;
    Json json = {{"logGroupName", group->name},
                 {"creationTime", group->created_ms},
                 {"metricFilterCount", 0},
                 {"arn", arn(group->name) + ":*"},
                 {"logGroupArn", arn(group->name)},
                 {"logGroupClass", group->log_class},
                 {"storedBytes", bytes}};
    if (group->retention_days) json["retentionInDays"] = *group->retention_days;
    list.push_back(std::move(json));
  }
  Json reply = {{"logGroups", std::move(list)}};
  if (!page->next.empty()) reply["nextToken"] = page->next;
  return reply;
}

Reply Logs::delete_log_group(const Json& input, CallContext& context) {
  TRY(const Group* group, group_of(input));
  const std::string group_name = group->name;
  groups_.erase(group_name);
  events_.event(context.now, "log-group.deleted", {{"group", group_name}});
  return Json::object();
}

Reply Logs::create_log_stream(const Json& input, CallContext& context) {
  TRY(Group * group, group_of(input));
  Stream stream;
  stream.name = get_string(input, "logStreamName");
  if (group->streams.count(stream.name) > 0) {
    return aws_error("ResourceAlreadyExistsException", "The specified log stream already exists");
  }
  if (group->streams.size() == kMaxStreamsPerGroup) {
    return aws_error("LimitExceededException", "A log group keeps at most {} log streams here",
                     kMaxStreamsPerGroup);
  }
  stream.created_ms = to_epoch_ms(context.now);
  group->streams.emplace(stream.name, std::move(stream));
  return Json::object();
}

Reply Logs::describe_log_streams(const Json& input, CallContext&) {
  TRY(const Group* group, group_of(input));
  const std::string prefix = get_string(input, "logStreamNamePrefix");
  const bool by_time = get_string(input, "orderBy") == "LastEventTime";
  if (by_time && !prefix.empty()) {
    return aws_error("InvalidParameterException",
                     "Cannot order by LastEventTime with a logStreamNamePrefix.");
  }
  std::vector<const Stream*> found;
  for (const auto& [stream_name, stream] : group->streams) {
    if (stream_name.starts_with(prefix)) found.push_back(&stream);
  }
  const auto last_time = [](const Stream* stream) {
    return stream->events.empty() ? stream->created_ms : stream->events.back().time_ms;
  };
  if (by_time) {
    std::stable_sort(found.begin(), found.end(),
                     [&](const Stream* a, const Stream* b) { return last_time(a) < last_time(b); });
  }
  if (get_bool(input, "descending")) std::reverse(found.begin(), found.end());
  // The token names the last stream: the next page begins after it, in whichever order.
  auto first = found.begin();
  if (const std::string token = get_string(input, "nextToken"); !token.empty()) {
    const auto after = decode_page_token(token);
    if (!after) return bad_token();
    first = std::find_if(found.begin(), found.end(),
                         [&](const Stream* each) { return each->name == *after; });
    if (first == found.end()) return bad_token();
    ++first;
  }
  const auto limit = static_cast<std::size_t>(get_int(input, "limit", 50));
  Json list = Json::array();
  std::string last;
  for (; first != found.end() && list.size() < limit; ++first) {
    const Stream& stream = **first;
    last = stream.name;
    Json json = {{"logStreamName", stream.name},
                 {"creationTime", stream.created_ms},
                 {"arn", fmt::format("{}:log-stream:{}", arn(group->name), stream.name)},
                 {"storedBytes", 0}};  // AWS reports 0 for streams since 2019
    if (!stream.events.empty()) {
      json["firstEventTimestamp"] = stream.events.front().time_ms;
      json["lastEventTimestamp"] = stream.events.back().time_ms;
      json["lastIngestionTime"] = stream.events.back().ingested_ms;
    }
    list.push_back(std::move(json));
  }
  Json reply = {{"logStreams", std::move(list)}};
  if (first != found.end()) reply["nextToken"] = encode_page_token(last);
  return reply;
}

Reply Logs::delete_log_stream(const Json& input, CallContext&) {
  TRY(Group * group, group_of(input));
  TRY(const Stream* stream, stream_of(*group, get_string(input, "logStreamName")));
  group->streams.erase(std::string(stream->name));
  return Json::object();
}

Reply Logs::put_retention_policy(const Json& input, CallContext& context) {
  TRY(Group * group, group_of(input));
  const auto days = static_cast<int>(get_int(input, "retentionInDays"));
  if (std::find(std::begin(kRetentions), std::end(kRetentions), days) == std::end(kRetentions)) {
    std::string allowed;
    for (const int each : kRetentions) {
      allowed += (allowed.empty() ? "" : ", ") + std::to_string(each);
    }
    return aws_error("InvalidParameterException",
                     "1 validation error detected: Value '{}' at 'retentionInDays' failed to "
                     "satisfy constraint: Member must satisfy enum value set: [{}]",
                     days, allowed);
  }
  group->retention_days = days;
  drop_expired(*group, context.now);
  return Json::object();
}

Reply Logs::delete_retention_policy(const Json& input, CallContext&) {
  TRY(Group * group, group_of(input));
  group->retention_days.reset();
  return Json::object();
}

namespace {

Reply tag(std::map<std::string, std::string>& tags, const Json& given, const std::string& arn) {
  auto changed = tags;
  add_tags(changed, given);
  if (changed.size() > kMaxLogTags) {
    return tl::unexpected<AwsError>(
        AwsError{"TooManyTagsException",
                 fmt::format("A log group can have at most {} tags.", kMaxLogTags),
                 0,
                 {{"resourceName", arn}}});
  }
  tags = std::move(changed);
  return Json::object();
}

Reply untag(std::map<std::string, std::string>& tags, const Json& keys) {
  for (const Json& key : keys) tags.erase(key.get<std::string>());
  return Json::object();
}

}  // namespace

Reply Logs::tag_resource(const Json& input, CallContext&) {
  TRY(Group * group, group_of_arn(get_string(input, "resourceArn")));
  return tag(group->tags, *find(input, "tags"), arn(group->name));
}

Reply Logs::untag_resource(const Json& input, CallContext&) {
  TRY(Group * group, group_of_arn(get_string(input, "resourceArn")));
  return untag(group->tags, *find(input, "tagKeys"));
}

Reply Logs::list_tags_for_resource(const Json& input, CallContext&) {
  TRY(const Group* group, group_of_arn(get_string(input, "resourceArn")));
  return Json{{"tags", group->tags}};
}

Reply Logs::tag_log_group(const Json& input, CallContext&) {
  TRY(Group * group, group_of(input));
  return tag(group->tags, *find(input, "tags"), arn(group->name));
}

Reply Logs::untag_log_group(const Json& input, CallContext&) {
  TRY(Group * group, group_of(input));
  return untag(group->tags, *find(input, "tags"));
}

Reply Logs::list_tags_log_group(const Json& input, CallContext&) {
  TRY(const Group* group, group_of(input));
  return Json{{"tags", group->tags}};
}

}  // namespace coalmine::mock
