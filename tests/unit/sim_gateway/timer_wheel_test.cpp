#include "sim/gateway/timer_wheel.h"

#include <gtest/gtest.h>

namespace coalmine::gateway {
namespace {

constexpr std::int64_t kTick = TimerWheel::kTickNs;

TEST(TimerWheel, ADeadlineSetAfterALongIdleWaitFiresOnceAndOnTime) {
  for (const std::int64_t idle : {1, 511, 513, 700, 1023, 1024, 5000}) {
    TimerWheel wheel;
    TimerNode node;
    int fired = 0;
    const auto count = [&fired](TimerNode&) { ++fired; };
    std::int64_t now = 1'000'000 * kTick;
    wheel.advance(now, count);
    now += idle * kTick;
    wheel.set(node, now + 400 * kTick, now);
    wheel.advance(now, count);  // once looped for ever
    EXPECT_EQ(fired, 0) << idle;
    for (int i = 0; i < 399; ++i) wheel.advance(now += kTick, count);
    EXPECT_EQ(fired, 0) << idle;
    wheel.advance(now += 2 * kTick, count);
    EXPECT_EQ(fired, 1) << idle;
  }
}

TEST(TimerWheel, AFiringTimerMayRemoveItsNeighbours) {
  TimerWheel wheel;
  TimerNode a, b;
  std::int64_t now = 5000 * kTick;
  wheel.advance(now, [](TimerNode&) {});
  wheel.set(a, now + kTick, now);
  wheel.set(b, now + kTick, now);
  int fired = 0;
  wheel.advance(now + 2 * kTick, [&](TimerNode& node) {
    ++fired;
    wheel.remove(&node == &a ? b : a);
  });
  EXPECT_EQ(fired, 1);
}

}  // namespace
}  // namespace coalmine::gateway
