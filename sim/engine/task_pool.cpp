#include "sim/engine/task_pool.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "sim/core/check.h"

namespace coalmine::engine {
namespace {

constexpr std::uint64_t kAtOnce = 4096;  // moments that are drawn and sorted together

/// One of the segments with requests left, each request as likely as any other.
std::size_t take_segment(std::vector<std::uint64_t>& counts, std::uint64_t left, Random& random) {
  if (counts.size() == 1) {
    --counts[0];
    return 0;
  }
  std::uint64_t draw = random.below(left);
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (draw < counts[i]) {
      --counts[i];
      return i;
    }
    draw -= counts[i];
  }
  CHECK_FAILED("more requests than were counted");
}

std::uint64_t total_of(const std::vector<std::uint64_t>& counts) {
  return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

}  // namespace

TaskPool::TaskPool(const Limits& limits, std::shared_ptr<const LatencyTable> latency,
                   std::size_t tasks, TimePoint now)
    : limits_(limits), latency_(std::move(latency)) {
  resize(tasks, now);
}

TaskPool::Task TaskPool::make_task(TimePoint up_at) const {
  Task task{faults::FaultState(faults_, up_at), up_at, up_at, {}, {}, {}};
  task.slots.assign(static_cast<std::size_t>(limits_.concurrency), up_at);
  return task;
}

void TaskPool::set_faults(std::vector<faults::Fault> faults, TimePoint now) {
  faults_ = std::move(faults);
  may_crash_ = std::any_of(faults_.begin(), faults_.end(), [](const faults::Fault& fault) {
    return fault.kind == faults::Kind::Crash || fault.kind == faults::Kind::Leak;
  });
  for (Task& task : tasks_) task.faults = faults::FaultState(faults_, std::max(now, task.up_at));
}

void TaskPool::set_usable(std::vector<std::size_t> tasks) {
  usable_ = std::move(tasks);
  std::erase_if(usable_, [this](std::size_t task) { return task >= tasks_.size(); });
}

void TaskPool::resize(std::size_t tasks, TimePoint now) {
  while (tasks_.size() > tasks) {
    // Draining: what it works on is finished.
    leaving_.insert(leaving_.end(), tasks_.back().in_flight.begin(), tasks_.back().in_flight.end());
    tasks_.pop_back();
  }
  while (tasks_.size() < tasks) tasks_.push_back(make_task(now));
}

int TaskPool::up(const std::vector<std::size_t>& tasks, TimePoint now) const {
  return static_cast<int>(std::count_if(tasks.begin(), tasks.end(), [&](std::size_t task) {
    return task < tasks_.size() && tasks_[task].up_at <= now;
  }));
}

void TaskPool::rebuild(const Limits& limits, std::shared_ptr<const LatencyTable> latency,
                       TimePoint now) {
  const std::size_t tasks = size();
  resize(0, now);
  limits_ = limits;
  latency_ = std::move(latency);
  faults_.clear();
  resize(tasks, now);
}

TaskPool::Task* TaskPool::next_task(TimePoint now) {
  for (std::size_t tried = 0; tried < usable_.size(); ++tried) {
    if (next_ >= usable_.size()) next_ = 0;
    Task& task = tasks_[usable_[next_++]];
    if (task.up_at <= now) return &task;
  }
  return nullptr;
}

void TaskPool::serve(const faults::RequestFacts& request, std::size_t segment, TimePoint now,
                     Random& random, Meter& meter, std::uint64_t& dropped,
                     const Retrying& retrying) {
  Task* task = next_task(now);
  Meter& mine = meter.of(segment);
  if (task == nullptr) {
    if (&mine == &meter) ++dropped;  // only a user's
    ++mine.dropped;
    return;
  }
  mine.begin(segment);
  Duration spent{};
  for (int done = 0;;) {
    const Attempt one = attempt(*task, request, now, spent, random, meter);
    const Duration latency = spent + one.latency;
    if (latency >= limits_.patience || !retrying.again(one.ending, one.status, done)) {
      if (!one.ends) return mine.end(one.ending, latency, segment);
      task->in_flight.push_back({*one.ends, one.ending, latency, segment});
      return;
    }
    task = next_task(now);
    if (task == nullptr) return mine.end(one.ending, latency, segment);  // nobody else is there
    ++done;
    ++mine.retries;
    spent = latency + traffic::retry_backoff(done, random.uniform());
  }
}

TaskPool::Attempt TaskPool::attempt(Task& task, const faults::RequestFacts& request, TimePoint now,
                                    Duration spent, Random& random, Meter& meter) {
  TimePoint begin = std::max(now, task.next_begin);
  if (!task.slots.empty()) begin = std::max(begin, task.slots.front());
  // Who would wait longer than the gateway does has gone before his turn comes.
  if (begin - now + spent > limits_.patience) return {world::Ending::Timeout, {}, 0, {}};
  if (limits_.queue) {
    while (!task.waiting.empty() && task.waiting.front() <= now) task.waiting.pop_front();
    if (begin > now) {
      if (task.waiting.size() >= static_cast<std::size_t>(*limits_.queue)) {
        return {world::Ending::Error, {}, 503, {}};
      }
      task.waiting.push_back(begin);
    }
  }
  if (limits_.spacing > Duration{}) task.next_begin = begin + limits_.spacing;
  faults::Outcome outcome;
  if (!task.faults.empty()) outcome = task.faults.decide(request, begin, random);
  if (outcome.effect == faults::Effect::Crash) {
    crash(task, begin, meter);
    return {world::Ending::Reset, {}, 0, {}};
  }
  Duration busy = outcome.delay;
  if (outcome.effect == faults::Effect::Hang) {
    busy = limits_.patience - (begin - now) - spent;  // then the gateway hangs up
  } else if (outcome.effect != faults::Effect::Reset) {
    busy += latency_->sample(random.next(), random);
  }
  const TimePoint end = begin + busy;
  if (!task.slots.empty()) {
    std::pop_heap(task.slots.begin(), task.slots.end(), std::greater<>{});
    task.slots.back() = end;
    std::push_heap(task.slots.begin(), task.slots.end(), std::greater<>{});
  }
  return {ending_of(outcome), end - now, outcome.status,
          may_crash_ ? std::optional(end) : std::nullopt};
}

/// The request that it happens to and all that are still being worked on lose their connection.
void TaskPool::crash(Task& task, TimePoint at, Meter& meter) {
  for (const InFlight& one : task.in_flight) {
    meter.of(one.segment)
        .end(one.end > at ? world::Ending::Reset : one.ending, one.latency, one.segment);
  }
  const auto index = static_cast<std::size_t>(&task - tasks_.data());
  task = make_task(at + limits_.restart);
  crashes_.push_back({index, at, task.up_at});
}

void TaskPool::play(const std::vector<SegmentRegime>& segments, std::vector<std::uint64_t> counts,
                    TimePoint begin, TimePoint end, Random& random, Meter& meter,
                    std::uint64_t& dropped) {
  std::uint64_t left = total_of(counts);
  if (left > kAtOnce && end - begin > Duration{1}) {
    const TimePoint middle = begin + (end - begin) / 2;
    const double share = to_seconds(middle - begin) / to_seconds(end - begin);
    std::vector<std::uint64_t> first(counts.size());
    for (std::size_t i = 0; i < counts.size(); ++i) {
      first[i] = random.binomial(counts[i], share);
      counts[i] -= first[i];
    }
    play(segments, std::move(first), begin, middle, random, meter, dropped);
    play(segments, std::move(counts), middle, end, random, meter, dropped);
    return;
  }
  // Given their number, Poisson arrivals are uniform and independent. Sorted uniforms are ratios
  // of sums of exponential gaps (Devroye 1986, V.3.2).
  moments_.resize(left);
  double sum = 0;
  for (double& at : moments_) at = sum += random.exponential();
  sum += random.exponential();
  const double scale = to_seconds(end - begin) / sum;
  for (const double at : moments_) {
    const TimePoint now = begin + from_seconds(at * scale);
    const std::size_t segment = take_segment(counts, left--, random);
    serve(segments[segment].facts.facts(), segment, now, random, meter, dropped,
          segments[segment].retrying);
  }
}

void TaskPool::play_evenly(const std::vector<SegmentRegime>& segments,
                           std::vector<std::uint64_t> counts, std::uint64_t beats, TimePoint begin,
                           TimePoint end, Random& random, Meter& meter, std::uint64_t& dropped) {
  std::uint64_t left = total_of(counts);
  const double gap = to_seconds(end - begin) / static_cast<double>(beats);
  for (std::uint64_t beat = 0; beat < beats && left > 0; ++beat) {
    // Selection sampling: every set of `left` beats is as likely (Knuth, TAOCP 3.4.2, S).
    if (random.below(beats - beat) >= left) continue;
    const TimePoint now = begin + from_seconds((static_cast<double>(beat) + 0.5) * gap);
    const std::size_t segment = take_segment(counts, left--, random);
    serve(segments[segment].facts.facts(), segment, now, random, meter, dropped,
          segments[segment].retrying);
  }
}

void TaskPool::finish(TimePoint t, Meter& meter) {
  const auto over = [&](const InFlight& one) {
    if (one.end > t) return false;
    meter.of(one.segment).end(one.ending, one.latency, one.segment);
    return true;
  };
  for (Task& task : tasks_) std::erase_if(task.in_flight, over);
  std::erase_if(leaving_, over);
}

bool TaskPool::healthy(std::size_t task, TimePoint now, Random& random) {
  if (task >= tasks_.size() || tasks_[task].up_at > now) return false;
  faults::RequestFacts check;
  check.path = "/healthcheck";
  check.health_check = true;
  const faults::Outcome outcome = tasks_[task].faults.decide(check, now, random);
  return outcome.effect == faults::Effect::None && outcome.status == 0;
}

}  // namespace coalmine::engine
