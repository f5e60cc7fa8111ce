// mock-aws/services/logs: CloudWatch Logs of one account and region.
//
// Groups, streams and events, written by PutLogEvents and by containers through LogSink. Memory is
// bounded: a stream keeps its newest kMaxEventsPerStream events. Retention drops older events on
// tick(). Not here: Insights queries, metric filters, subscriptions, exports.
//
// Below: mock-aws/protocol, sim/core. Above: mock-aws/services/cloud.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mock-aws/protocol/service.h"
#include "mock-aws/services/ports.h"

namespace coalmine::mock {

inline constexpr std::size_t kMaxEventsPerStream = 10'000;
inline constexpr std::size_t kMaxStreamsPerGroup = 10'000;
inline constexpr std::size_t kMaxPutBytes = 1'048'576;  ///< messages plus 26 bytes each
inline constexpr std::size_t kPutOverheadBytes = 26;
inline constexpr std::size_t kMaxEventsPerAnswer = 10'000;
inline constexpr std::size_t kMaxLogTags = 50;
inline constexpr Duration kMaxLogAge = std::chrono::hours{24 * 14};
inline constexpr Duration kMaxLogAhead = std::chrono::hours{2};

class Logs : public Service, public LogSink {
 public:
  Logs(Scope scope, Random random, EventSink& events);

  std::string_view name() const override { return "logs"; }
  bool implements(std::string_view operation) const override;
  Reply call(std::string_view operation, const Json& input, CallContext& context) override;
  void tick(TimePoint now) override;
  Json state() const override;

  bool append(const std::string& group, const std::string& stream,
              const std::vector<std::string>& lines, bool create_group, TimePoint now) override;

 private:
  struct Event {
    std::uint64_t number = 0;  ///< rises by one per event of the stream, in order of arrival
    std::int64_t time_ms = 0, ingested_ms = 0;
    std::string message;
  };
  struct Stream {
    std::string name;
    std::int64_t created_ms = 0;
    std::uint64_t last_number = 0;
    std::uint64_t stored_bytes = 0;
    std::deque<Event> events;  // by time, then number
  };
  struct Group {
    std::string name, log_class = "STANDARD";
    std::int64_t created_ms = 0;
    std::optional<int> retention_days;
    std::map<std::string, std::string> tags;
    std::map<std::string, Stream> streams;
  };

  static const OperationTable<Logs>& operations();

  // groups.cpp
  Reply create_log_group(const Json& input, CallContext& context);
  Reply describe_log_groups(const Json& input, CallContext& context);
  Reply delete_log_group(const Json& input, CallContext& context);
  Reply create_log_stream(const Json& input, CallContext& context);
  Reply describe_log_streams(const Json& input, CallContext& context);
  Reply delete_log_stream(const Json& input, CallContext& context);
  Reply put_retention_policy(const Json& input, CallContext& context);
  Reply delete_retention_policy(const Json& input, CallContext& context);
  Reply tag_resource(const Json& input, CallContext& context);
  Reply untag_resource(const Json& input, CallContext& context);
  Reply list_tags_for_resource(const Json& input, CallContext& context);
  Reply tag_log_group(const Json& input, CallContext& context);
  Reply untag_log_group(const Json& input, CallContext& context);
  Reply list_tags_log_group(const Json& input, CallContext& context);
  std::string arn(const std::string& group) const;
  /// The group that logGroupName or logGroupIdentifier (a name or an ARN) means.
  tl::expected<Group*, AwsError> group_of(const Json& input);
  tl::expected<Group*, AwsError> group_of_arn(const std::string& resource);
  tl::expected<Stream*, AwsError> stream_of(Group& group, const std::string& stream);

  // events.cpp
  Reply put_log_events(const Json& input, CallContext& context);
  Reply get_log_events(const Json& input, CallContext& context);
  Reply filter_log_events(const Json& input, CallContext& context);
  static void add(Stream& stream, std::int64_t time_ms, std::string message, TimePoint now);
  static void drop_expired(Group& group, TimePoint now);

  Scope scope_;
  EventSink& events_;
  std::map<std::string, Group> groups_;
};

std::int64_t to_epoch_ms(TimePoint t);

}  // namespace coalmine::mock
