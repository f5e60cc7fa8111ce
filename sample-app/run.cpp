#include "sample-app/run.h"

#include <pthread.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <mutex>
#include <random>

#include "sample-app/app.h"

namespace coalmine::sample {
namespace {

TimePoint now() {
  return TimePoint{std::chrono::steady_clock::now().time_since_epoch()};
}

std::uint64_t fresh_seed() {
  std::random_device device;
  return (std::uint64_t{device()} << 32) | device();
}

class LiveService : public Service {
 public:
  LiveService(const RunOptions& options, std::function<void()> crash)
      : service_(options.service),
        app_(options.version, options.faults, now(),
             Random(options.seed != 0 ? options.seed : fresh_seed()), ServiceQueue(options.limits)),
        crash_(std::move(crash)) {}
  ~LiveService() override { LiveService::drain(); }

  Status listen(const std::string& host, int port) {
    TRY(server_, net::Server::listen(
                     host, port, [this](const net::Request& request) { return handle(request); }));
    return {};
  }
  int port() const override { return server_->port(); }
  void drain() override {
    if (!server_) return;
    {
      const std::lock_guard lock(mutex_);
      draining_ = true;
    }
    wake_.notify_all();
    server_->stop();
  }

 private:
  /// Injected delays longer than this are cut short when draining, so that a stop is prompt.
  static constexpr Duration kDrainDelay = std::chrono::seconds{5};

  net::Response handle(const net::Request& request) {
    const TimePoint begun = now();
    Answer answer = app_.answer(request, begun);
    if (answer.delay > Duration::zero()) wait(answer.delay);
    if (answer.crash) {
      crash_();
      answer.response.misbehaviour = net::Misbehaviour::Reset;
    }
    if (!service_.empty()) answer.response.headers.add("X-Served-By", service_);
    app_.finished(answer, now() - begun);
    return std::move(answer.response);
  }

  void wait(Duration delay) {
    const auto until = std::chrono::steady_clock::now() + delay;
    std::unique_lock lock(mutex_);
    if (wake_.wait_until(lock, until, [this] { return draining_; })) {
      const auto latest = std::min(until, std::chrono::steady_clock::now() + kDrainDelay);
      wake_.wait_until(lock, latest, [] { return false; });
    }
  }

  const std::string service_;
  App app_;
  std::function<void()> crash_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool draining_ = false;
  std::unique_ptr<net::Server> server_;
};

}  // namespace

Result<std::unique_ptr<Service>> Service::start(const RunOptions& options,
                                                std::function<void()> crash) {
  auto service = std::make_unique<LiveService>(options, std::move(crash));
  TRY_STATUS(service->listen(options.host, options.port));
  return service;
}

int run(const RunOptions& options) {
  // Blocked before any thread starts, so that only sigwait() below sees them.
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);

  // A crash is abrupt on purpose: no draining, an exit code as after SIGSEGV's neighbour.
  const auto crash = [] {
    std::fputs("sample-app: crashing, as its faults demand\n", stderr);
    ::_exit(134);
  };
  auto service = Service::start(options, crash);
  if (!service) {
    std::fprintf(stderr, "sample-app: %s\n", to_string(service.error()).c_str());
    return service.error().kind == ErrorKind::Environment ? 3 : 2;
  }
  std::printf("sample-app: ready version=%s http://%s:%d\n", options.version.c_str(),
              options.host.c_str(), (*service)->port());
  std::fflush(stdout);
  int signal = 0;
  sigwait(&ends, &signal);
  (*service)->drain();
  return 0;
}

}  // namespace coalmine::sample
