#include "sim/cli/lab_clock.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "sim/aws/real_clock.h"
#include "sim/core/json.h"
#include "sim/net/http.h"

namespace coalmine::cli {
namespace {

/// How long a stop, or a step of a manual clock, may go unnoticed.
constexpr Duration kSlice = std::chrono::milliseconds{20};

struct Reading {
  TimePoint time;
  bool manual = false;
  double speed = 1;
};

std::optional<Reading> ask(net::Client& mock) {
  net::Request request;
  request.target = "/_coalmine/clock";
  const auto answer = mock.send(request);
  if (!answer || answer->status != 200) return std::nullopt;
  const auto json = parse_json(answer->body);
  if (!json) return std::nullopt;
  const double epoch_s = get_number(*json, "epoch_s");
  if (epoch_s <= 0) return std::nullopt;
  const double speed = get_number(*json, "speed");
  return Reading{from_epoch_seconds(epoch_s), get_string(*json, "clock") == "manual",
                 speed > 0 ? speed : 1};
}

/// The mock's time when it was asked, moved on at the mock's speed.
class FastClock : public Clock {
 public:
  FastClock(const Reading& reading, const std::atomic<bool>* stop)
      : reading_(reading), steady_(std::chrono::steady_clock::now()), stop_(stop) {}

  TimePoint now() override {
    const Duration passed = std::chrono::steady_clock::now() - steady_;
    return reading_.time + Duration{static_cast<std::int64_t>(static_cast<double>(passed.count()) *
                                                              reading_.speed)};
  }
  void sleep_until(TimePoint t) override {
    for (TimePoint at = now(); at < t; at = now()) {
      if (stop_ != nullptr && stop_->load()) return;
      const Duration left{
          static_cast<std::int64_t>(static_cast<double>((t - at).count()) / reading_.speed) + 1};
      std::this_thread::sleep_for(std::min(kSlice, left));
    }
  }

 private:
  const Reading reading_;
  const std::chrono::steady_clock::time_point steady_;
  const std::atomic<bool>* stop_;
};

/// Asks each time; while the mock does not answer, time stands still as well.
class ManualClock : public Clock {
 public:
  ManualClock(std::unique_ptr<net::Client> mock, TimePoint now, const std::atomic<bool>* stop)
      : mock_(std::move(mock)), now_(now), stop_(stop) {}

  TimePoint now() override {
    if (const auto reading = ask(*mock_)) now_ = std::max(now_, reading->time);
    return now_;
  }
  void sleep_until(TimePoint t) override {
    while (now() < t) {
      if (stop_ != nullptr && stop_->load()) return;
      std::this_thread::sleep_for(kSlice);
    }
  }

 private:
  std::unique_ptr<net::Client> mock_;
  TimePoint now_;
  const std::atomic<bool>* stop_;
};

}  // namespace

std::unique_ptr<Clock> lab_clock(const std::string& endpoint, const std::atomic<bool>* stop) {
  net::ClientOptions patience;
  patience.connect_timeout = patience.read_timeout = std::chrono::seconds{5};
  auto mock = net::Client::open(endpoint, patience);
  if (!mock) return std::make_unique<aws::RealClock>(stop);
  const auto reading = ask(**mock);
  if (!reading) return std::make_unique<aws::RealClock>(stop);
  if (reading->manual) {
    return std::make_unique<ManualClock>(*std::move(mock), reading->time, stop);
  }
  if (reading->speed == 1) return std::make_unique<aws::RealClock>(stop);
  return std::make_unique<FastClock>(*reading, stop);
}

}  // namespace coalmine::cli
