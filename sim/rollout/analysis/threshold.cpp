#include "sim/rollout/analysis/threshold.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "sim/rollout/analysis/bernoulli.h"

namespace coalmine::rollout {

void BreachCount::add(bool breach) {
  if (cumulative_) {
    breaches_ += breach ? 1 : 0;
  } else if (of_last_) {
    last_.push_back(breach);
    if (static_cast<int>(last_.size()) > *of_last_) last_.pop_front();
    breaches_ = static_cast<int>(std::count(last_.begin(), last_.end(), true));
  } else {
    breaches_ = breach ? breaches_ + 1 : 0;
  }
}

void BreachCount::next_step() {
  if (cumulative_) return;
  breaches_ = 0;
  last_.clear();
}

std::string BreachCount::text() const {
  if (cumulative_) return fmt::format("{} of {} breaches in all", breaches_, needs());
  if (of_last_)
    return fmt::format("{} of {} breaches in the last {}", breaches_, needs(), *of_last_);
  return fmt::format("{} of {} breaches in a row", breaches_, needs());
}

ShareLimit::ShareLimit(const Threshold& test) : test_(test), count_(test) {}

void ShareLimit::add(const Observation& seen, Scope scope) {
  if (count_.reached()) return;
  const BadCounts errors = bad_counts(seen.window, scope, {});
  open_.bad_errors += errors.bad;
  open_.requests += errors.requests;
  if (test_.max_latency) open_.bad_latency += bad_counts(seen.window, scope, test_.max_latency).bad;
  const BadCounts stable = bad_counts(seen.window, Scope::Stable, {});
  open_.stable_errors += stable.bad;
  open_.stable_requests += stable.requests;
  if (open_.requests == 0 || open_.requests < test_.min_requests) return;
  judged_ = open_;
  open_ = {};
  count_.add(judge(judged_).breach);
}

void ShareLimit::next_step() {
  count_.next_step();
  open_ = judged_ = {};
}

ShareLimit::Finding ShareLimit::judge(const Counts& c) const {
  Finding worst;
  double worst_excess = -1;
  const auto consider = [&](double value, double limit, std::string text) {
    const bool breach = value > limit;
    const double excess = limit > 0   ? value / limit
                          : value > 0 ? std::numeric_limits<double>::infinity()
                                      : 0;
    if (excess <= worst_excess) return;
    worst_excess = excess;
    worst = {breach || worst.breach, value, limit, std::move(text)};
  };
  const double errors = share_of_counts(c.bad_errors, c.requests);
  const double stable = share_of_counts(c.stable_errors, c.stable_requests);
  const auto counted = [&c](std::uint64_t bad, const std::string& how) {
    return fmt::format("{} of {} canary requests {}", bad, c.requests, how);
  };
  if (test_.max_errors) {
    const double limit = test_.max_errors->share();
    consider(errors, limit,
             fmt::format("{} ({}, allowed {})", counted(c.bad_errors, "failed"),
                         percent_text(errors), percent_text(limit)));
  }
  if (test_.max_latency) {
    const double slow = share_of_counts(c.bad_latency, c.requests), limit = 1 - test_.quantile;
    consider(slow, limit,
             fmt::format("{} ({}, allowed {})", counted(c.bad_latency, bad_text(test_.max_latency)),
                         percent_text(slow), percent_text(limit)));
  }
  const bool comparable = c.stable_requests > 0;
  if (test_.max_ratio && comparable) {
    const double limit = *test_.max_ratio * stable;
    consider(
        errors, limit,
        fmt::format("{} ({}, allowed {:.3g} times stable's {})", counted(c.bad_errors, "failed"),
                    percent_text(errors), *test_.max_ratio, percent_text(stable)));
  }
  if (test_.max_increase && comparable) {
    const double limit = stable + test_.max_increase->share();
    consider(errors, limit,
             fmt::format("{} ({}, allowed {} above stable's {})", counted(c.bad_errors, "failed"),
                         percent_text(errors), percent_text(test_.max_increase->share()),
                         percent_text(stable)));
  }
  return worst;
}

Evaluation ShareLimit::evaluate() const {
  const Finding found = judge(judged_);
  Evaluation e;
  e.test = "threshold";
  e.value = found.value;
  e.limit = found.limit;
  e.n = judged_.requests;
  e.statistic = count_.breaches();
  e.needs = count_.needs();
  e.sentence = fmt::format("{}, {}", found.text.empty() ? "nothing to compare yet" : found.text,
                           count_.text());
  return e;
}

}  // namespace coalmine::rollout
