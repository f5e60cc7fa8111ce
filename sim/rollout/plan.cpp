#include "sim/rollout/plan.h"

#include <algorithm>
#include <cmath>

#include "sim/rollout/analysis/spec_check.h"
#include "sim/rollout/plan_parts.h"
#include "sim/rollout/tasks.h"

namespace coalmine::rollout {
namespace {

class Checker {
 public:
  explicit Checker(const Plan& plan) : plan_(plan) {}

  /// What may be meant but rarely is.
  std::vector<Error> run_warnings() {
    run();
    errors_.clear();
    for (const AnalysisSpec& spec : plan_.analyses) {
      for (Error& found : warnings(spec, view_)) errors_.push_back(std::move(found));
    }
    return std::move(errors_);
  }

  std::vector<Error> run() {
    const Place nowhere;
    if (plan_.steps.empty()) add(nowhere, "the plan has no step; write for example weight: 1%");
    if (plan_.steps.size() > kMaxSteps) {
      add(nowhere, "the plan has {} steps, allowed are {}", plan_.steps.size(), kMaxSteps);
    }
    if (plan_.analyses.size() > kMaxAnalyses) {
      add(nowhere, "the plan has {} analyses, allowed are {}", plan_.analyses.size(), kMaxAnalyses);
    }
    if (plan_.stable == plan_.canary) {
      add(nowhere, "stable and canary are both \"{}\"; they must differ", plan_.stable);
    }
    if (plan_.poll <= Duration{}) add(nowhere, "poll must be longer than 0s");
    if (plan_.settle < Duration{}) add(nowhere, "settle must not be negative");
    if (plan_.task_patience <= Duration{}) {
      add(nowhere, "tasks must be given longer than 0s to take requests");
    }
    for (std::size_t i = 0; i < plan_.steps.size(); ++i) check_step(i);
    for (const AnalysisSpec& spec : plan_.analyses) {
      for (Error& found : coalmine::rollout::check(spec, view_))
        errors_.push_back(std::move(found));
    }
    check_parts(plan_, view_.sees_canary, errors_);
    return std::move(errors_);
  }

 private:
  template <typename... Args>
  void add(const Place& place, fmt::format_string<Args...> text, Args&&... args) {
    Error found{fmt::format(text, std::forward<Args>(args)...), ErrorKind::Invalid, std::nullopt};
    if (place != Place{}) found.place = place;
    errors_.push_back(std::move(found));
  }

  void check_step(std::size_t i) {
    const Step& step = plan_.steps[i];
    if (const auto* weight = std::get_if<SetWeight>(&step.what)) {
      if (!(weight->canary.value >= 0 && weight->canary.value <= 100)) {
        add(step.place, "weight is {}%, allowed is 0% to 100%", weight->canary.value);
      }
      weight_ = weight->canary.value;
    } else if (const auto* bake = std::get_if<Bake>(&step.what)) {
      if (bake->length <= Duration{}) {
        add(step.place, "bake is {}, allowed is more than 0s", to_string(bake->length));
      }
      if (!weight_ && !routed_ && !mirrored_)
        add(step.place, "a bake before any weight: set a weight first");
      see_canary();
    } else if (const auto* pause = std::get_if<Pause>(&step.what)) {
      if (pause->timeout && *pause->timeout <= Duration{}) {
        add(step.place, "pause timeout is {}, allowed is more than 0s", to_string(*pause->timeout));
      }
      see_canary();
    } else if (const auto* route = std::get_if<RouteMatching>(&step.what)) {
      routed_ = !route->any_of.empty();
    } else if (const auto* mirror = std::get_if<Mirror>(&step.what)) {
      if (!(mirror->share.value >= 0 && mirror->share.value <= 100)) {
        add(step.place, "mirror is {}%, allowed is 0% to 100%", mirror->share.value);
      }
      mirrored_ = mirror->share.value > 0;
    } else if (const auto* examine = std::get_if<Examine>(&step.what)) {
      check_examine(step, *examine);
    } else if (const auto* scale = std::get_if<ScaleCanary>(&step.what)) {
      if (!(scale->amount >= 0 && scale->amount <= kMostTasks)) {
        add(step.place, "the canary's tasks are {}, allowed is 0 to {}", scale->amount, kMostTasks);
      }
    } else if (const auto* experiment = std::get_if<Experiment>(&step.what)) {
      check_experiment(step, *experiment);
    } else if (std::holds_alternative<Promote>(step.what)) {
      const auto& promote = std::get<Promote>(step.what);
      if (i + 1 != plan_.steps.size()) add(step.place, "promote must be the last step");
      if (promote.version != plan_.canary) {
        add(step.place, "promote names \"{}\", but the canary is \"{}\"", promote.version,
            plan_.canary);
      }
    }
  }

  void check_experiment(const Step& step, const Experiment& experiment) {
    const double share = experiment.share.value;
    if (!(share > 0 && share <= 50)) {
      add(step.place,
          "the experiment gives {}% to each of canary and baseline, allowed is above 0%, up to 50%",
          share);
    }
    if (experiment.length <= Duration{}) {
      add(step.place, "the experiment lasts {}, allowed is more than 0s",
          to_string(experiment.length));
    } else if (weight_.value_or(0) > 0 && experiment.length <= plan_.settle) {
      add(step.place,
          "the experiment lasts {}; the canary has requests already, new weights take up to {} to "
          "act, and only what comes after that is compared: it must be longer",
          to_string(experiment.length), to_string(plan_.settle));
    }
    view_.sees_canary = view_.compares = true;
    view_.highest_weight = std::max(view_.highest_weight, share);
  }

  void check_examine(const Step& step, const Examine& examine) {
    see_canary();
    if (examine.checks.empty()) add(step.place, "a step of checks without a check");
    for (const CheckSpec& spec : examine.checks) {
      check_check(spec, errors_);
      if (!spec.count && !spec.successes) {
        add(spec.place == Place{} ? step.place : spec.place,
            "the check{} never ends: give it a count, or the step is never over", named(spec));
      }
    }
  }

  void see_canary() {
    if (routed_ || mirrored_) {
      view_.sees_canary = view_.compares = true;
      view_.highest_weight = 100;  // who carries the marks nobody knows here
    }
    if (!weight_ || *weight_ <= 0) return;
    view_.sees_canary = true;
    if (*weight_ >= 100) return;
    view_.compares = true;
    view_.highest_weight = std::max(view_.highest_weight, *weight_);
  }

  const Plan& plan_;
  std::vector<Error> errors_;
  std::optional<double> weight_;
  bool routed_ = false;    ///< some requests go to the canary whatever the weights say
  bool mirrored_ = false;  ///< and copies of others
  PlanView view_;
};

}  // namespace

std::string baseline_of(const Plan& plan) {
  return plan.stable + "-baseline";
}

Duration bake_length(const Plan& plan) {
  Duration length{};
  for (const Step& step : plan.steps) {
    if (const auto* bake = std::get_if<Bake>(&step.what)) length += bake->length;
    if (const auto* experiment = std::get_if<Experiment>(&step.what)) length += experiment->length;
  }
  return length;
}

const Promote* promotion_of(const Plan& plan) {
  return plan.steps.empty() ? nullptr : std::get_if<Promote>(&plan.steps.back().what);
}

bool changes_tasks(const Plan& plan) {
  const Promote* promote = promotion_of(plan);
  return plan.capacity == CanaryCapacity::FollowWeight ||
         (promote != nullptr && (promote->kind != PromoteKind::ByWeights || promote->stops_idle)) ||
         has_step<ScaleCanary>(plan) || has_step<Experiment>(plan);
}

int canary_tasks(const ScaleCanary& how, double share, int stable) {
  // Just above a whole number is that number: 20% of 5 tasks are one.
  const auto up = [](double tasks) {
    return static_cast<int>(std::clamp(std::ceil(tasks - 1e-9), 0.0, double{kMostTasks}));
  };
  switch (how.how) {
    case ScaleCanary::How::Tasks:
      return up(how.amount);
    case ScaleCanary::How::Percent:
      return up(how.amount / 100 * stable);
    case ScaleCanary::How::FollowWeight:
      return share <= 0 ? 0 : std::max(1, up(share * stable));
  }
  return stable;
}

std::vector<Error> check(const Plan& plan) {
  return Checker(plan).run();
}

std::vector<Error> analysis_warnings(const Plan& plan) {
  return Checker(plan).run_warnings();
}

}  // namespace coalmine::rollout
