// What a fault decision costs; the virtual world makes one per modelled request.
#include <benchmark/benchmark.h>

#include "sim/traffic/faults/fault.h"

namespace {

using namespace coalmine;

void Decide(benchmark::State& state, const char* text) {
  faults::FaultState faults(*faults::parse_faults(text), kVirtualEpoch);
  Random random(1);
  const faults::RequestFacts request{"/checkout", {}, false};
  for (auto _ : state) {
    benchmark::DoNotOptimize(faults.decide(request, kVirtualEpoch, random));
  }
}
BENCHMARK_CAPTURE(Decide, nothing, "");
BENCHMARK_CAPTURE(Decide, errors, "errors=5%");
BENCHMARK_CAPTURE(Decide, errors_in_bursts, "errors=5%,burst=20");
BENCHMARK_CAPTURE(Decide, errors_and_lognormal, "errors=5%; latency=lognormal(20ms,80ms)");

}  // namespace
