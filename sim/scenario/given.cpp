#include "sim/scenario/fault_keys.h"
#include "sim/scenario/tables.h"

namespace coalmine::scenario {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr Duration kMaxLatency = minutes{10};

Rule<Clock> clock_rule() {
  return ObjectRule<Clock>("when the run ends and where its randomness begins")
      .optional("seed", integer_rule("first seed of the random streams", 0, std::int64_t{1} << 53),
                &Clock::seed)
      .optional("limit",
                duration_rule("the run ends here at the latest; default 1h", seconds{1}, kMaxLimit),
                &Clock::limit)
      .rule();
}

Rule<world::Segment> segment_rule() {
  return ObjectRule<world::Segment>("a part of the traffic with a path of its own")
      .required("name", name_rule("name of the segment"), &world::Segment::name)
      .optional("path", path_rule("path of its requests; default /"), &world::Segment::path)
      .optional("header",
                header_rule(
                    "header that its requests carry, a cookie as Cookie:NAME=VALUE; default: none"),
                &world::Segment::header)
      .required("share", percent_rule("share of all requests", 0, 100), &world::Segment::share)
      .then([](const YamlNode& node, Reader& reader, world::Segment& segment) {
        if (segment.share.value > 0) return true;
        return reader.problem(node, "the segment \"{}\" has no share of the traffic", segment.name);
      })
      .rule();
}

Rule<world::Diurnal> diurnal_rule() {
  return ObjectRule<world::Diurnal>("the rate swells and ebbs once in 24h; `rate` is its peak")
      .optional("low", percent_rule("the quietest moment, of the rate; default 30%", 0, 100),
                &world::Diurnal::low)
      .optional(
          "peak-at",
          duration_rule("the busiest moment, after the start; default 0s", Duration{}, hours{24}),
          &world::Diurnal::peak_at)
      .rule();
}

Rule<TrafficDraft> traffic_rule() {
  using T = TrafficDraft;
  return ObjectRule<T>("who asks, and how often")
      .add("rate", false, rate_rule("requests", 0, kMaxRatePerS),
           [](T& t, Rate rate) { t.traffic.rate = rate; })
      .add("arrivals", false,
           word_rule<world::Arrivals>(
               "how requests follow one another; default poisson",
               {{"poisson", world::Arrivals::Poisson}, {"constant", world::Arrivals::Constant}}),
           [](T& t, world::Arrivals arrivals) { t.traffic.arrivals = arrivals; })
      .add("users", false, integer_rule("number of users; default 10000", 1, 1'000'000'000),
           [](T& t, std::int64_t users) { t.traffic.users = static_cast<std::uint64_t>(users); })
      .add("segments", false, list_rule("parts of the traffic", segment_rule(), 1, kMaxSegments),
           [](T& t, std::vector<world::Segment> list) { t.traffic.segments = std::move(list); })
      .add("diurnal", false, diurnal_rule(),
           [](T& t, world::Diurnal diurnal) { t.traffic.diurnal = diurnal; })
      .optional("trace",
                text_rule("instead of rate: a file beside this one with lines SECONDS,REQUESTS_"
                          "PER_SECOND; each rate holds until the next line's"),
                &T::trace)
      .then([](const YamlNode& node, Reader& reader, T& draft) {
        double sum = 0;
        for (const world::Segment& segment : draft.traffic.segments) sum += segment.share.value;
        if (sum > 100 + 1e-9) {
          return reader.problem(node, "the segments' shares add up to {}%, allowed is 100%", sum);
        }
        const bool rate = has_key(node, "rate");
        if (!rate && draft.trace.empty()) {
          return reader.problem(node, "the key \"rate\" is missing");
        }
        if (!draft.trace.empty() && (rate || draft.traffic.diurnal)) {
          return reader.problem(node, "\"trace\" says the rate; \"{}\" does not go with it",
                                rate ? "rate" : "diurnal");
        }
        for (const auto& [key, value] : node.pairs) {
          if (key.text == "trace") draft.trace_place = reader.place(value);
        }
        return true;
      })
      .rule();
}

Rule<VersionDraft> version_rule() {
  return ObjectRule<VersionDraft>("a version of the service")
      .optional("tasks", integer_rule("copies that run; default 1", 1, 1000), &VersionDraft::tasks)
      .optional("capacity",
                rate_rule("requests that one task can serve; further ones queue. Default: no limit",
                          0.001, kMaxRatePerS),
                &VersionDraft::capacity)
      .optional("concurrency",
                integer_rule("requests that one task works on at a time; further ones queue. "
                             "Default: no limit",
                             1, 100'000),
                &VersionDraft::concurrency)
      .optional("queue",
                integer_rule("requests that may wait at one task, further ones get 503. Default: "
                             "no limit",
                             0, 1'000'000),
                &VersionDraft::queue)
      .optional("latency",
                latency_rule("time to answer; default: as the stable version, or lognormal with "
                             "median 20ms and p99 80ms"),
                &VersionDraft::latency)
      .optional("errors", percent_rule("share of requests answered with 500; default 0%", 0, 100),
                &VersionDraft::errors)
      .optional("faults",
                list_rule("what else is wrong with it, from the beginning", fault_rule(), 1, 20),
                &VersionDraft::faults)
      .then([](const YamlNode& node, Reader& reader, VersionDraft& version) {
        if (!version.queue || version.capacity || version.concurrency) return true;
        return reader.problem(node,
                              "a queue needs a capacity or a concurrency: without one nobody "
                              "waits");
      })
      .rule();
}

Rule<world::Retries> retries_rule() {
  using R = world::Retries;
  // App Mesh's HttpRetryPolicy and TcpRetryPolicyEvents.
  std::vector<std::pair<std::string, std::string>> events;
  for (const char* event :
       {"server-error", "gateway-error", "client-error", "stream-error", "connection-error"}) {
    events.emplace_back(event, event);
  }
  return ObjectRule<R>(
             "which failed attempts the mesh's gateway makes again before a user hears of them; "
             "default: App Mesh's own, twice on a 503, a refused or a broken connection")
      .add("max", true, integer_rule("so many further attempts; 0: none", 0, 25),
           [](R& r, std::int64_t max) { r.max = static_cast<int>(max); })
      .optional(
          "on",
          list_rule("App Mesh's retry events",
                    word_rule<std::string>("server-error is any 5xx, gateway-error 502 to 504",
                                           std::move(events)),
                    1, 5),
          &R::on)
      .then([](const YamlNode& node, Reader& reader, R& retries) {
        if (retries.max == 0 || !retries.on.empty()) return true;
        return reader.problem(node, "\"on\" says what is tried again, as in [server-error]");
      })
      .rule();
}

Rule<world::Platform> platform_rule() {
  return ObjectRule<world::Platform>("how fast and how patient the platform is")
      .optional("retries", retries_rule(), &world::Platform::retries)
      .optional(
          "route-delay",
          duration_rule("from a weight change to its effect; default 0s", Duration{}, hours{1}),
          &world::Platform::route_delay)
      .optional("metric-period",
                duration_rule("metrics are summed up over so long; default 10s, 1m for traffic alb",
                              seconds{1}, hours{1}),
                &world::Platform::metric_period)
      .optional(
          "metric-delay",
          duration_rule("until a period's metrics can be read; default 0s", Duration{}, hours{1}),
          &world::Platform::metric_delay)
      .optional(
          "metric-loss",
          percent_rule("share of the periods whose metrics are never written; default 0%", 0, 100),
          &world::Platform::metric_loss)
      .optional("throttling",
                percent_rule("share of the rollout's AWS calls that are refused for coming too "
                             "fast; default 0%",
                             0, 100),
                &world::Platform::throttling)
      .optional("task-start",
                duration_rule("until a started or restarted task takes requests; default 10s",
                              Duration{}, hours{1}),
                &world::Platform::task_start)
      .then([](const YamlNode& node, Reader& reader, world::Platform& platform) {
        const Duration period = platform.metric_period;
        const bool whole_minutes = period % minutes{1} == Duration{};
        if (whole_minutes || period == seconds{1} || period == seconds{5} ||
            period == seconds{10} || period == seconds{30}) {
          return true;
        }
        return reader.problem(
            node, "metric-period is {}; CloudWatch has 1s, 5s, 10s, 30s and whole minutes",
            to_string(period));
      })
      .rule();
}

struct Range {
  Duration low{}, high{};
};
struct Spread {
  Duration median{}, p99{};
};
struct LatencyChoice {
  std::optional<Duration> fixed;
  std::optional<Range> uniform;
  std::optional<Spread> lognormal;
};

}  // namespace

Rule<world::Latency> latency_rule(std::string doc) {
  const auto time = [](std::string what) {
    return duration_rule(std::move(what), Duration{}, kMaxLatency);
  };
  const Rule<Range> range =
      ObjectRule<Range>("every value between two bounds is as likely")
          .required("low", time("lower bound"), &Range::low)
          .required("high", time("upper bound"), &Range::high)
          .then([](const YamlNode& node, Reader& reader, Range& r) {
            if (r.low < r.high) return true;
            return reader.problem(node, "low is {}, it must lie below high ({})", to_string(r.low),
                                  to_string(r.high));
          })
          .rule();
  const Rule<Spread> spread =
      ObjectRule<Spread>("most answers near the median, some much later")
          .required("median",
                    duration_rule("half of the answers are faster", nanoseconds{1000}, kMaxLatency),
                    &Spread::median)
          .required("p99",
                    duration_rule("99% of the answers are faster", nanoseconds{1000}, kMaxLatency),
                    &Spread::p99)
          .then([](const YamlNode& node, Reader& reader, Spread& s) {
            if (s.median < s.p99) return true;
            return reader.problem(node, "median is {}, it must lie below p99 ({})",
                                  to_string(s.median), to_string(s.p99));
          })
          .rule();
  Rule<LatencyChoice> choice = ObjectRule<LatencyChoice>(std::move(doc))
                                   .optional("fixed", time("always so long"), &LatencyChoice::fixed)
                                   .optional("uniform", range, &LatencyChoice::uniform)
                                   .optional("lognormal", spread, &LatencyChoice::lognormal)
                                   .exactly_one_of({"fixed", "uniform", "lognormal"})
                                   .rule();
  return converted<world::Latency>(std::move(choice), [](const LatencyChoice& c) -> world::Latency {
    if (c.fixed) return world::FixedLatency{*c.fixed};
    if (c.uniform) return world::UniformLatency{c.uniform->low, c.uniform->high};
    return world::LognormalLatency{c.lognormal->median, c.lognormal->p99};
  });
}

Rule<world::HookAnswer> hook_answer_rule() {
  using A = world::HookAnswer;
  using rollout::HookVerdict;
  return ObjectRule<A>("what the other side of a hook says: nobody is called in a scenario")
      .optional("answer",
                word_rule<HookVerdict>("passed, failed, or wait: ask again; default passed",
                                       {{"passed", HookVerdict::Passed},
                                        {"failed", HookVerdict::Failed},
                                        {"wait", HookVerdict::Wait}}),
                &A::says)
      .optional("until",
                duration_rule("it says so until then after the start, and passed from then on",
                              Duration{}, kMaxLimit),
                &A::until)
      .add("times", false,
           integer_rule("it says so to the first calls only, and passed to later ones", 1, 1000),
           [](A& a, std::int64_t n) { a.times = static_cast<int>(n); })
      .optional("takes",
                duration_rule("to answer; beyond the hook's timeout it fails; default 0s",
                              Duration{}, hours{1}),
                &A::takes)
      .optional("text", text_rule("what it says beside"), &A::text)
      .then([](const YamlNode& node, Reader& reader, A& answer) {
        const bool bounded = answer.until || answer.times;
        if (!bounded || answer.says != HookVerdict::Passed) return true;
        return reader.problem(node,
                              "it says passed in any case; \"until\" and \"times\" belong to "
                              "failed and wait");
      })
      .rule();
}

Rule<Given> given_rule() {
  return ObjectRule<Given>("the world before anything happens")
      .optional("clock", clock_rule(), &Given::clock)
      .required("traffic", traffic_rule(), &Given::traffic)
      .required("versions",
                named_rule("the stable version and the canary", version_rule(), kMaxVersions,
                           kMaxVersions),
                &Given::versions)
      .optional("platform", platform_rule(), &Given::platform)
      .optional("alarms",
                list_rule("alarms that a rollout may watch", alarm_rule(), 0, rollout::kMaxAlarms),
                &Given::alarms)
      .optional("hooks",
                named_rule("what the hooks of the plan are told, by their name", hook_answer_rule(),
                           0, 100),
                &Given::hooks)
      .rule();
}

}  // namespace coalmine::scenario
