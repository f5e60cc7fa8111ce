#include "mock-aws/server/call_journal.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

namespace coalmine::mock {
namespace {

class CallJournalTest : public testing::Test {
 protected:
  CallJournalTest()
      : path_((std::filesystem::temp_directory_path() /
               fmt::format("coalmine-calls-{}-{}", getpid(),
                           testing::UnitTest::GetInstance()->current_test_info()->name()))
                  .string()) {
    std::remove(path_.c_str());
  }
  ~CallJournalTest() override { std::remove(path_.c_str()); }

  static CallEntry call(int second, std::string body) {
    CallEntry entry;
    entry.t = kVirtualEpoch + std::chrono::seconds{second};
    entry.request.method = "PUT";
    entry.request.target = "/v20190125/meshes?a=%2F";
    entry.request.headers = {
        {"Content-Type", "application/json"}, {"X-Twice", "1"}, {"X-Twice", "2"}};
    entry.request.body = std::move(body);
    entry.status = 200;
    return entry;
  }

  const std::string path_;
};

TEST_F(CallJournalTest, ReadsBackWhatWasKept) {
  const CallJournalHeader header{7, 0x7f020000, true};
  {
    auto opened = CallJournal::open(path_, header);
    ASSERT_TRUE(opened) << to_string(opened.error());
    EXPECT_TRUE(opened->entries.empty());
    EXPECT_TRUE(opened->journal->append(call(1, R"({"meshName":"m"})")));
    EXPECT_TRUE(opened->journal->append(call(2, std::string("\x00\xff\x80", 3))));
    CallEntry clock;
    clock.t = kVirtualEpoch + std::chrono::minutes{1};
    clock.request.method.clear();
    EXPECT_TRUE(opened->journal->append(clock));
  }
  auto again = CallJournal::open(path_, {1, 0, false});
  ASSERT_TRUE(again) << to_string(again.error());
  EXPECT_EQ(again->header, header) << "the file's header counts";
  ASSERT_EQ(again->entries.size(), 3U);
  EXPECT_EQ(again->entries[0].request.headers, call(1, "").request.headers);
  EXPECT_EQ(again->entries[0].request.target, "/v20190125/meshes?a=%2F");
  EXPECT_EQ(again->entries[0].request.body, R"({"meshName":"m"})");
  EXPECT_EQ(again->entries[1].request.body, std::string("\x00\xff\x80", 3));
  EXPECT_EQ(again->entries[1].t, kVirtualEpoch + std::chrono::seconds{2});
  EXPECT_TRUE(again->entries[2].request.method.empty());
}

TEST_F(CallJournalTest, ATornLastLineIsCutOff) {
  {
    auto opened = CallJournal::open(path_, {});
    ASSERT_TRUE(opened);
    EXPECT_TRUE(opened->journal->append(call(1, "{}")));
  }
  std::ofstream(path_, std::ios::app) << R"({"t_ns":17672256)";
  auto again = CallJournal::open(path_, {});
  ASSERT_TRUE(again) << to_string(again.error());
  EXPECT_EQ(again->entries.size(), 1U);
  EXPECT_TRUE(again->journal->append(call(2, "{}")));
  again->journal.reset();
  EXPECT_EQ(CallJournal::open(path_, {})->entries.size(), 2U);
}

TEST_F(CallJournalTest, ClearForgetsTheCalls) {
  auto opened = CallJournal::open(path_, {3, 4, false});
  EXPECT_TRUE(opened->journal->append(call(1, "{}")));
  EXPECT_TRUE(opened->journal->clear());
  EXPECT_TRUE(opened->journal->append(call(2, "x")));
  opened->journal.reset();
  const auto again = CallJournal::open(path_, {});
  EXPECT_EQ(again->header.seed, 3U);
  ASSERT_EQ(again->entries.size(), 1U);
  EXPECT_EQ(again->entries[0].request.body, "x");
}

TEST_F(CallJournalTest, OneProcessAtATime) {
  const auto opened = CallJournal::open(path_, {});
  ASSERT_TRUE(opened);
  const auto second = CallJournal::open(path_, {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::Environment);
}

TEST_F(CallJournalTest, SomethingElseIsRefusedWithItsPlace) {
  std::ofstream(path_) << "{\"some\":\"file\"}\n";
  const auto opened = CallJournal::open(path_, {});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().message.find(path_ + ":1: error: "), 0U) << opened.error().message;
  std::ifstream in(path_);
  std::string text;
  std::getline(in, text);
  EXPECT_EQ(text, "{\"some\":\"file\"}") << "it stays as it was";
}

TEST(OnlyReads, ByTheName) {
  EXPECT_TRUE(only_reads("DescribeServices"));
  EXPECT_TRUE(only_reads("BatchGetImage"));
  EXPECT_TRUE(only_reads("DiscoverInstances"));
  EXPECT_FALSE(only_reads("UpdateRoute"));
  EXPECT_FALSE(only_reads("BatchDeleteImage"));
  EXPECT_FALSE(only_reads("RunTask"));
}

}  // namespace
}  // namespace coalmine::mock
