// sim/rollout/analysis: does the canary behave?
//
// A plan names its tests as plain values (AnalysisSpec); Analysis (analysis.h) keeps their state
// while a rollout goes on and answers with a Verdict and a sentence. Three families:
//
//   sequential tests   error-share, bernoulli, sprt, quantile, distribution: one may look at
//                      them whenever one likes; together they keep their promise that at most a
//                      share alpha of healthy rollouts fails (see split_alpha, merge.h)
//   alarms on a run    late-fault (CUSUM): so many requests between false alarms on average
//   the tools' rules   threshold, judge (Kayenta), and beside the analyses the plan's checks
//                      (Flagger, Argo Rollouts) and alarms (CloudWatch): what people run today,
//                      counted as the tools count. They promise nothing, which is what coalmine
//                      lets one see
//
// Shares are 0 to 1, latencies are seconds where they are doubles.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "sim/core/result.h"
#include "sim/core/time.h"
#include "sim/core/units.h"

namespace coalmine::rollout {

enum class OnFail { Rollback, Pause, Ignore };

/// Whose requests are looked at; Service is both versions together.
enum class Scope { Canary, Stable, Service };

/// Two-sided tests do not know better from worse; rollouts mostly want Up: more is worse.
enum class Direction { Up, Down, Either };

// --- sequential tests ------------------------------------------------------------------------

/// Sequential error-share test (Lindon & Malek, arXiv 2011.03567), one-sided: more of the errors
/// than of the traffic is the canary's. Needs no error rate in advance.
struct ErrorShareTest {
  double alpha = 0.01;  ///< at most this share of healthy rollouts is rolled back
  /// A little weight off the largest shares finds every fault sooner than the flat Beta(1, 1): at
  /// 1% of the traffic 5% against 0.1% takes 48.0 canary requests on average instead of 50.6.
  double prior_a = 1, prior_b = 1.5;
};

/// Wald's sequential probability ratio test on a share (errors, or latency above `over`).
struct SprtTest {
  Percent from, to;
  double alpha = 0.01, beta = 0.01;
  std::optional<Duration> over;  ///< counts requests slower than this; else errors
};

/// The canary's share of bad requests is at most `at_most`: mixture over all higher shares, so
/// that no size of the fault need be named.
struct BernoulliTest {
  Percent at_most;
  double alpha = 0.01;
  double prior_a = 1, prior_b = 20;  ///< of the share, cut to shares above `at_most`
  std::optional<Duration> over;      ///< counts requests slower than this; else errors
};

/// The canary's latency quantile is at most stable's (Howard & Ramdas, arXiv 1906.09512).
struct QuantileTest {
  double quantile = 0.99;
  double alpha = 0.01;
  /// 0.2: up to 20% above stable's quantile is allowed; in steps of latency_grid(), rounded up.
  double tolerance = 0;
};

/// Canary and stable have the same latency distribution (Either), or the canary's is nowhere
/// slower (Up): Lindon, Sanden & Shirikian, KDD 2022, arXiv 2205.14762.
struct DistributionTest {
  double alpha = 0.01;
  Direction direction = Direction::Up;
};

/// CUSUM for faults that come late, such as leaks: raises an alarm on the canary's bad share
/// having moved from `from` to `to`, with at least `between` requests between false alarms on
/// average (Page 1954; Lorden 1971). No alpha: over a run of N requests the share of false
/// alarms is about N / between.
struct CusumTest {
  Percent from, to;
  double between = 1e6;
  std::optional<Duration> over;  ///< counts requests slower than this; else errors
};

// --- the tools' rules ------------------------------------------------------------------------

/// Plain limit on the canary: error share, or a latency quantile. Judged on every datapoint (or
/// as many together as hold `min_requests`).
struct Threshold {
  std::optional<Percent> max_errors;    ///< of the canary's requests in the window
  std::optional<Duration> max_latency;  ///< at `quantile`
  double quantile = 0.99;
  std::uint64_t min_requests = 1;  ///< fewer: no verdict
  int consecutive = 1;             ///< windows in a row that must breach
  // Further ways to set and count the limit; several limits: any breach counts.
  std::optional<double> max_ratio;      ///< canary's error share over stable's, at most
  std::optional<Percent> max_increase;  ///< canary's error share minus stable's, at most
  std::optional<int> cumulative;        ///< instead of `consecutive`: breaches in the rollout
  std::optional<int> of_last;           ///< `consecutive` breaches of the last so many
};

/// A number read off a datapoint, or off as many together as `window` holds.
struct Measure {
  enum class What {
    ErrorShare,    ///< failed / requests
    SuccessShare,  ///< 1 - that
    ErrorCount,
    RequestCount,
    LatencyQuantile,  ///< in seconds
  };
  What what = What::ErrorShare;
  double quantile = 0.99;  ///< of LatencyQuantile
  Duration window = std::chrono::minutes{1};
};

/// One metric of a judge: datapoints of the canary against those of stable, classed by a
/// Mann-Whitney test as Kayenta's judge does.
struct JudgedMetric {
  std::string name;
  Measure measure;  ///< one value per `window`, for each version
  Direction direction = Direction::Either;
  std::string group;
  bool critical = false;        ///< High or Low makes the whole score 0
  bool must_have_data = false;  ///< no data makes the metric fail
  bool remove_outliers = false;
  bool nan_is_zero = false;  ///< else datapoints without requests are left out
  double confidence = 0.98;
  double tolerance = 0.25;
  enum class Effect { MeanRatio, Cles };
  Effect effect = Effect::MeanRatio;
  // Effects within these are no failure; the defaults let nothing off.
  std::optional<double> allowed_increase, allowed_decrease;
  std::optional<double> critical_increase, critical_decrease;
};

struct JudgeTest {
  std::vector<JudgedMetric> metrics;
  struct Group {
    std::string name;
    double weight = 0;  ///< of 100
  };
  std::vector<Group> groups;  ///< groups not listed share the rest
  double pass = 95, marginal = 75;
  Duration interval = std::chrono::hours{1};  ///< between scores
  Duration begin_after{};
  Duration lookback{};  ///< zero: everything since the beginning
  Duration lifetime{};  ///< the score at its end must reach `pass`; zero: every score is judged
                        ///< by `marginal` only
};

// ---------------------------------------------------------------------------------------------

using TestSpec = std::variant<ErrorShareTest, Threshold, SprtTest, BernoulliTest, CusumTest,
                              QuantileTest, DistributionTest, JudgeTest>;

struct AnalysisSpec {
  std::string metric;  ///< "errors", "latency", or what the tools' rules call theirs
  TestSpec test;
  OnFail on_fail = OnFail::Rollback;
  Place place;
  /// Whose requests error-share, bernoulli, sprt, threshold and late-fault count. A canary is
  /// judged by its own; anything else is for showing what goes wrong (see check, warnings).
  Scope scope = Scope::Canary;
  /// One test per segment of the traffic; the promise holds for all of them together. Error-share
  /// and bernoulli only.
  std::vector<std::string> segments;
  /// A bake in which the canary had no request in one of them is one without data
  /// (Plan::on_no_data); else only one in which it had no request at all.
  bool each_segment = false;
  /// Failures come in bursts of up to this length: evidence is capped to one vote per such time
  /// (see burst.h). Error-share, bernoulli and sprt.
  std::optional<Duration> burst;
};

/// "error-share", "threshold", "sprt", …
std::string_view test_name(const TestSpec& test);
/// Whether the test promises its alpha at any time one looks.
bool is_sequential(const TestSpec& test);
/// Its alpha; 0 for the tools' rules.
double alpha_of(const TestSpec& test);
/// The same test with its alpha times `part`.
TestSpec with_alpha_part(TestSpec test, double part);

}  // namespace coalmine::rollout
