#include "sim/lab/service_process.h"

#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <csignal>

#include "mock-aws/tasks/child.h"
#include "sim/core/units.h"
#include "sim/net/http.h"

namespace coalmine::lab {
namespace {

using Steady = std::chrono::steady_clock;

/// Whether `fd` became readable in time.
bool readable(int fd, Steady::time_point until) {
  pollfd one{fd, POLLIN, 0};
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Steady::now());
  return poll(&one, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0))) > 0;
}

/// What the process says until its first line is whole, it ends, or time is up.
std::string first_line(int fd, Steady::time_point until) {
  std::string text;
  while (text.find('\n') == std::string::npos && readable(fd, until)) {
    char chunk[512];
    const ssize_t n = read(fd, chunk, sizeof chunk);
    if (n <= 0) break;
    text.append(chunk, static_cast<std::size_t>(n));
  }
  return text.substr(0, text.find('\n'));
}

class Process : public ServiceProcess {
 public:
  Process(mock::Child child, int port) : child_(std::move(child)), port_(port) {}

  ~Process() override { end(child_); }

  static void end(mock::Child& child) {
    mock::signal_group(child.pid, SIGTERM);
    if (!readable(child.exit.get(), Steady::now() + kStopTimeout)) {
      mock::signal_group(child.pid, SIGKILL);
      readable(child.exit.get(), Steady::now() + kStopTimeout);
    }
    mock::reap_child(child.pid);
  }

  int port() const override { return port_; }
  bool running() const override { return !readable(child_.exit.get(), Steady::now()); }

  Status set_faults(const std::vector<faults::Fault>& faults) override {
    TRY(const auto client, net::Client::open(fmt::format("http://127.0.0.1:{}", port_)));
    net::Request request;
    request.method = "PUT";
    request.target = "/fault";
    request.body = faults.empty() ? "none" : faults::to_string(faults);
    TRY(const net::Response response, client->send(request));
    if (response.status / 100 != 2) {
      return error(ErrorKind::Environment, "the sample app refused the faults \"{}\": {}",
                   request.body, response.body);
    }
    return {};
  }

 private:
  mock::Child child_;
  int port_;
};

}  // namespace

Result<std::unique_ptr<ServiceProcess>> ServiceProcess::start(const std::string& program,
                                                              const std::string& version,
                                                              std::uint64_t seed) {
  auto started = mock::start_child({program, "--version", version, "--host", "127.0.0.1", "--port",
                                    "0", "--seed", fmt::format("{}", seed)},
                                   {}, true);
  if (!started) {
    return error(ErrorKind::Environment, "{} {} did not start: {}", program, version,
                 started.error().message);
  }
  const std::string line = first_line(started->output.get(), Steady::now() + kStartTimeout);
  const auto colon = line.rfind(':');
  const auto port = colon == std::string::npos
                        ? Result<long long>(error("no port"))
                        : parse_integer(line.substr(colon + 1), "the port", 1, 65535);
  if (line.find("ready") == std::string::npos || !port) {
    Process::end(*started);
    return error(ErrorKind::Environment, "{} {} is not ready; it said: {}", program, version,
                 line.empty() ? "nothing" : line);
  }
  return std::make_unique<Process>(*std::move(started), static_cast<int>(*port));
}

}  // namespace coalmine::lab
