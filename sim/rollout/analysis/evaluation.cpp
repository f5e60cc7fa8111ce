#include "sim/rollout/analysis/evaluation.h"

#include <fmt/format.h>

#include "sim/core/check.h"

namespace coalmine::rollout {

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::Continue:
      return "continue";
    case Verdict::Accept:
      return "accept";
    case Verdict::Inconclusive:
      return "inconclusive";
    case Verdict::Fail:
      return "fail";
  }
  CHECK_FAILED("verdict");
}

std::string figure(double value) {
  if (value >= 999.5 && value < 1e6) return fmt::format("{:.0f}", value);
  return fmt::format("{:.3g}", value);
}

std::string percent_text(double share) {
  return fmt::format("{:.3g}%", share * 100);
}

double share_of_counts(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace coalmine::rollout
