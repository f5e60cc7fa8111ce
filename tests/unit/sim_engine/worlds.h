// Small worlds that the engine's tests play.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>

#include "sim/engine/direct_plane.h"
#include "sim/engine/mock_plane.h"
#include "sim/engine/simulation.h"

namespace coalmine::engine {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using world::Ending;

inline world::Spec half_and_half(Duration length) {
  world::Spec spec;
  spec.limit = length;
  spec.traffic.rate = Rate{100};
  spec.versions.resize(2);
  spec.versions[0].name = "v1";
  spec.versions[1].name = "v2";
  spec.plan.steps = {{rollout::SetWeight{Percent{50}}, {}},
                     {rollout::Bake{length - seconds{1}}, {}}};
  return spec;
}

inline world::Record play(const world::Spec& spec,
                          const ControlPlaneMaker& maker = make_direct_plane) {
  const auto record = simulate(spec, {}, maker);
  if (!record) {
    ADD_FAILURE() << to_string(record.error());
    return {};
  }
  return *record;
}

inline std::size_t events(const world::Record& record, std::string_view name) {
  return static_cast<std::size_t>(
      std::count_if(record.timeline.begin(), record.timeline.end(),
                    [name](const rollout::Event& event) { return event.name == name; }));
}

}  // namespace coalmine::engine
