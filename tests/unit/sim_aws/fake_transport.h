#pragma once

#include <deque>
#include <vector>

#include "sim/aws/client.h"

namespace coalmine::aws::test {

class FakeClock : public Clock {
 public:
  TimePoint now() override { return now_; }
  void sleep_until(TimePoint t) override {
    slept += t - now_;
    now_ = t;
  }
  Duration slept{};

 private:
  TimePoint now_ = kVirtualEpoch;
};

/// Answers from a list, keeps what was asked.
class FakeTransport : public Transport {
 public:
  Result<net::Response> send(const std::string& origin, const net::Request& request) override {
    origins.push_back(origin);
    requests.push_back(request);
    if (answers.empty()) return error(ErrorKind::Environment, "connection refused");
    net::Response answer = answers.front();
    answers.pop_front();
    return answer;
  }
  std::deque<net::Response> answers;
  std::vector<std::string> origins;
  std::vector<net::Request> requests;
};

struct Fixture {
  explicit Fixture(ClientOptions options = {})
      : client(transport, {"AK", "SK", ""}, options, clock, Random(1)) {}
  FakeClock clock;
  FakeTransport transport;
  Client client;
};

}  // namespace coalmine::aws::test
