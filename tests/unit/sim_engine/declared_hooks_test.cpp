// Hooks answer as the scenario says, in the world's time.
#include "sim/engine/world/declared_hooks.h"

#include <gtest/gtest.h>

namespace coalmine::world {
namespace {

using rollout::HookVerdict;
using namespace std::chrono_literals;

class StandingClock : public Clock {
 public:
  TimePoint now() override { return now_; }
  void sleep_until(TimePoint t) override { now_ = std::max(now_, t); }

 private:
  TimePoint now_ = kVirtualEpoch;
};

class DeclaredHooksTest : public testing::Test {
 protected:
  DeclaredHooksTest() {
    hook_.name = "ask";
    hook_.timeout = 10s;
  }
  HookVerdict ask() { return hooks_.call(0, hook_, "pre-step", clock_.now()).verdict; }

  Spec spec_;
  StandingClock clock_;
  rollout::Hook hook_;
  DeclaredHooks hooks_{spec_, clock_, kVirtualEpoch};
};

TEST_F(DeclaredHooksTest, SaysSoUntilThen) {
  spec_.hooks["ask"] = {HookVerdict::Wait, 1min, std::nullopt, 0s, "closed"};
  EXPECT_EQ(ask(), HookVerdict::Wait);
  clock_.sleep_until(kVirtualEpoch + 59s);
  EXPECT_EQ(hooks_.call(0, hook_, "gate", clock_.now()).text, "closed");
  clock_.sleep_until(kVirtualEpoch + 60s);
  EXPECT_EQ(ask(), HookVerdict::Passed);
  EXPECT_EQ(hooks_.call(0, hook_, "gate", clock_.now()).text, "");
}

TEST_F(DeclaredHooksTest, SaysSoToTheFirstCallsOnly) {
  spec_.hooks["ask"] = {HookVerdict::Failed, std::nullopt, 2, 0s, ""};
  EXPECT_EQ(ask(), HookVerdict::Failed);
  EXPECT_EQ(ask(), HookVerdict::Failed);
  EXPECT_EQ(ask(), HookVerdict::Passed);
}

TEST_F(DeclaredHooksTest, TakesItsTimeAndNotMoreThanTheTimeout) {
  spec_.hooks["ask"] = {HookVerdict::Passed, std::nullopt, std::nullopt, 4s, ""};
  EXPECT_EQ(ask(), HookVerdict::Passed);
  EXPECT_EQ(clock_.now() - kVirtualEpoch, 4s);
  spec_.hooks["ask"].takes = 30s;
  const auto late = hooks_.call(0, hook_, "pre-step", clock_.now());
  EXPECT_EQ(late.verdict, HookVerdict::Failed);
  EXPECT_EQ(late.text, "no answer within 10s");
  EXPECT_EQ(clock_.now() - kVirtualEpoch, 14s);
}

}  // namespace
}  // namespace coalmine::world
