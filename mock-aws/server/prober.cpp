#include "mock-aws/server/prober.h"

#include "sim/net/http.h"

namespace coalmine::mock {

ProbeOutcome carry_out(const Probe& probe) {
  using Kind = ProbeOutcome::Kind;
  const std::string origin = fmt::format("http://{}:{}", probe.address, probe.port);
  auto client = net::Client::open(origin, {probe.timeout, probe.timeout});
  if (!client) return {Kind::Failed, 0};
  net::Request request;
  request.target = probe.path.empty() ? "/" : probe.path;
  request.headers.set("User-Agent", "ELB-HealthChecker/2.0");
  request.headers.set("Connection", "close");
  const auto answer = (*client)->send(request);
  if (answer) return {Kind::Answered, answer->status};
  const bool late = answer.error().message.find("time") != std::string::npos;
  return {late ? Kind::TimedOut : Kind::Failed, 0};
}

Prober::Prober(Done done) : done_(std::move(done)) {
  for (int i = 0; i < kThreads; ++i) threads_.emplace_back([this] { work(); });
}

Prober::~Prober() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Prober::submit(Probe probe) {
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() >= kMaxWaiting) return;
    waiting_.push_back(std::move(probe));
  }
  wake_.notify_one();
}

void Prober::work() {
  for (;;) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (stopping_) return;
    const Probe probe = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    done_(probe, carry_out(probe));
  }
}

}  // namespace coalmine::mock
