#include "sim/cli/lab_clock.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <thread>

#include "sim/aws/real_clock.h"
#include "sim/core/json.h"
#include "sim/net/http.h"

namespace coalmine::cli {
namespace {

/// How long a step of a manual clock may go unnoticed.
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
  return std::make_unique<aws::RealClock>(reading->time, reading->speed, stop);
}

}  // namespace coalmine::cli
