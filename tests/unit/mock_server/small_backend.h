// A backend for the server's tests: one service that counts, and a timer.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "mock-aws/server/backend.h"
#include "mock-aws/services/ports.h"

namespace coalmine::test {

class SmallBackend : public mock::Backend {
 public:
  explicit SmallBackend(mock::EventSink& events) : events_(events) {}

  /// POST / with X-Operation: "Count" counts, "Timer" rings `body` seconds later.
  net::Response handle(const net::Request& request, TimePoint now) override {
    ++calls_;
    if (request.headers.get("X-Operation") == "Timer") {
      due_ = now + std::chrono::seconds{std::stoi(request.body)};
      every_ = due_ - now;
    }
    events_.event(now, "call.counted", {{"calls", calls_}});
    return net::json_response(200, std::to_string(calls_));
  }
  std::optional<mock::ApiCall> identify(const net::Request& request) const override {
    const std::string* operation = request.headers.find("X-Operation");
    if (operation == nullptr) return std::nullopt;
    return mock::ApiCall{"small", *operation};
  }
  net::Response refuse(const net::Request&, const mock::AwsError& refusal) override {
    return net::json_response(refusal.status, refusal.code);
  }
  void tick(TimePoint now) override {
    ticks_.push_back(now);
    if (now >= due_) {
      events_.event(now, "timer.rang", Json::object());
      due_ = now + every_;
    }
  }
  TimePoint next_wakeup() const override { return due_; }
  void reset(TimePoint) override {
    calls_ = 0;
    due_ = kNever;
  }
  Json state() const override { return {{"calls", calls_}}; }

  const std::vector<TimePoint>& ticks() const { return ticks_; }

 private:
  mock::EventSink& events_;
  int calls_ = 0;
  TimePoint due_ = kNever;
  Duration every_{};
  std::vector<TimePoint> ticks_;
};

}  // namespace coalmine::test
