#include "mock-aws/server/server.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace coalmine::mock {
namespace {

using Steady = std::chrono::steady_clock;

/// Real time from the moment it is made, `speed` times as fast.
class RunningClock {
 public:
  RunningClock(double speed, TimePoint not_before)
      : speed_(speed),
        wall_start_(
            std::max(not_before, TimePoint{std::chrono::system_clock::now().time_since_epoch()})),
        steady_start_(Steady::now()) {}

  TimePoint now() const {
    const Duration passed = Steady::now() - steady_start_;
    return wall_start_ +
           Duration{static_cast<std::int64_t>(static_cast<double>(passed.count()) * speed_)};
  }
  /// When the steady clock will show what `t` is here.
  Steady::time_point steady(TimePoint t) const {
    const double ahead = static_cast<double>((t - wall_start_).count()) / speed_;
    return steady_start_ + Duration{static_cast<std::int64_t>(ahead)};
  }

 private:
  double speed_;
  TimePoint wall_start_;
  Steady::time_point steady_start_;
};

/// The longest that the ticker sleeps: a limit on what a missed wake-up could cost.
constexpr Duration kMaxTickerSleep = std::chrono::seconds{1};
/// The shortest, so that a backend that is always due does not take a core.
constexpr Duration kMinTickerSleep = std::chrono::milliseconds{1};

}  // namespace

class MockServer::Impl {
 public:
  Impl(const MockServerOptions& options, const MakeBackend& make_backend)
      : clock_(options.speed, options.not_before),
        control_(control_options(options), make_backend(events_), events_) {}

  Status listen(const MockServerOptions& options) {
    TRY(server_,
        net::Server::listen(options.host, options.port, [this](const net::Request& request) {
          net::Response response = control_.handle(request);
          wake();
          return response;
        }));
    if (!options.manual_clock) {
      ticker_ = std::thread([this] { tick_until_stopped(); });
    }
    return {};
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      ++changes_;
    }
    changed_.notify_all();
    events_.close();
    if (server_) server_->stop();
    if (ticker_.joinable()) ticker_.join();
  }

  void wake() {
    {
      const std::lock_guard lock(mutex_);
      ++changes_;
    }
    changed_.notify_all();
  }

  std::uint64_t changes() const {
    const std::lock_guard lock(mutex_);
    return changes_;
  }

  void wait_for_change(std::uint64_t seen, Duration timeout) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, timeout, [&] { return stopping_ || changes_ != seen; });
  }

  bool running() const {
    const std::lock_guard lock(mutex_);
    return !stopping_;
  }

  EventHub events_;
  RunningClock clock_;
  Control control_;
  std::unique_ptr<net::Server> server_;

 private:
  ControlOptions control_options(const MockServerOptions& options) {
    ControlOptions out;
    out.hosts = {options.host, options.allowed_hosts};
    out.seed = options.seed;
    out.speed = options.speed;
    out.start = std::max(out.start, options.not_before);
    if (!options.manual_clock) out.now = [this] { return clock_.now(); };
    out.sleep = [this](Duration delay) { sleep(delay); };
    return out;
  }

  void sleep(Duration delay) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, delay, [this] { return stopping_; });
  }

  void tick_until_stopped() {
    for (;;) {
      std::uint64_t seen = 0;
      {
        const std::lock_guard lock(mutex_);
        if (stopping_) return;
        seen = changes_;
      }
      const auto [ticked, next] = control_.tick();
      if (ticked) {  // for the long polls; what became due by it is looked at at once
        wake();
        continue;
      }
      const auto soonest = Steady::now() + kMinTickerSleep;
      const auto latest = Steady::now() + kMaxTickerSleep;
      const auto until = next == kNever ? latest : std::clamp(clock_.steady(next), soonest, latest);
      std::unique_lock lock(mutex_);
      changed_.wait_until(lock, until, [&] { return stopping_ || changes_ != seen; });
    }
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::uint64_t changes_ = 0;
  std::thread ticker_;
};

MockServer::MockServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
MockServer::~MockServer() {
  stop();
}

Result<std::unique_ptr<MockServer>> MockServer::start(const MockServerOptions& options,
                                                      const MakeBackend& make_backend,
                                                      const Endpoints& endpoints) {
  if (!(options.speed > 0 && options.speed <= kMaxSpeed)) {
    return error("speed is {}, allowed is above 0 to {}", options.speed, kMaxSpeed);
  }
  std::unique_ptr<MockServer> server(new MockServer(std::make_unique<Impl>(options, make_backend)));
  for (const auto& [path, serve] : endpoints) {
    server->control().add_endpoint(
        path, [serve = serve, raw = server.get()](const net::Request& request) {
          return serve(request, *raw);
        });
  }
  TRY_STATUS(server->impl_->listen(options));
  return server;
}

int MockServer::port() const {
  return impl_->server_->port();
}
std::string MockServer::url() const {
  const std::string& host = impl_->server_->host();
  const bool v6 = host.find(':') != std::string::npos;
  return fmt::format("http://{}:{}", v6 ? "[" + host + "]" : host, port());
}
TimePoint MockServer::now() {
  return impl_->control_.now();
}
EventHub& MockServer::events() {
  return impl_->events_;
}
bool MockServer::running() const {
  return impl_->running();
}
std::uint64_t MockServer::changes() const {
  return impl_->changes();
}
void MockServer::wait_for_change(std::uint64_t seen, Duration timeout) {
  impl_->wait_for_change(seen, timeout);
}
void MockServer::stop() {
  impl_->stop();
}
Control& MockServer::control() {
  return impl_->control_;
}
void MockServer::wake() {
  impl_->wake();
}

}  // namespace coalmine::mock
