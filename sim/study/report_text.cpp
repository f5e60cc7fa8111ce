#include <algorithm>
#include <cmath>

#include "sim/study/report.h"

namespace coalmine::study {
namespace {

using world::Outcome;

std::string thousands(double value) {
  std::string digits = fmt::format("{:.0f}", value);
  for (std::size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, ",");
  return digits;
}

std::string percent(double share) {
  const double p = share * 100;
  if (p == 0 || p == 100) return fmt::format("{:.0f}%", p);
  if (p < 0.095) return fmt::format("{:.2g}%", p);
  // 99.97% must not read as 100%.
  return p > 99.5 ? fmt::format("{:.2f}%", p) : fmt::format("{:.3g}%", p);
}

std::string outcome_line(std::string_view name, std::uint64_t count, std::uint64_t runs,
                         std::string_view note) {
  const Proportion share = proportion(count, runs);
  std::string line = fmt::format("  {:<22}{:>9} of {:<8} {}", name, thousands(double(count)),
                                 thousands(double(runs)), render(share));
  if (!note.empty()) line += fmt::format("  {}", note);
  return line + "\n";
}

std::string summary_row(const Summary* summary, std::string_view label, bool time) {
  if (summary == nullptr || summary->n == 0) return {};
  const auto show = [time](double v) { return time ? rough_duration(v) : number(v); };
  return fmt::format("  {:<28}{:>9}{:>12}{:>15}{:>10}\n", label, show(summary->mean),
                     show(summary->p50), show(summary->p95), show(summary->max));
}

std::string metric_row(const Figures& figures, std::string_view key, std::string_view label,
                       bool time) {
  return summary_row(figures.find(key), label, time);
}

/// Part of the canary's requests in the segment that failed.
double failed_share(const Figures::Segment& segment) {
  return segment.requests.mean > 0 ? segment.failed.mean / segment.requests.mean : 0;
}

/// Failed requests or users by segment, of those hardest hit; none where the scenario names no
/// segments.
std::string segment_rows(const Figures& figures, Summary Figures::Segment::*what) {
  constexpr std::size_t kMost = 5, kLabel = 28;
  std::vector<const Figures::Segment*> order;
  for (const Figures::Segment& segment : figures.segments) order.push_back(&segment);
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return failed_share(*a) > failed_share(*b);
  });
  std::string text;
  for (std::size_t i = 0; i < std::min(order.size(), kMost); ++i) {
    const bool failed = what == &Figures::Segment::failed;
    const std::string share =
        failed ? fmt::format(" ({})", percent(failed_share(*order[i]))) : std::string();
    std::string label = "  in " + order[i]->name;
    if (label.size() + share.size() > kLabel) {
      label = label.substr(0, kLabel - share.size() - 2) + "..";
    }
    label += share;
    text += summary_row(&(order[i]->*what), label, false);
  }
  if (order.size() > kMost) {
    text += fmt::format("    {} other segments: see --report json=FILE\n", order.size() - kMost);
  }
  return text;
}

std::string head(std::string_view label) {
  return fmt::format("  {:<28}{:>9}{:>12}{:>15}{:>10}\n", label, "mean", "half below",
                     "1 in 20 above", "worst");
}

std::string budget_text(const Evaluation& evaluation) {
  const TrialFacts& facts = evaluation.facts;
  const BlastBudget& budget = evaluation.budget;
  if (budget.runs == 0 || budget.total() <= 0) return {};
  std::string text = fmt::format("\nWhere those {} requests go\n", number(budget.total()));
  const auto row = [&](std::string_view label, double value, const std::string& why) {
    return fmt::format("  {:<16}{:>8}  {:<24}  {}\n", label, number(value),
                       bar(value, budget.total(), 24), why);
  };
  const double floor = std::min(facts.floor.value_or(0), budget.test);
  if (facts.floor) text += row("unavoidable", floor, "no test can do with fewer");
  text += row("the test", budget.test - floor, facts.floor ? "what this one needs on top" : "");
  text += row("late metrics", budget.metrics,
              fmt::format("period {}, delay {}", to_string(facts.metric_period),
                          to_string(facts.metric_delay)));
  text +=
      row("late routes", budget.route, fmt::format("route delay {}", to_string(facts.route_delay)));
  return text;
}

std::string fault_text(const Evaluation& evaluation) {
  const TrialFacts& facts = evaluation.facts;
  const Figures& figures = evaluation.written;
  std::string text = "\n" + wrapped(fmt::format("If {} is bad ({})", facts.canary, facts.fault), 2);
  for (const auto& [outcome, count] : figures.outcomes) {
    if (count == 0) continue;
    const bool missed = outcome == Outcome::Promoted || outcome == Outcome::Completed;
    text += outcome_line(world::to_string(outcome), count, figures.runs,
                         missed ? "<- fault missed" : "");
  }
  text += "\n" + head("Cost of one bad release") +
          metric_row(figures, "canary_requests", "requests to " + facts.canary, false) +
          metric_row(figures, "canary_failed_requests", "of these, failed", false) +
          segment_rows(figures, &Figures::Segment::failed) +
          metric_row(figures, "canary_users", "users who met " + facts.canary, false) +
          segment_rows(figures, &Figures::Segment::users) +
          metric_row(figures, "time_to_detect_s", "time to detect", true) +
          metric_row(figures, "time_to_rollback_s", "then time to roll back", true);
  if (facts.invisible) {
    text += "  Neither errors nor latency show this fault: no analysis of them can find it.\n";
  }
  return text + budget_text(evaluation);
}

std::string healthy_text(const Evaluation& evaluation) {
  const TrialFacts& facts = evaluation.facts;
  const Figures& figures = evaluation.healthy ? *evaluation.healthy : evaluation.written;
  std::string text = fmt::format("\nIf {} is as good as {}\n", facts.canary, facts.stable);
  for (const auto& [outcome, count] : figures.outcomes) {
    if (count == 0) continue;
    text += outcome_line(world::to_string(outcome), count, figures.runs,
                         outcome == Outcome::RolledBack && evaluation.false_rollback.count > 0
                             ? "<- false alarms"
                             : "");
  }
  if (evaluation.false_rollback.count == 0) {
    text += fmt::format("  {:<22}no false alarm seen; below {} at 95% confidence\n", "rolled-back",
                        percent(evaluation.false_rollback.high));
  }
  const Summary* promote = figures.find("time_to_promote_s");
  if (promote != nullptr && promote->n > 0) {
    text +=
        fmt::format("  {:<22}{} on average\n", "a promotion takes", rough_duration(promote->mean));
  }
  return text;
}

std::string checks_text(const Evaluation& evaluation) {
  std::string text;
  for (const CheckRate& check : evaluation.checks) {
    if (check.passed.count == check.passed.n) continue;
    text += fmt::format("  {:<22}{:>9} of {:<8} {}\n", check.name,
                        thousands(double(check.passed.count)), thousands(double(check.passed.n)),
                        render(check.passed));
  }
  if (text.empty()) {
    return fmt::format("\nAll {} checks of the file hold with every seed.\n",
                       evaluation.checks.size());
  }
  return "\nChecks of the file that do not hold with every seed\n" + text;
}

}  // namespace

std::string wrapped(const std::string& text, std::size_t indent) {
  constexpr std::size_t kWidth = 78;
  std::string out, line;
  for (std::size_t begin = 0; begin <= text.size();) {
    const auto end = std::min(text.find(' ', begin), text.size());
    const std::string word = text.substr(begin, end - begin);
    if (!line.empty() && line.size() + 1 + word.size() > kWidth) {
      out += line + "\n";
      line = std::string(indent, ' ') + word;
    } else {
      line += (begin == 0 ? "" : " ") + word;
    }
    begin = end + 1;
  }
  return out + line + "\n";
}

std::string number(double value) {
  if (value == 0) return "0";
  if (value >= 999.5) return thousands(value);
  if (value == std::floor(value)) return fmt::format("{:.0f}", value);
  return value < 0.01 ? fmt::format("{:.1g}", value) : fmt::format("{:.3g}", value);
}

std::string render(const Proportion& share) {
  if (share.n == 0) return "-";
  return fmt::format("{} ({} to {})", percent(share.rate), percent(share.low), percent(share.high));
}

std::string rough_duration(double seconds) {
  if (seconds < 0.9995) return fmt::format("{:.0f}ms", seconds * 1000);
  if (seconds < 9.95) return fmt::format("{:.1f}s", seconds);
  const auto whole = static_cast<long long>(seconds + 0.5);
  if (whole < 60) return fmt::format("{}s", whole);
  if (whole < 3600) {
    return whole % 60 == 0 ? fmt::format("{}m", whole / 60)
                           : fmt::format("{}m{:02}s", whole / 60, whole % 60);
  }
  const auto minutes = (whole + 30) / 60;
  if (minutes / 60 < 48) return fmt::format("{}h{:02}m", minutes / 60, minutes % 60);
  return fmt::format("{}d{}h", minutes / 1440, minutes % 1440 / 60);
}

std::string bar(double value, double full, std::size_t width, char fill) {
  if (value <= 0 || full <= 0) return {};
  const double cells = value / full * static_cast<double>(width);
  return std::string(std::clamp<std::size_t>(static_cast<std::size_t>(cells + 0.5), 1, width),
                     fill);
}

std::string render_evaluation(const Evaluation& evaluation) {
  const TrialFacts& facts = evaluation.facts;
  std::string text = wrapped(
      fmt::format("{}, {}, {} seeds", facts.scenario, facts.plan, thousands(evaluation.seeds)), 2);
  text += wrapped("  plan: " + facts.steps, 8);
  text += wrapped("  analysis: " + (facts.judge.empty() ? "none" : facts.judge), 12);
  if (facts.worse) text += fault_text(evaluation);
  text += healthy_text(evaluation);
  return text + checks_text(evaluation);
}

}  // namespace coalmine::study
