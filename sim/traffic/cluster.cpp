#include "sim/traffic/cluster.h"

#include <algorithm>

namespace coalmine::traffic {
namespace {

bool same_instance(const Instance& a, const Instance& b) {
  return a.id == b.id && a.address == b.address && a.port == b.port;
}

}  // namespace

void ClusterState::update(const Target& target, EmptyPolicy empty) {
  std::vector<Known> now;
  std::vector<std::size_t> origin;  // where each was before
  for (const Instance& instance : target.instances) {
    const auto known = std::find_if(instances_.begin(), instances_.end(), [&](const Known& k) {
      return same_instance(k.instance, instance);
    });
    const bool stays = known != instances_.end();
    now.push_back(stays ? *known : Known{});
    now.back().instance = instance;
    origin.push_back(stays ? static_cast<std::size_t>(known - instances_.begin()) : kNobody);
  }
  instances_ = std::move(now);
  if (!target.outlier) {
    outlier_.reset();
  } else if (!outlier_) {
    outlier_.emplace(*target.outlier, instances_.size());
  } else {
    outlier_->rearrange(*target.outlier, origin);
  }
  if (health_check_ != target.health_check) {
    for (Known& known : instances_) known = {known.instance, Checks::Pending, 0};
  }
  health_check_ = target.health_check;
  empty_ = empty;
  panic_percent_ = target.panic_percent;
  refresh();
}

bool ClusterState::record_outlier(std::size_t instance, int status, TimePoint now) {
  const bool ejected = outlier_->record(instance, status, now);
  if (ejected) refresh();
  return ejected;
}

std::vector<std::size_t> ClusterState::sweep(TimePoint now) {
  if (!outlier_) return {};
  std::vector<std::size_t> ejected = outlier_->sweep(now);
  refresh();
  return ejected;
}

void ClusterState::checked(std::size_t instance, bool passed) {
  if (!health_check_) return;
  Known& known = instances_[instance];
  const Checks seen = passed ? Checks::Passing : Checks::Failing;
  if (known.checks == seen) {
    known.streak = 0;
  } else {
    const int needed = known.checks == Checks::Pending ? 1
                       : passed                        ? health_check_->healthy_threshold
                                                       : health_check_->unhealthy_threshold;
    if (++known.streak >= needed) {
      known.checks = seen;
      known.streak = 0;
    }
  }
  if (passed && known.checks == Checks::Passing && outlier_) outlier_->readmit(instance);
  refresh();
}

void ClusterState::refresh() {
  std::vector<std::size_t> members;
  for (std::size_t i = 0; i < instances_.size(); ++i) {
    if (instances_[i].instance.healthy) members.push_back(i);
  }
  const bool all_sick = members.empty();
  if (all_sick && empty_ == EmptyPolicy::FailOpen) {
    for (std::size_t i = 0; i < instances_.size(); ++i) members.push_back(i);
  }
  usable_.clear();
  for (const std::size_t i : members) {
    if (!ejected(i) && in_by_checks(instances_[i])) usable_.push_back(i);
  }
  panic_ = usable_.size() * 100 < members.size() * static_cast<std::size_t>(panic_percent_);
  const bool fail_open = usable_.empty() && empty_ == EmptyPolicy::FailOpen;
  if (panic_ || fail_open) usable_ = std::move(members);
}

}  // namespace coalmine::traffic
