#include "sim/study/sweep.h"

#include <algorithm>

#include "sim/core/units.h"

namespace coalmine::study {
namespace {

using scenario::Scenario;
using Set = Status (*)(Scenario&, const std::string&);

Result<Percent> percent_within(const std::string& text, double low, double high) {
  TRY(const Percent percent, parse_percent(text));
  if (percent.value < low || percent.value > high) {
    return error("{} lies outside {}% to {}%", text, low, high);
  }
  return percent;
}

Status set_weight(Scenario& scenario, const std::string& text) {
  TRY(const Percent weight, percent_within(text, 0, 100));
  bool first = true;
  for (rollout::Step& step : scenario.spec.plan.steps) {
    auto* set = std::get_if<rollout::SetWeight>(&step.what);
    if (set == nullptr) continue;
    set->canary = first ? weight : std::max(set->canary, weight);
    first = false;
  }
  if (first) return error("the plan sets no weight");
  return {};
}

Status set_bake(Scenario& scenario, const std::string& text) {
  TRY(const Duration length, parse_duration(text));
  if (length <= Duration{} || length > scenario::kMaxLimit) {
    return error("{} is no time to bake", text);
  }
  bool any = false;
  for (rollout::Step& step : scenario.spec.plan.steps) {
    if (auto* bake = std::get_if<rollout::Bake>(&step.what)) {
      bake->length = length;
      any = true;
    }
  }
  if (!any) return error("the plan has no bake");
  fit_limit(scenario.spec);
  return {};
}

/// Faults that the stable version has too are not the canary's.
bool shared(const std::vector<world::Fault>& stable, const world::Fault& fault) {
  return std::any_of(stable.begin(), stable.end(), [&fault](const world::Fault& other) {
    return other.kind == fault.kind && other.share == fault.share &&
           other.segment == fault.segment && other.latency == fault.latency;
  });
}

Status set_fault(Scenario& scenario, const std::string& text) {
  TRY(const Percent share, percent_within(text, 0, 100));
  world::Spec& spec = scenario.spec;
  const auto stable = world::version_index(spec, spec.plan.stable);
  const auto canary = world::version_index(spec, spec.plan.canary);
  if (!stable || !canary) return error("the plan's versions are not in the scenario");
  bool any = false;
  for (world::Fault& fault : spec.versions[*canary].faults) {
    if (shared(spec.versions[*stable].faults, fault)) continue;
    fault.share = share;
    any = true;
  }
  for (world::Event& event : spec.events) {
    auto* inject = std::get_if<world::InjectFault>(&event.what);
    if (inject == nullptr || inject->target != spec.plan.canary) continue;
    inject->fault.share = share;
    any = true;
  }
  if (!any) {
    world::Fault errors;
    errors.share = share;
    spec.versions[*canary].faults.push_back(errors);
  }
  return {};
}

Status set_rate(Scenario& scenario, const std::string& text) {
  TRY(const Rate rate, parse_rate(text));
  if (rate.per_s > scenario::kMaxRatePerS) {
    return error("{} lies above {}/s", text, scenario::kMaxRatePerS);
  }
  scenario.spec.traffic.rate = rate;
  return {};
}

Status set_alpha(Scenario& scenario, const std::string& text) {
  // Written as a share, 0.01, or in percent, 1%.
  TRY(const Percent percent, text.ends_with("%") ? parse_percent(text) : parse_percent(text + "%"));
  const double alpha = text.ends_with("%") ? percent.share() : percent.value;
  if (!(alpha > 0 && alpha < 1)) return error("{} lies outside 0 to 1", text);
  bool any = false;
  for (rollout::AnalysisSpec& analysis : scenario.spec.plan.analyses) {
    std::visit(
        [&](auto& test) {
          if constexpr (requires { test.alpha; }) {
            test.alpha = alpha;
            any = true;
          }
        },
        analysis.test);
  }
  if (!any) return error("no test of the plan has an alpha");
  return {};
}

template <Duration world::Platform::*Member>
Status set_platform(Scenario& scenario, const std::string& text) {
  TRY(const Duration length, parse_duration(text));
  if (Member == &world::Platform::metric_period && length < std::chrono::milliseconds{100}) {
    return error("{} lies below 100ms", text);
  }
  scenario.spec.platform.*Member = length;
  return {};
}

struct Parameter {
  const char* name;
  Set set;
};
constexpr Parameter kParameters[] = {
    {"weight", set_weight},
    {"bake", set_bake},
    {"fault", set_fault},
    {"rate", set_rate},
    {"alpha", set_alpha},
    {"metric-period", set_platform<&world::Platform::metric_period>},
    {"metric-delay", set_platform<&world::Platform::metric_delay>},
    {"route-delay", set_platform<&world::Platform::route_delay>}};

const Parameter* find_parameter(std::string_view name) {
  for (const Parameter& parameter : kParameters) {
    if (parameter.name == name) return &parameter;
  }
  return nullptr;
}

std::string all_parameters() {
  std::string text;
  for (const Parameter& one : kParameters)
    text += (text.empty() ? "" : ", ") + std::string(one.name);
  return text;
}

}  // namespace

Result<Sweep> parse_sweep(std::string_view text) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos || equals + 1 == text.size()) {
    return error("--sweep is \"{}\"; write PARAMETER=VALUE,VALUE,…, as in weight=1%,5%,10%", text);
  }
  Sweep sweep{std::string(text.substr(0, equals)), {}};
  if (find_parameter(sweep.parameter) == nullptr) {
    return error("--sweep: there is no parameter \"{}\", allowed are {}", sweep.parameter,
                 all_parameters());
  }
  for (std::string_view rest = text.substr(equals + 1);;) {
    const auto comma = rest.find(',');
    std::string value(rest.substr(0, comma));
    if (value.empty()) return error("--sweep {}: a value is empty", sweep.parameter);
    if (std::find(sweep.values.begin(), sweep.values.end(), value) != sweep.values.end()) {
      return error("--sweep {}: {} is given twice", sweep.parameter, value);
    }
    sweep.values.push_back(std::move(value));
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  if (sweep.values.size() > kMaxSweepValues) {
    return error("--sweep {}: {} values, allowed are {}", sweep.parameter, sweep.values.size(),
                 kMaxSweepValues);
  }
  return sweep;
}

Result<Scenario> with_parameter(const Scenario& scenario, const std::string& parameter,
                                const std::string& value) {
  const Parameter* known = find_parameter(parameter);
  if (known == nullptr) {
    return error("there is no parameter \"{}\", allowed are {}", parameter, all_parameters());
  }
  Scenario changed = scenario;
  if (const Status set = known->set(changed, value); !set) {
    return error("--sweep {}={}: {}", parameter, value, set.error().message);
  }
  return changed;
}

Result<std::vector<Trial>> sweep_trials(const Trial& base, const std::vector<Sweep>& sweeps) {
  if (sweeps.size() > kMaxSweeps) {
    return error("{} sweeps, allowed are {}", sweeps.size(), kMaxSweeps);
  }
  if (sweeps.size() == 2 && sweeps[0].parameter == sweeps[1].parameter) {
    return error("--sweep {} is given twice", sweeps[0].parameter);
  }
  std::vector<Trial> trials = {base};
  for (const Sweep& sweep : sweeps) {
    std::vector<Trial> wider;
    for (const Trial& trial : trials) {
      for (const std::string& value : sweep.values) {
        Trial one = trial;
        TRY(one.scenario, with_parameter(trial.scenario, sweep.parameter, value));
        one.parameters.emplace_back(sweep.parameter, value);
        wider.push_back(std::move(one));
      }
    }
    trials = std::move(wider);
  }
  return trials;
}

}  // namespace coalmine::study
