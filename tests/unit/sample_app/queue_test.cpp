// A task that serves one request after the other.
#include "sample-app/queue.h"

#include <gtest/gtest.h>

#include "sample-app/app.h"

namespace coalmine::sample {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TimePoint at(int ms) {
  return kVirtualEpoch + milliseconds{ms};
}

/// 10 requests a second; a wait in ms, or -1 where the request is refused.
struct Till {
  ServiceQueue queue;
  int serve(int now_ms, Duration busy = milliseconds{1}) {
    const auto wait = queue.wait(at(now_ms));
    if (!wait) return -1;
    queue.begin(at(now_ms), at(now_ms) + *wait, busy);
    return static_cast<int>(std::chrono::round<milliseconds>(*wait).count());
  }
};

ServiceLimits ten_a_second() {
  ServiceLimits limits;
  limits.spacing = milliseconds{100};
  return limits;
}

TEST(ServiceQueue, WithoutALimitNobodyWaits) {
  Till till;
  for (int i = 0; i < 100; ++i) EXPECT_EQ(till.serve(0, seconds{1}), 0);
}

TEST(ServiceQueue, RequestsWaitForThoseBeforeThem) {
  Till till{ServiceQueue(ten_a_second())};
  EXPECT_EQ(till.serve(0), 0);
  EXPECT_EQ(till.serve(0), 100);
  EXPECT_EQ(till.serve(50), 150);
  EXPECT_EQ(till.serve(1000), 0) << "the queue is empty by then";
}

TEST(ServiceQueue, WhoLosesPatienceTakesNobodysTime) {
  ServiceLimits limits = ten_a_second();
  limits.patience = milliseconds{250};
  Till till{ServiceQueue(limits)};
  for (int i = 0; i < 3; ++i) till.serve(0);
  EXPECT_EQ(till.serve(0), 300);
  EXPECT_EQ(till.serve(0), 300) << "the one before has left";
  EXPECT_EQ(till.serve(50), 250) << "at the edge of the patience one stays";
  EXPECT_EQ(till.serve(50), 350);
}

TEST(ServiceQueue, OnlySoManyAreWorkedOnAtATime) {
  ServiceLimits limits;
  limits.concurrency = 2;
  Till till{ServiceQueue(limits)};
  EXPECT_EQ(till.serve(0, milliseconds{100}), 0);
  EXPECT_EQ(till.serve(0, milliseconds{300}), 0);
  EXPECT_EQ(till.serve(10, milliseconds{100}), 90) << "when the first one is done";
  EXPECT_EQ(till.serve(10, milliseconds{100}), 190);
  EXPECT_EQ(till.serve(500), 0);
}

TEST(ServiceQueue, AFullQueueRefuses) {
  ServiceLimits limits = ten_a_second();
  limits.queue = 1;
  Till till{ServiceQueue(limits)};
  EXPECT_EQ(till.serve(0), 0);
  EXPECT_EQ(till.serve(0), 100);
  EXPECT_EQ(till.serve(0), -1);
  EXPECT_EQ(till.serve(100), 100) << "the one that waited has begun";
}

TEST(ServiceQueue, RequestsQueueInTheAppButHealthChecksDoNot) {
  ServiceLimits limits = ten_a_second();
  limits.queue = 1;
  App app("v1", {}, at(0), Random(1), ServiceQueue(limits));
  net::Request request;
  EXPECT_EQ(app.answer(request, at(0)).delay, Duration{});
  EXPECT_EQ(app.answer(request, at(0)).delay, milliseconds{100});
  net::Request check;
  check.target = "/healthcheck";
  EXPECT_EQ(app.answer(check, at(0)).delay, Duration{});
  const Answer refused = app.answer(request, at(0));
  EXPECT_EQ(refused.response.status, 503);
  EXPECT_EQ(refused.delay, Duration{});
}

}  // namespace
}  // namespace coalmine::sample
