#include <algorithm>

#include "sim/study/report.h"

namespace coalmine::study {
namespace {

constexpr std::size_t kNameWidth = 22;
constexpr std::size_t kBarWidth = 34;

/// Cut in the middle, where file names differ least.
std::string short_name(const std::string& name, std::size_t width) {
  if (name.size() <= width) return name;
  const std::size_t tail = (width - 2) * 2 / 3, head = width - 2 - tail;
  return name.substr(0, head) + ".." + name.substr(name.size() - tail);
}

/// The same, of names that look alike then from where they begin to differ.
std::vector<std::string> short_names(const std::vector<Evaluation>& all) {
  std::vector<std::string> full, brief;
  for (const Evaluation& one : all) {
    full.push_back(trial_name(one.facts));
    brief.push_back(short_name(full.back(), kNameWidth));
  }
  std::vector<std::string> told = brief;
  for (std::size_t i = 0; i < full.size(); ++i) {
    std::size_t same = 0;  // characters in common with the most alike of those that look alike
    for (std::size_t k = 0; k < full.size(); ++k) {
      if (k == i || brief[k] != brief[i] || full[k] == full[i]) continue;
      const auto differ =
          std::mismatch(full[i].begin(), full[i].end(), full[k].begin(), full[k].end());
      same = std::max(same, static_cast<std::size_t>(differ.first - full[i].begin()));
    }
    if (same > 2) told[i] = ".." + short_name(full[i].substr(same - 2), kNameWidth - 2);
  }
  return told;
}

double mean_of(const Figures& figures, std::string_view metric) {
  const Summary* summary = figures.find(metric);
  return summary == nullptr ? 0 : summary->mean;
}
bool has(const Figures& figures, std::string_view metric) {
  const Summary* summary = figures.find(metric);
  return summary != nullptr && summary->n > 0;
}
const Figures& good(const Evaluation& e) {
  return e.healthy ? *e.healthy : e.written;
}

std::string share_text(double rate) {
  if (rate == 0 || rate == 1) return fmt::format("{:.0f}%", rate * 100);
  return fmt::format("{:.2g}%", rate * 100);
}

/// Quoted where it must be (RFC 4180).
std::string csv(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

using Value = double (*)(const Evaluation&);

std::string bars(const std::vector<Evaluation>& all, const std::string& title, Value value,
                 std::string (*show)(double)) {
  double most = 0;
  for (const Evaluation& one : all) most = std::max(most, value(one));
  if (most <= 0) return {};
  std::string text = "\n" + title + "\n";
  const std::vector<std::string> names = short_names(all);
  for (std::size_t i = 0; i < all.size(); ++i) {
    text += fmt::format("  {:<{}}  {:<{}}  {}\n", names[i], kNameWidth,
                        bar(value(all[i]), most, kBarWidth), kBarWidth, show(value(all[i])));
  }
  return text;
}

double failed_of(const Evaluation& e) {
  return mean_of(e.written, "canary_failed_requests");
}
double users_of(const Evaluation& e) {
  return mean_of(e.written, "canary_users");
}
double promote_of(const Evaluation& e) {
  return mean_of(good(e), "time_to_promote_s");
}
std::string promote_text(double seconds) {
  return seconds > 0 ? rough_duration(seconds) : "never";
}

}  // namespace

std::string render_table(const std::vector<Evaluation>& all) {
  const bool worse = all.front().facts.worse;
  std::string text = fmt::format("{:<{}}", "", kNameWidth);
  if (worse) text += fmt::format("{:>33}", "if " + all.front().facts.canary + " is bad");
  text += fmt::format("{:>25}\n", "if " + all.front().facts.canary + " is good");
  text += fmt::format("{:<{}}", "plan", kNameWidth);
  if (worse) text += fmt::format("{:>7}{:>9}{:>9}{:>8}", "failed", "users", "detect", "missed");
  text += fmt::format("{:>14}{:>11}\n", "false alarms", "promotes");
  const std::vector<std::string> names = short_names(all);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Evaluation& one = all[i];
    text += fmt::format("{:<{}}", names[i], kNameWidth);
    if (worse) {
      text += fmt::format("{:>7}{:>9}{:>9}{:>8}", number(failed_of(one)), number(users_of(one)),
                          has(one.written, "time_to_detect_s")
                              ? rough_duration(mean_of(one.written, "time_to_detect_s"))
                              : "never",
                          one.missed_fault ? share_text(one.missed_fault->rate) : "-");
    }
    text += fmt::format(
        "{:>14}{:>11}\n", share_text(one.false_rollback.rate),
        has(good(one), "time_to_promote_s") ? rough_duration(promote_of(one)) : "never");
  }
  return text;
}

namespace {

/// "2.5 times", "15%": how much larger `a` is than `b`.
std::string more(double a, double b) {
  const double ratio = a / b;
  return ratio >= 2 ? fmt::format("{:.2g} times", ratio)
                    : fmt::format("{:.0f}%", (ratio - 1) * 100);
}

template <typename... Args>
std::string say(fmt::format_string<Args...> text, Args&&... args) {
  return wrapped(fmt::format(text, std::forward<Args>(args)...), 12);
}

/// Among the plans that promote at all.
std::string fastest(const std::vector<Evaluation>& all) {
  const Evaluation *fast = nullptr, *slow = nullptr;
  for (const Evaluation& one : all) {
    if (promote_of(one) <= 0) continue;
    if (fast == nullptr || promote_of(one) < promote_of(*fast)) fast = &one;
    if (slow == nullptr || promote_of(one) > promote_of(*slow)) slow = &one;
  }
  if (fast == nullptr || promote_of(*slow) <= promote_of(*fast) * 1.02) return {};
  return say("Fastest:    {}, promotes in {}; {} takes {} longer.", trial_name(fast->facts),
             rough_duration(promote_of(*fast)), trial_name(slow->facts),
             more(promote_of(*slow), promote_of(*fast)));
}

std::string conclusion(const std::vector<Evaluation>& all) {
  if (all.size() < 2) return {};
  std::string text = "\n";
  const auto by = [&all](Value value) {
    return std::minmax_element(
        all.begin(), all.end(),
        [value](const Evaluation& a, const Evaluation& b) { return value(a) < value(b); });
  };
  if (all.front().facts.worse) {
    const auto [least, most] = by(failed_of);
    if (failed_of(*most) > failed_of(*least) * 1.05) {
      text += say("Least harm: {}, {} failed requests per bad release; {} has {}.",
                  trial_name(least->facts), number(failed_of(*least)), trial_name(most->facts),
                  number(failed_of(*most)));
    } else {
      text += "All plans do about the same harm.\n";
    }
  }
  text += fastest(all);
  for (const Evaluation& one : all) {
    if (good(one).count(world::Outcome::Paused) * 2 > static_cast<std::uint64_t>(one.seeds)) {
      text +=
          say("Waits:      {} stops at a pause that nobody ends here; say who does in the "
              "scenario: when: [{{at: 25m, operator: resume}}].",
              trial_name(one.facts));
    }
    if (one.missed_fault && one.missed_fault->rate > 0.01) {
      text += say("Beware:     {} lets {} of such faults through.", trial_name(one.facts),
                  share_text(one.missed_fault->rate));
    }
    if (one.false_rollback.low > 0.01) {
      text += say("Beware:     {} stops {} of good releases.", trial_name(one.facts),
                  share_text(one.false_rollback.rate));
    }
  }
  return text;
}

}  // namespace

std::string trial_name(const TrialFacts& facts) {
  if (facts.parameters.empty()) return facts.plan;
  std::string name;
  for (const auto& [key, value] : facts.parameters) {
    name += fmt::format("{}{} {}", name.empty() ? "" : ", ", key, value);
  }
  return name;
}

std::string render_sweep(const std::vector<Evaluation>& all) {
  const TrialFacts& facts = all.front().facts;
  std::string text =
      wrapped(fmt::format("{}, {}: {} values, the same {} seeds each", facts.scenario, facts.plan,
                          all.size(), number(all.front().seeds)),
              2);
  if (facts.worse) text += wrapped("fault: " + facts.fault, 7);
  text += "\n" + render_table(all);
  if (facts.worse) text += bars(all, "Failed requests of one bad release", failed_of, number);
  return text + bars(all, "Time to promote a good release", promote_of, promote_text);
}

std::string render(Kind kind, const std::vector<Evaluation>& all) {
  if (kind == Kind::Compare) return render_comparison(all);
  if (kind == Kind::Sweep) return render_sweep(all);
  return render_evaluation(all.front());
}

std::string report_csv(const std::vector<Evaluation>& all) {
  std::string text;
  for (const auto& [key, value] : all.front().facts.parameters) text += key + ",";
  text += "plan,seeds,information_floor_requests";
  for (const auto& [name, summary] : all.front().written.metrics) {
    text += fmt::format(",{0}_mean,{0}_low,{0}_high,{0}_p50,{0}_p95,{0}_max", name);
  }
  text +=
      ",missed_fault_rate,missed_fault_low,missed_fault_high,false_rollback_rate,"
      "false_rollback_low,false_rollback_high,healthy_time_to_promote_s_mean\n";
  for (const Evaluation& one : all) {
    for (const auto& [key, value] : one.facts.parameters) text += csv(value) + ",";
    text += fmt::format("{},{},{}", csv(one.facts.plan), one.seeds,
                        one.facts.floor ? fmt::format("{}", *one.facts.floor) : "");
    for (const auto& [name, s] : one.written.metrics) {
      text += s.n == 0
                  ? ",,,,,,"
                  : fmt::format(",{},{},{},{},{},{}", s.mean, s.low, s.high, s.p50, s.p95, s.max);
    }
    text += one.missed_fault ? fmt::format(",{},{},{}", one.missed_fault->rate,
                                           one.missed_fault->low, one.missed_fault->high)
                             : ",,,";
    text += fmt::format(
        ",{},{},{},{}\n", one.false_rollback.rate, one.false_rollback.low, one.false_rollback.high,
        has(good(one), "time_to_promote_s") ? fmt::format("{}", promote_of(one)) : "");
  }
  return text;
}

std::string render_comparison(const std::vector<Evaluation>& all) {
  const TrialFacts& facts = all.front().facts;
  std::string text = fmt::format("{}: {} plans, the same {} seeds\n", facts.scenario, all.size(),
                                 number(all.front().seeds));
  if (facts.worse) text += wrapped("fault: " + facts.fault, 7);
  text += "\n";
  for (const Evaluation& one : all) {
    text += wrapped(fmt::format("{}: {}; {}", trial_name(one.facts), one.facts.steps,
                                one.facts.judge.empty() ? "no analysis" : one.facts.judge),
                    4);
  }
  text += "\n" + render_table(all);
  if (facts.worse) {
    text += bars(all, "Failed requests of one bad release", failed_of, number);
    if (facts.floor) {
      text += fmt::format("  no test can detect this fault with fewer than {} canary requests\n",
                          number(*facts.floor));
    }
    text += bars(all, "Users who meet one bad release", users_of, number);
  }
  text += bars(all, "Time to promote a good release", promote_of, promote_text);
  return text + conclusion(all);
}

}  // namespace coalmine::study
