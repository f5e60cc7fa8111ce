#include <algorithm>

#include "sim/core/markup.h"
#include "sim/study/report.h"

namespace coalmine::study {
namespace {

constexpr double kRow = 30, kLabel = 210, kBars = 420, kNumber = 110;

const Figures& good(const Evaluation& e) {
  return e.healthy ? *e.healthy : e.written;
}
double mean_of(const Figures& figures, std::string_view metric) {
  const Summary* summary = figures.find(metric);
  return summary == nullptr ? 0 : summary->mean;
}

/// One bar per trial: the mean, with a line over its 95% confidence interval.
struct Chart {
  std::string title;
  std::string metric;
  bool of_good = false;
  std::string (*show)(double) = number;
};

std::string svg(const Chart& chart, const std::vector<Evaluation>& all) {
  double most = 0;
  std::vector<Summary> summaries;
  for (const Evaluation& one : all) {
    const Summary* found = (chart.of_good ? good(one) : one.written).find(chart.metric);
    summaries.push_back(found == nullptr ? Summary{} : *found);
    most = std::max({most, summaries.back().mean, summaries.back().high});
  }
  if (most <= 0) return {};
  const double height = kRow * static_cast<double>(all.size());
  std::string text = fmt::format(
      "<h2>{}</h2>\n<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"{}\">\n",
      escape_markup(chart.title), kLabel + kBars + kNumber, height, escape_markup(chart.title));
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Summary& s = summaries[i];
    const double y = kRow * static_cast<double>(i), middle = y + kRow / 2;
    const auto x = [&](double value) { return kLabel + kBars * std::max(value, 0.0) / most; };
    text += fmt::format("<text x=\"{:.0f}\" y=\"{:.1f}\" class=\"name\">{}</text>\n", kLabel - 8,
                        middle + 5, escape_markup(trial_name(all[i].facts)));
    if (s.n > 0) {
      text += fmt::format(
          "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"/>\n"
          "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>\n",
          kLabel, y + 6, x(s.mean) - kLabel, kRow - 12, x(s.low), middle, x(s.high), middle);
    }
    text +=
        fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n", x(std::max(s.mean, s.high)) + 8,
                    middle + 5, s.n > 0 ? chart.show(s.mean) : "never");
  }
  return text + "</svg>\n";
}

std::string table(const std::vector<Evaluation>& all) {
  std::string text =
      "<table>\n<tr><th>plan<th>steps<th>analysis<th>canary requests<th>failed<th>users"
      "<th>time to detect<th>missed faults<th>false alarms<th>time to promote</tr>\n";
  for (const Evaluation& one : all) {
    const auto cell = [&text](const std::string& value) { text += "<td>" + escape_markup(value); };
    const auto time = [](const Figures& figures, std::string_view metric) {
      const Summary* s = figures.find(metric);
      return s == nullptr || s->n == 0 ? std::string("never") : rough_duration(s->mean);
    };
    text += "<tr>";
    cell(trial_name(one.facts));
    cell(one.facts.steps);
    cell(one.facts.judge.empty() ? "none" : one.facts.judge);
    cell(number(mean_of(one.written, "canary_requests")));
    cell(number(mean_of(one.written, "canary_failed_requests")));
    cell(number(mean_of(one.written, "canary_users")));
    cell(time(one.written, "time_to_detect_s"));
    cell(one.missed_fault ? render(*one.missed_fault) : "-");
    cell(render(one.false_rollback));
    cell(time(good(one), "time_to_promote_s"));
    text += "</tr>\n";
  }
  return text + "</table>\n";
}

/// What one bad release does to each segment; none where the scenario names no segments.
std::string segment_table(const std::vector<Evaluation>& all) {
  if (all.front().written.segments.empty()) return {};
  std::string text =
      "<h2>By segment</h2>\n<table>\n<tr><th>plan<th>segment<th>canary requests<th>failed"
      "<th>users</tr>\n";
  for (const Evaluation& one : all) {
    for (const Figures::Segment& segment : one.written.segments) {
      text += fmt::format("<tr><td>{}<td>{}<td>{}<td>{}<td>{}</tr>\n",
                          escape_markup(trial_name(one.facts)), escape_markup(segment.name),
                          number(segment.requests.mean), number(segment.failed.mean),
                          number(segment.users.mean));
    }
  }
  return text + "</table>\n";
}

constexpr std::string_view kHead = R"(<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<style>
:root{color-scheme:light dark;--ink:#1d2733;--paper:#fff;--bar:#3b7dd8;--mark:#1d2733;--rule:#d5dbe3}
@media(prefers-color-scheme:dark){:root{--ink:#e6ebf2;--paper:#14181d;--bar:#5c9bf0;--mark:#fff;--rule:#39424e}}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:var(--ink);background:var(--paper)}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin:2rem 0 .3rem}
svg{width:100%;height:auto}svg text{fill:var(--ink);font-size:14px}svg .name{text-anchor:end}
svg rect{fill:var(--bar)}svg line{stroke:var(--mark);stroke-width:2}
table{border-collapse:collapse;font-size:.85rem}th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid var(--rule)}
pre{overflow:auto;font-size:.85rem}
</style>
)";

}  // namespace

std::string report_html(Kind kind, const std::vector<Evaluation>& all) {
  const TrialFacts& facts = all.front().facts;
  std::string text(kHead);
  text += fmt::format("<title>{0}</title>\n<h1>{0}</h1>\n<p>{1} seeds{2}.</p>\n",
                      escape_markup(facts.scenario), number(all.front().seeds),
                      facts.worse ? "; fault: " + escape_markup(facts.fault) : "");
  if (facts.worse) {
    text += svg({"Failed requests of one bad release", "canary_failed_requests"}, all);
    text += svg({"Users who meet one bad release", "canary_users"}, all);
    text += svg({"Time to detect a bad release", "time_to_detect_s", false, rough_duration}, all);
    if (facts.floor) {
      text += fmt::format(
          "<p>No test can detect this fault with fewer than {} requests to the "
          "canary on average.</p>\n",
          number(*facts.floor));
    }
  }
  text += svg({"Time to promote a good release", "time_to_promote_s", true, rough_duration}, all);
  text += "<h2>In numbers</h2>\n" + table(all) + segment_table(all);
  text += "<h2>In words</h2>\n<pre>" + escape_markup(render(kind, all)) + "</pre>\n";
  return text + "</html>\n";
}

}  // namespace coalmine::study
