#include "sim/rollout/analysis/segments.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/core/check.h"

namespace coalmine::rollout {

Segmented::Segmented(const AnalysisSpec& spec)
    : names_(spec.segments), needs_(1 / alpha_of(spec.test)) {
  CHECK(!names_.empty());
  std::sort(names_.begin(), names_.end());
  if (const auto* share = std::get_if<ErrorShareTest>(&spec.test)) {
    tests_.assign(names_.size(), ErrorShare(*share, spec.burst));
  } else {
    tests_.assign(names_.size(), Bernoulli(std::get<BernoulliTest>(spec.test), spec.burst));
  }
  sum_ = static_cast<double>(tests_.size());
}

double Segmented::evidence_of(const One& test) {
  return std::visit([](const auto& t) { return t.evidence(); }, test);
}

void Segmented::add(const Observation& seen, Scope scope) {
  for (const SegmentCounts& segment : seen.window.segments) {
    const auto at = std::lower_bound(names_.begin(), names_.end(), segment.name);
    if (at == names_.end() || *at != segment.name) continue;
    One& test = tests_[static_cast<std::size_t>(at - names_.begin())];
    const MetricsWindow part{seen.window.from, seen.window.to, segment.stable, segment.canary, {}};
    sum_ -= evidence_of(test);
    std::visit(
        [&](auto& t) {
          t.add(Observation{part, seen.canary_share, seen.settled}, scope);
        },
        test);
    sum_ += evidence_of(test);
  }
}

void Segmented::next_step() {
  sum_ = 0;
  for (One& test : tests_) {
    if (auto* bernoulli = std::get_if<Bernoulli>(&test)) bernoulli->next_step();
    sum_ += evidence_of(test);
  }
}

Evaluation Segmented::evaluate() const {
  const auto strongest =
      std::max_element(tests_.begin(), tests_.end(),
                       [](const One& a, const One& b) { return evidence_of(a) < evidence_of(b); });
  Evaluation e = std::visit([](const auto& t) { return t.evaluate(); }, *strongest);
  const std::string& name = names_[static_cast<std::size_t>(strongest - tests_.begin())];
  e.segment = name;
  e.statistic = evidence();
  e.needs = needs_;
  // The inner sentence speaks of its own evidence; what counts is the mean of all.
  const std::size_t comma = e.sentence.rfind(", evidence");
  e.sentence = fmt::format("segment {}: {}, evidence {}; {} over all {} segments (needs {})", name,
                           e.sentence.substr(0, comma), figure(evidence_of(*strongest)),
                           figure(e.statistic), tests_.size(), figure(needs_));
  return e;
}

}  // namespace coalmine::rollout
