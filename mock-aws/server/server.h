// mock-aws/server: the mock on a port. Sockets, threads and the clock; no meaning of its own.
//
// AWS requests go to a Backend (the cloud), one at a time; everything below /_coalmine/ is for
// the people and tools that run the mock. A ticker thread moves what time moves.
//
//   socket -> Control (host check, API faults, clock) -> Backend::handle -> answer
//   ticker -> Control::tick -> Backend::tick
//
// Below: mock-aws/services, sim/net. Above: sim/cli, sim/lab.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "mock-aws/server/control.h"
#include "sim/core/result.h"

namespace coalmine::mock {

inline constexpr double kMaxSpeed = 1000;

struct MockServerOptions {
  std::string host = "127.0.0.1";
  int port = 4566;
  bool manual_clock = false;  ///< time stands still until POST /_coalmine/clock
  double speed = 1;           ///< how much faster than real time a running clock goes, to kMaxSpeed
  std::uint64_t seed = 1;
  TimePoint not_before{};                  ///< the clock begins there at the earliest
  std::vector<std::string> allowed_hosts;  ///< further names for the host check
};

class MockServer {
 public:
  using MakeBackend = std::function<std::unique_ptr<Backend>(EventSink& events)>;
  /// Paths with their handlers, beside the built-in endpoints ("/_coalmine/routes").
  using Endpoints =
      std::map<std::string, std::function<net::Response(const net::Request&, MockServer& server)>>;

  /// Serves once it returns. Errors (Environment): the address; (Invalid): an option.
  static Result<std::unique_ptr<MockServer>> start(const MockServerOptions& options,
                                                   const MakeBackend& make_backend,
                                                   const Endpoints& endpoints = {});
  ~MockServer();

  int port() const;
  std::string url() const;  ///< "http://127.0.0.1:4566"
  TimePoint now();
  EventHub& events();

  /// Runs `use` as the only caller of the backend, then wakes the ticker: something may be due
  /// earlier now. Not from within the backend.
  template <typename Use>
  auto with_backend(Use use) {
    struct Wake {
      MockServer& server;
      ~Wake() { server.wake(); }
    } wake_after{*this};
    return control().with_backend(std::move(use));
  }

  /// The same for only looking: the ticker and the long polls are not woken.
  template <typename Use>
  auto look_at_backend(Use use) {
    return control().with_backend(std::move(use));
  }

  /// False once stop() has begun; endpoints that wait (long polls) look at it.
  bool running() const;
  /// For long polls: read changes(), look at the state, and if there is nothing yet, wait until
  /// changes() differs from what was read, `timeout` passes or the server stops; look again.
  std::uint64_t changes() const;
  void wait_for_change(std::uint64_t seen, Duration timeout);
  /// Makes the ticker and the long polls look again. From any thread.
  void wake();
  /// Ends streams and long polls, answers what has arrived, joins. Also done by the destructor.
  void stop();

 private:
  class Impl;
  explicit MockServer(std::unique_ptr<Impl> impl);
  Control& control();

  std::unique_ptr<Impl> impl_;
};

}  // namespace coalmine::mock
