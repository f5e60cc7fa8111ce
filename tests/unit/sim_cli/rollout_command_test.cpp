#include "sim/cli/rollout_command.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "sim/aws/real_clock.h"
#include "sim/cli/steps_text.h"
#include "sim/cli/verb.h"
#include "sim/net/http.h"
#include "sim/rollout/control_file.h"
#include "sim/rollout/journal_file.h"
#include "tests/support/golden.h"

namespace coalmine::cli {
namespace {

using namespace std::chrono_literals;

/// An App Mesh route and CloudWatch behind a socket: 200 requests per second, split by the
/// route's weights.
class FakeAws {
 public:
  explicit FakeAws(double canary_errors) : canary_errors_(canary_errors) {
    server_ = *net::Server::listen("127.0.0.1", 0,
                                   [this](const net::Request& request) { return answer(request); });
  }
  std::string url() const { return fmt::format("http://127.0.0.1:{}", server_->port()); }
  int canary_weight() {
    const std::lock_guard lock(mutex_);
    return weight();
  }
  int updates() {
    const std::lock_guard lock(mutex_);
    return updates_;
  }

 private:
  int weight() const {
    return spec_["httpRoute"]["action"]["weightedTargets"][1]["weight"].get<int>();
  }

  net::Response answer(const net::Request& request) {
    const std::lock_guard lock(mutex_);
    // Not coalmine: whoever asks for the lab's clock takes the wall's.
    if (request.target.starts_with("/_coalmine/")) return net::text_response(404, "");
    if (request.target.starts_with("/v20190125/")) {
      if (request.method == "PUT") {
        spec_ = Json::parse(request.body)["spec"];
        ++updates_;
      }
      return net::json_response(200, Json{{"spec", spec_}}.dump());
    }
    const Json input = Json::parse(request.body);
    Json results = Json::array();
    for (const Json& query : input["MetricDataQueries"]) {
      const std::string id = query["Id"].get<std::string>();
      const double share = weight() / 100.0;
      double value = id[0] == 'c' ? 200 * share : 200 * (1 - share);
      if (id[1] == 'e') value *= id[0] == 'c' ? canary_errors_ : 0.01;
      Json times = Json::array(), values = Json::array();
      for (double t = input["StartTime"].get<double>(); t < input["EndTime"].get<double>(); ++t) {
        times.push_back(t);
        values.push_back(static_cast<int>(value));
      }
      results.push_back({{"Id", id}, {"Timestamps", times}, {"Values", values}});
    }
    return net::json_response(200, Json{{"MetricDataResults", results}}.dump());
  }

  double canary_errors_;
  std::mutex mutex_;
  int updates_ = 0;
  Json spec_ = Json::parse(R"({"httpRoute":{"match":{"prefix":"/"},"action":{"weightedTargets":[
      {"virtualNode":"app-v1","weight":100},{"virtualNode":"app-v2","weight":0}]}}})");
  std::unique_ptr<net::Server> server_;
};

RolloutCommand command_for(const FakeAws& aws, const std::string& folder, const char* steps) {
  RolloutCommand command;
  command.plan.steps = parse_steps(steps, "v2").value();
  command.plan.analyses = {{"errors", rollout::ErrorShareTest{}, rollout::OnFail::Rollback, {}}};
  command.target.endpoint = aws.url();
  command.target.metric_period = 1s;
  command.target.metric_delay = 100ms;
  command.state_dir = folder;
  return command;
}

bool wait_for(const std::function<bool()>& condition) {
  for (int i = 0; i < 600; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(50ms);
  }
  return false;
}

TEST(RolloutCommand, HealthyCanaryIsPromotedAndTheNameIsFreeAgain) {
  test::TempDir dir;
  FakeAws aws(0.01);
  const RolloutCommand command = command_for(aws, dir.path(), "10%,1s,50%,1s,promote");
  EXPECT_EQ(rollout_start(command), kPassed);
  EXPECT_EQ(aws.canary_weight(), 100);
  EXPECT_EQ(rollout_status(command), kPassed);
  EXPECT_EQ(rollout_abort(command), kFailed) << "it is over";
  EXPECT_EQ(rollout_start(command), kPassed) << "the old journal was put aside";
  int journals = 0;
  for (const auto& entry : std::filesystem::directory_iterator(dir.path())) {
    journals += entry.path().extension() == ".journal" ? 1 : 0;
  }
  EXPECT_GE(journals, 1);
}

TEST(RolloutCommand, FaultyCanaryIsRolledBack) {
  test::TempDir dir;
  FakeAws aws(0.5);
  EXPECT_EQ(rollout_start(command_for(aws, dir.path(), "10%,1m,promote")), kFailed);
  EXPECT_EQ(aws.canary_weight(), 0);
}

TEST(RolloutCommand, OperatorsReachARunningRollout) {
  test::TempDir dir;
  FakeAws aws(0.01);
  RolloutCommand command = command_for(aws, dir.path(), "10%,10m,promote");
  int code = -1;
  std::thread running([&] { code = rollout_start(command); });
  EXPECT_TRUE(wait_for([&] { return aws.canary_weight() == 10; }));
  EXPECT_EQ(rollout_start(command), kEnvironment) << "another process drives it";
  EXPECT_EQ(rollout_pause(command), kPassed);
  EXPECT_EQ(rollout_pause(command), kFailed) << "paused already";
  command.weight = Percent{20};
  EXPECT_EQ(rollout_weights(command), kPassed);
  EXPECT_TRUE(wait_for([&] { return aws.canary_weight() == 20; }));
  EXPECT_EQ(rollout_status(command), kPassed);
  EXPECT_EQ(rollout_abort(command), kPassed);
  running.join();
  EXPECT_EQ(code, kFailed);
  EXPECT_EQ(aws.canary_weight(), 0);
}

TEST(RolloutCommand, AbandonedRolloutIsAbortedByTheAbortItself) {
  test::TempDir dir;
  FakeAws aws(0.01);
  const RolloutCommand command = command_for(aws, dir.path(), "10%,10m,promote");
  // What a killed process leaves: a journal whose last input is the weight.
  rollout::Plan plan = command.plan;
  std::string text =
      rollout::header_line({kVirtualEpoch, "default", "x", plan, rollout::to_map(command.target)});
  text += rollout::input_line(kVirtualEpoch, rollout::Started{{{"v1", 100}, {"v2", 0}}});
  text += rollout::input_line(kVirtualEpoch, rollout::WeightsApplied{{{"v1", 90}, {"v2", 10}}});
  dir.file("default.journal", text + "{\"torn");
  EXPECT_EQ(rollout_resume(command), kPassed) << "noted for the next start";
  EXPECT_EQ(rollout_abort(command), kFailed);
  EXPECT_EQ(aws.canary_weight(), 0);
  const auto journal = rollout::parse_journal(
      rollout::read_journal_file(dir.path() + "/default.journal").value(), "j");
  ASSERT_TRUE(journal);
  EXPECT_EQ(rollout::resume(*journal).phase, rollout::Phase::Aborted);
}

TEST(RolloutCommand, DryRunShowsTheCallsAndChangesNothing) {
  test::TempDir dir;
  FakeAws aws(0.01);
  RolloutCommand command = command_for(aws, dir.path(), "10%,1s,promote");
  command.dry_run = true;
  testing::internal::CaptureStdout();
  EXPECT_EQ(rollout_start(command), kPassed);
  const std::string out = testing::internal::GetCapturedStdout();
  EXPECT_NE(out.find("weight    appmesh UpdateRoute {\"meshName\":\"coalmine\""), std::string::npos)
      << out;
  EXPECT_EQ(aws.updates(), 0);
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

TEST(RolloutCommand, WrongUseIsTwoAndNothingIsLeft) {
  test::TempDir dir;
  FakeAws aws(0.01);
  EXPECT_EQ(rollout_start(command_for(aws, dir.path(), "10%,1s,promote,5%")), kUsage);
  EXPECT_EQ(rollout_start(command_for(aws, dir.path(), "0.1%,1s,promote")), kUsage);
  RolloutCommand command = command_for(aws, dir.path(), "10%,1s,promote");
  EXPECT_EQ(rollout_status(command), kUsage);
  EXPECT_EQ(rollout_abort(command), kUsage);
  command.name = "../x";
  EXPECT_EQ(rollout_start(command), kUsage);
  EXPECT_EQ(aws.updates(), 0);
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

TEST(RolloutCommand, StepsReadAsTheyAreWritten) {
  const auto steps = parse_steps("1%, 10m,pause:1h,pause,promote", "v2");
  ASSERT_TRUE(steps);
  ASSERT_EQ(steps->size(), 5U);
  EXPECT_EQ(std::get<rollout::SetWeight>((*steps)[0].what).canary.value, 1);
  EXPECT_EQ(std::get<rollout::Bake>((*steps)[1].what).length, Duration{10min});
  EXPECT_EQ(std::get<rollout::Pause>((*steps)[2].what).timeout, Duration{1h});
  EXPECT_EQ(std::get<rollout::Promote>((*steps)[4].what).version, "v2");
  EXPECT_EQ(parse_steps("1%,soon", "v2").error().message,
            "step \"soon\": allowed are a weight as 1%, a bake as 10m, pause, pause:1h, tasks:3, "
            "tasks:50%, tasks:weight, experiment:5%:10m, header:NAME=VALUE, cookie:NAME=VALUE, "
            "routes:none, promote, promote:image-swap, promote:replace");
  const auto compared = parse_steps("experiment:2.5%:20m,50%", "v2");
  ASSERT_TRUE(compared) << to_string(compared.error());
  EXPECT_EQ(std::get<rollout::Experiment>((*compared)[0].what).share.value, 2.5);
  EXPECT_EQ(std::get<rollout::Experiment>((*compared)[0].what).length, Duration{20min});
  EXPECT_NE(parse_steps("experiment:5%", "v2").error().message.find("as experiment:5%:10m"),
            std::string::npos);
  const auto routed = parse_steps("header:X-Tester=a=b,cookie:group,routes:none", "v2");
  ASSERT_TRUE(routed);
  using By = rollout::RouteMatch::By;
  const auto route = [&routed](std::size_t i) {
    return std::get<rollout::RouteMatching>((*routed)[i].what).any_of;
  };
  EXPECT_EQ(route(0), (std::vector<rollout::RouteMatch>{{By::Header, "X-Tester", "a=b"}}));
  EXPECT_EQ(route(1), (std::vector<rollout::RouteMatch>{{By::Cookie, "group", ""}}));
  EXPECT_TRUE(route(2).empty());
  EXPECT_FALSE(parse_steps("header:=x", "v2"));
}

TEST(RealClock, StopsAtOnceWhenAsked) {
  std::atomic<bool> stop = true;
  aws::RealClock clock(&stop);
  const TimePoint before = clock.now();
  clock.sleep_until(before + 1h);
  EXPECT_LT(clock.now(), before + 1h);
}

}  // namespace
}  // namespace coalmine::cli
