#include "mock-aws/server/cloud_backend.h"

#include <algorithm>

#include "mock-aws/server/replay_driver.h"
#include "mock-aws/services/elbv2/elbv2.h"

namespace coalmine::mock {
namespace {

/// Rounds of actions and events that one moment may take; more would be a loop of our own making.
constexpr int kMaxRounds = 1000;
/// Steps that replay() takes between two calls; what is due later in a long pause comes at once.
constexpr int kMaxReplaySteps = 20'000;
constexpr Duration kSmallestStep = std::chrono::milliseconds{1};

/// Nothing listens at a simulated task's address, so its state answers.
ProbeOutcome simulated_answer(const Region& region, const Probe& probe) {
  for (const TaskView& task : region.ecs->tasks()) {
    if (task.address == probe.address && task.last_status == "RUNNING") return {};
  }
  return {ProbeOutcome::Kind::Failed, 0};
}

}  // namespace

CloudBackend::~CloudBackend() {
  shut_down();
}

void CloudBackend::shut_down() {
  prober_.reset();
  driver_.reset();
  gateways_.reset();
}

void CloudBackend::enable_probes(std::function<void()> wake) {
  prober_ = std::make_unique<Prober>(
      [this, wake = std::move(wake)](const Probe& probe, const ProbeOutcome& outcome) {
        {
          const std::lock_guard lock(probes_mutex_);
          probe_results_.emplace_back(probe.id, outcome);
        }
        woken();
        wake();
      });
}

net::Response CloudBackend::handle(const net::Request& request, TimePoint now) {
  net::Response response = cloud_.handle(request, now);
  if (journal_) response = keep(request, now, std::move(response));
  settle(now);
  return response;
}

/// Refused calls are kept too: they may have drawn from the streams that identifiers come from.
net::Response CloudBackend::keep(const net::Request& request, TimePoint now,
                                 net::Response response) {
  const auto call = identify(request);
  if (!call || only_reads(call->operation)) return response;
  const Status kept = journal_->append({now, request, response.status});
  if (kept) return response;
  // What cannot be kept must not be acknowledged.
  return refuse(request, AwsError{"InternalFailure", kept.error().message, 500});
}

void CloudBackend::clock_moved(TimePoint now) {
  if (journal_) (void)journal_->append({now, {"", "", {}, "", ""}, 0});
}

void CloudBackend::set_driver(std::unique_ptr<TaskDriver> driver) {
  driver_ = std::move(driver);
  if (!driver_) return;
  for (const TaskAction& action : unfinished_) driver_->carry_out(action, replayed_);
  unfinished_.clear();
}

std::size_t CloudBackend::replay(const std::vector<CallEntry>& entries, TimePoint until) {
  auto model = std::make_unique<ReplayDriver>();
  const ReplayDriver& running = *model;
  driver_ = std::move(model);
  std::size_t refused = 0;
  for (const CallEntry& entry : entries) {
    pass_time(entry.t);
    if (entry.request.method.empty()) continue;
    const net::Response again = cloud_.handle(entry.request, entry.t);
    settle(entry.t);
    if (entry.status / 100 == 2 && again.status / 100 != 2) ++refused;
  }
  pass_time(std::max(until, replayed_));
  unfinished_ = running.unfinished();
  return refused;
}

void CloudBackend::pass_time(TimePoint until) {
  if (replayed_ == TimePoint{}) replayed_ = until;
  for (int step = 0; step < kMaxReplaySteps && next_wakeup() < until; ++step) {
    replayed_ = std::min(std::max(next_wakeup(), replayed_ + kSmallestStep), until);
    tick(replayed_);
  }
  replayed_ = until;
  tick(until);
}

void CloudBackend::tick(TimePoint now) {
  woken_ = false;
  cloud_.tick(now);
  settle(now);
}

TimePoint CloudBackend::next_wakeup() const {
  if (woken_) return TimePoint{};
  TimePoint next = cloud_.next_wakeup();
  if (driver_) next = std::min(next, driver_->next_event());
  for (const auto& [scope, region] : cloud_.regions()) {
    next = std::min(next, region->elbv2->next_probe());
  }
  return next;
}

void CloudBackend::reset(TimePoint now) {
  for (const auto& [scope, region] : cloud_.regions()) {
    for (const TaskView& task : region->ecs->tasks()) {
      if (!driver_) continue;
      for (const auto& [container, image] : task.images) {
        driver_->carry_out(ContainerSignal{task.id, container, StopSignal::Kill}, now);
      }
      driver_->carry_out(TaskRelease{task.id, task.address}, now);
    }
  }
  cloud_.reset();
  if (journal_) (void)journal_->clear();
  settle(now);
}

void CloudBackend::settle(TimePoint now) {
  std::vector<std::pair<std::uint64_t, ProbeOutcome>> results;
  {
    const std::lock_guard lock(probes_mutex_);
    results.swap(probe_results_);
  }
  for (const auto& [scope, region] : cloud_.regions()) {
    for (const auto& [id, outcome] : results) region->elbv2->probe_result(id, outcome, now);
  }
  for (int round = 0; round < kMaxRounds; ++round) {
    bool moved = exchange_with_driver(now);
    if (cloud_.next_wakeup() <= now) {
      cloud_.tick(now);
      moved = true;
    }
    if (!moved) break;
  }
  probe(now);
  if (gateways_) gateways_->want(cloud_, now);
}

bool CloudBackend::exchange_with_driver(TimePoint now) {
  if (!driver_) return false;
  bool moved = false;
  for (const auto& [scope, region] : cloud_.regions()) {
    for (const TaskAction& action : region->ecs->take_actions()) {
      driver_->carry_out(action, now);
      moved = true;
    }
  }
  for (const TaskEvent& event : driver_->take_events(now)) {
    for (const auto& [scope, region] : cloud_.regions()) {
      if (region->ecs->on_event(event, now)) break;
    }
    moved = true;
  }
  return moved;
}

void CloudBackend::probe(TimePoint now) {
  for (const auto& [scope, region] : cloud_.regions()) {
    for (Probe& due : region->elbv2->due_probes(now)) {
      if (prober_) {
        prober_->submit(std::move(due));
      } else {
        region->elbv2->probe_result(due.id, simulated_answer(*region, due), now);
      }
    }
  }
}

}  // namespace coalmine::mock
