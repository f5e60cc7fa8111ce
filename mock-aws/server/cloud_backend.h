#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "mock-aws/server/backend.h"
#include "mock-aws/server/call_journal.h"
#include "mock-aws/server/gateway_host.h"
#include "mock-aws/server/prober.h"
#include "mock-aws/services/cloud.h"
#include "mock-aws/services/task_actions.h"

namespace coalmine::mock {

/// The whole cloud as the server's backend, with what carries its wishes out: a task driver,
/// health probes, the gateways of load balancers. After every call and tick it hands actions
/// out and events back until nothing more comes of it.
class CloudBackend final : public Backend {
 public:
  CloudBackend(CloudOptions options, EventSink& events) : cloud_(std::move(options), events) {}
  ~CloudBackend() override;

  /// Before the first request; without a driver tasks stay PENDING. What ran at the end of a
  /// replay() is started again by it.
  void set_driver(std::unique_ptr<TaskDriver> driver);
  /// Calls are kept in it from now on, before they are answered.
  void set_journal(std::unique_ptr<CallJournal> journal) { journal_ = std::move(journal); }
  /// Makes the calls of a journal again at their times, tasks run by a model meanwhile, and lets
  /// time go on to `until`. Returns how many were accepted once and are refused now.
  std::size_t replay(const std::vector<CallEntry>& entries, TimePoint until);
  void set_gateways(std::unique_ptr<GatewayHost> gateways) { gateways_ = std::move(gateways); }
  /// Probes are made over sockets; without this a running task's targets are healthy.
  void enable_probes(std::function<void()> wake);
  /// Something has happened outside: tick() has to look. From any thread.
  void woken() { woken_ = true; }

  Cloud& cloud() { return cloud_; }
  std::string published_url() const { return gateways_ ? gateways_->published_url() : ""; }
  /// Ends tasks, probes and gateways; before the server stops.
  void shut_down();

  net::Response handle(const net::Request& request, TimePoint now) override;
  std::optional<ApiCall> identify(const net::Request& request) const override {
    return cloud_.identify(request);
  }
  net::Response refuse(const net::Request& request, const AwsError& refusal) override {
    return cloud_.refuse(request, refusal);
  }
  void tick(TimePoint now) override;
  TimePoint next_wakeup() const override;
  void reset(TimePoint now) override;
  Json state() const override { return cloud_.state(); }
  void clock_moved(TimePoint now) override;

 private:
  void settle(TimePoint now);
  bool exchange_with_driver(TimePoint now);
  void probe(TimePoint now);
  net::Response keep(const net::Request& request, TimePoint now, net::Response response);
  void pass_time(TimePoint until);

  Cloud cloud_;
  std::unique_ptr<TaskDriver> driver_;
  std::unique_ptr<CallJournal> journal_;
  TimePoint replayed_{};                ///< how far replay() came
  std::vector<TaskAction> unfinished_;  ///< for the driver that comes after it
  std::unique_ptr<GatewayHost> gateways_;
  std::unique_ptr<Prober> prober_;
  std::atomic<bool> woken_ = false;
  std::mutex probes_mutex_;
  std::vector<std::pair<std::uint64_t, ProbeOutcome>> probe_results_;  ///< guarded
};

}  // namespace coalmine::mock
