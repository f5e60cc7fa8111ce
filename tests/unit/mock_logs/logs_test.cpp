#include "mock-aws/services/logs/logs.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "mock-aws/services/logs/filter_pattern.h"
#include "sim/core/json.h"
#include "tests/support/case_name.h"
#include "tests/support/service_harness.h"

namespace coalmine::mock {
namespace {

using namespace std::chrono_literals;

struct LogsTest : test::ServiceTest<Logs> {
  Logs& logs = service;

  void create() {
    ok("CreateLogGroup", {{"logGroupName", "g"}});
    ok("CreateLogStream", {{"logGroupName", "g"}, {"logStreamName", "s"}});
  }
  Json put(std::vector<std::pair<Duration, std::string>> events) {
    Json list = Json::array();
    for (const auto& [at, message] : events) {
      list.push_back({{"timestamp", to_epoch_ms(now + at)}, {"message", message}});
    }
    return ok("PutLogEvents", {{"logGroupName", "g"}, {"logStreamName", "s"}, {"logEvents", list}});
  }
  static std::string messages(const Json& reply) {
    std::string text;
    for (const Json& event : reply["events"]) text += event["message"].get<std::string>() + " ";
    return text;
  }
};

TEST_F(LogsTest, GroupsAndStreamsAreUniqueAndMustExist) {
  create();
  refused("CreateLogGroup", {{"logGroupName", "g"}}, "ResourceAlreadyExistsException",
          "The specified log group already exists");
  refused("CreateLogStream", {{"logGroupName", "g"}, {"logStreamName", "s"}},
          "ResourceAlreadyExistsException", "The specified log stream already exists");
  refused("CreateLogStream", {{"logGroupName", "x"}, {"logStreamName", "s"}},
          "ResourceNotFoundException", "The specified log group does not exist.");
  refused("GetLogEvents", {{"logGroupName", "g"}, {"logStreamName", "x"}},
          "ResourceNotFoundException", "The specified log stream does not exist.");
  const Json group = ok("DescribeLogGroups", Json::object())["logGroups"][0];
  EXPECT_EQ(group["arn"], "arn:aws:logs:us-east-1:000000000000:log-group:g:*");
  ok("DeleteLogStream", {{"logGroupName", "g"}, {"logStreamName", "s"}});
  ok("DeleteLogGroup", {{"logGroupName", "g"}});
  EXPECT_EQ(ok("DescribeLogGroups", Json::object())["logGroups"].size(), 0U);
}

TEST_F(LogsTest, ReadingForwardEndsWhereTheTokenStaysTheSame) {
  create();
  put({{0s, "a"}, {0s, "b"}, {1s, "c"}, {2s, "d"}, {2s, "e"}});
  Json input = {
      {"logGroupName", "g"}, {"logStreamName", "s"}, {"startFromHead", true}, {"limit", 2}};
  std::string all;
  for (int i = 0; i < 10; ++i) {
    const Json reply = ok("GetLogEvents", input);
    all += messages(reply);
    if (input.value("nextToken", "") == reply["nextForwardToken"]) break;
    input["nextToken"] = reply["nextForwardToken"];
  }
  EXPECT_EQ(all, "a b c d e ");
  put({{3s, "f"}});
  EXPECT_EQ(messages(ok("GetLogEvents", input)), "f ");
}

TEST_F(LogsTest, ReadingStartsAtTheEndAndGoesBack) {
  create();
  put({{0s, "a"}, {1s, "b"}, {2s, "c"}});
  Json input = {{"logGroupName", "g"}, {"logStreamName", "s"}, {"limit", 2}};
  const Json newest = ok("GetLogEvents", input);
  EXPECT_EQ(messages(newest), "b c ");
  input["nextToken"] = newest["nextBackwardToken"];
  EXPECT_EQ(messages(ok("GetLogEvents", input)), "a ");
  input["nextToken"] = "nonsense";
  refused("GetLogEvents", input, "InvalidParameterException",
          "The specified nextToken is invalid.");
}

TEST_F(LogsTest, EventsOutsideTheWindowAreRejectedByIndex) {
  create();
  const Json old = put({{-24h * 14 - 1s, "old"}, {-24h * 14, "kept"}});
  EXPECT_EQ(old["rejectedLogEventsInfo"], Json({{"tooOldLogEventEndIndex", 1}}));
  const Json fresh = put({{2h, "kept"}, {2h + 1ms, "new"}});
  EXPECT_EQ(fresh["rejectedLogEventsInfo"], Json({{"tooNewLogEventStartIndex", 1}}));
  EXPECT_EQ(messages(ok("GetLogEvents", {{"logGroupName", "g"}, {"logStreamName", "s"}})),
            "kept kept ");
}

TEST_F(LogsTest, BatchesMustBeInOrderAndBelowTheLimit) {
  create();
  const auto batch = [&](Json events) {
    return Json{{"logGroupName", "g"}, {"logStreamName", "s"}, {"logEvents", std::move(events)}};
  };
  const std::int64_t t = to_epoch_ms(now);
  refused("PutLogEvents",
          batch(Json::array(
              {{{"timestamp", t}, {"message", "b"}}, {{"timestamp", t - 1}, {"message", "a"}}})),
          "InvalidParameterException",
          "Log events in a single PutLogEvents request must be in chronological order.");
  const auto one = [&](std::size_t size) {
    return batch(Json::array(
        {Json{{"timestamp", t}, {"message", std::string(size - kPutOverheadBytes, 'x')}}}));
  };
  ok("PutLogEvents", one(kMaxPutBytes));
  refused("PutLogEvents", one(kMaxPutBytes + 1), "InvalidParameterException",
          "Upload too large: 1048577 bytes exceeds limit of 1048576");
}

TEST_F(LogsTest, StreamsKeepTheirNewestEvents) {
  std::vector<std::string> lines(kMaxEventsPerStream, "x");
  lines[0] = "first";
  EXPECT_FALSE(logs.append("g", "s", lines, false, now));
  EXPECT_TRUE(logs.append("g", "s", lines, true, now));
  const Json head = {
      {"logGroupName", "g"}, {"logStreamName", "s"}, {"startFromHead", true}, {"limit", 1}};
  EXPECT_EQ(messages(ok("GetLogEvents", head)), "first ");
  EXPECT_TRUE(logs.append("g", "s", {"last"}, false, now));
  EXPECT_EQ(messages(ok("GetLogEvents", head)), "x ");
}

TEST_F(LogsTest, RetentionDropsWhatIsOlder) {
  create();
  put({{0s, "a"}});
  refused("PutRetentionPolicy", {{"logGroupName", "g"}, {"retentionInDays", 2}},
          "InvalidParameterException",
          "1 validation error detected: Value '2' at 'retentionInDays' failed to satisfy "
          "constraint: Member must satisfy enum value set: [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, "
          "180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653]");
  ok("PutRetentionPolicy", {{"logGroupName", "g"}, {"retentionInDays", 1}});
  const Json read = {{"logGroupName", "g"}, {"logStreamName", "s"}};
  now += 24h;
  EXPECT_EQ(messages(ok("GetLogEvents", read)), "a ");
  now += 1ms;
  EXPECT_EQ(messages(ok("GetLogEvents", read)), "");
}

TEST_F(LogsTest, FilteringMergesStreamsByTimeAndPages) {
  logs.append("g", "a", {"ERROR one"}, true, now);
  logs.append("g", "a-b", {"ERROR two"}, true, now);
  logs.append("g", "b", {"fine", "ERROR three"}, true, now + 1s);
  logs.append("g", "a", {"ERROR four"}, true, now + 2s);
  Json input = {{"logGroupName", "g"}, {"filterPattern", "ERROR"}, {"limit", 1}};
  std::string all;
  for (int i = 0; i < 10; ++i) {
    const Json reply = ok("FilterLogEvents", input);
    all += messages(reply);
    if (!reply.contains("nextToken")) break;
    input["nextToken"] = reply["nextToken"];
  }
  EXPECT_EQ(all, "ERROR one ERROR two ERROR three ERROR four ");
}

TEST_F(LogsTest, StreamsPageInEitherOrder) {
  for (const char* stream : {"c", "a", "b"}) logs.append("g", stream, {"x"}, true, now += 1s);
  const auto walk = [&](Json input) {
    input["logGroupName"] = "g";
    input["limit"] = 1;
    std::string names;
    for (int i = 0; i < 10; ++i) {
      const Json reply = ok("DescribeLogStreams", input);
      for (const Json& each : reply["logStreams"]) names += each["logStreamName"];
      if (!reply.contains("nextToken")) break;
      input["nextToken"] = reply["nextToken"];
    }
    return names;
  };
  EXPECT_EQ(walk(Json::object()), "abc");
  EXPECT_EQ(walk({{"orderBy", "LastEventTime"}, {"descending", true}}), "bac");
}

TEST_F(LogsTest, TagsAreReachedByNameAndByArn) {
  ok("CreateLogGroup", {{"logGroupName", "g"}, {"tags", {{"a", "1"}}}});
  const Json arn = "arn:aws:logs:us-east-1:000000000000:log-group:g";
  ok("TagResource", {{"resourceArn", arn}, {"tags", {{"b", "2"}}}});
  ok("UntagLogGroup", {{"logGroupName", "g"}, {"tags", Json::array({"a"})}});
  EXPECT_EQ(ok("ListTagsForResource", {{"resourceArn", arn}})["tags"], Json({{"b", "2"}}));
}

struct PatternCase {
  const char* pattern;
  const char* message;
  bool want;
};
class Patterns : public testing::TestWithParam<PatternCase> {};
TEST_P(Patterns, Match) {
  EXPECT_EQ(matches(*parse_filter_pattern(GetParam().pattern), GetParam().message),
            GetParam().want);
}
INSTANTIATE_TEST_SUITE_P(
    Terms, Patterns,
    testing::Values(PatternCase{"", "anything", true}, PatternCase{"ERROR", "an ERROR", true},
                    PatternCase{"ERROR", "an error", false}, PatternCase{"a b", "b then a", true},
                    PatternCase{"a b", "a only", false}, PatternCase{"\"a b\"", "a b", true},
                    PatternCase{"\"a b\"", "a  b", false}, PatternCase{"?x ?y", "y", true},
                    PatternCase{"?x ?y", "z", false}, PatternCase{"ERROR -debug", "ERROR", true},
                    PatternCase{"ERROR -debug", "ERROR debug", false}),
    [](const auto& info) { return test::case_name(info.index, info.param.pattern); });

TEST(FilterPatternSyntax, OtherKindsAreHonestErrors) {
  for (const char* bad : {"{ $.a = 1 }", "[a, b]", "%x%", "\"open"}) {
    EXPECT_FALSE(parse_filter_pattern(bad)) << bad;
  }
}

}  // namespace
}  // namespace coalmine::mock
