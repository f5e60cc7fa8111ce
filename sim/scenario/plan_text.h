#pragma once

#include <string>

#include "sim/rollout/plan.h"

namespace coalmine::scenario {

/// The plan as the scenario's `rollout` part and, where it has alarms, `given.alarms`: what
/// loading it gives back. Alarms that are watched and not declared are declared with the values of
/// a first guess, and a comment that says so. Analyses are not printed: no importer makes any.
std::string render_plan(const rollout::Plan& plan);

/// What an alarm is taken to measure that a vendor's plan only names: the canary fails more than 1%
/// of a minute's requests. Minutes without requests do not breach, as those tools' users set it.
rollout::AlarmSpec guessed_alarm(std::string name);

}  // namespace coalmine::scenario
