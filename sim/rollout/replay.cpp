#include "sim/rollout/replay.h"

#include <cmath>
#include <deque>
#include <nlohmann/json.hpp>

namespace coalmine::rollout {
namespace {

/// An API rounds a share to whole weights: by half a percent at most (App Mesh, 0 to 100).
constexpr double kRounding = 0.005 + 1e-9;

std::string_view name_of(const Input& input) {
  struct Names {
    std::string_view operator()(const Started&) const { return "started"; }
    std::string_view operator()(const Restarted&) const { return "restarted"; }
    std::string_view operator()(const WeightsApplied&) const { return "weights-applied"; }
    std::string_view operator()(const WeightsFailed&) const { return "weights-failed"; }
    std::string_view operator()(const WeightsSeen&) const { return "weights-seen"; }
    std::string_view operator()(const WeightsUnseen&) const { return "weights-unseen"; }
    std::string_view operator()(const Metrics&) const { return "metrics"; }
    std::string_view operator()(const MetricsFailed&) const { return "metrics-failed"; }
    std::string_view operator()(const Tick&) const { return "tick"; }
    std::string_view operator()(const Operator&) const { return "operator"; }
    std::string_view operator()(const NewerRevision&) const { return "newer-revision"; }
    std::string_view operator()(const HookAnswered&) const { return "hook-answered"; }
    std::string_view operator()(const TasksSeen&) const { return "tasks-seen"; }
    std::string_view operator()(const TasksFailed&) const { return "tasks-failed"; }
    std::string_view operator()(const RoutesApplied&) const { return "routes-applied"; }
    std::string_view operator()(const RoutesFailed&) const { return "routes-failed"; }
  };
  return std::visit(Names{}, input);
}

bool concerns_tasks(const Action& asked) {
  return std::holds_alternative<ReadTasks>(asked) || std::holds_alternative<ScaleTasks>(asked) ||
         std::holds_alternative<SwapImage>(asked);
}

bool answers(const Input& input, const Action& asked) {
  if (concerns_tasks(asked)) {
    return std::holds_alternative<TasksSeen>(input) || std::holds_alternative<TasksFailed>(input);
  }
  if (std::holds_alternative<ChangeWeights>(asked)) {
    return std::holds_alternative<WeightsApplied>(input) ||
           std::holds_alternative<WeightsFailed>(input);
  }
  if (std::holds_alternative<ChangeRoutes>(asked)) {
    return std::holds_alternative<RoutesApplied>(input) ||
           std::holds_alternative<RoutesFailed>(input);
  }
  if (std::holds_alternative<ReadWeights>(asked)) {
    return std::holds_alternative<WeightsSeen>(input) ||
           std::holds_alternative<WeightsUnseen>(input);
  }
  if (std::holds_alternative<ReadMetrics>(asked)) {
    return std::holds_alternative<Metrics>(input) || std::holds_alternative<MetricsFailed>(input);
  }
  const auto* answered = std::get_if<HookAnswered>(&input);
  return answered != nullptr && answered->hook == std::get<CallHook>(asked).hook;
}

std::string asked_for(const Action& asked) {
  if (const auto* change = std::get_if<ChangeWeights>(&asked)) {
    return fmt::format("the canary to get {}", coalmine::to_string(change->shares.canary));
  }
  if (std::holds_alternative<ChangeRoutes>(asked)) return "routes to be changed";
  if (std::holds_alternative<ReadWeights>(asked)) return "the weights that are set";
  if (std::holds_alternative<ReadMetrics>(asked)) return "metrics";
  if (concerns_tasks(asked)) return "tasks";
  return "an answer of a hook";
}

/// Whether a driver says this by itself, without being asked.
bool unasked(const Input& input) {
  return std::holds_alternative<Tick>(input) || std::holds_alternative<Operator>(input) ||
         std::holds_alternative<NewerRevision>(input);
}

/// "decision roll-back": what tells an event from others of its kind.
std::string label(const Json& event) {
  std::string text = get_string(event, "event");
  for (const char* key : {"decision", "metric", "to", "command", "outcome"}) {
    if (const std::string more = get_string(event, key); !more.empty()) return text + " " + more;
  }
  return text;
}

/// The first difference of two events, in words; empty: none.
std::string difference(const Json& written, Json computed) {
  if (written == computed) return {};
  // What JSON cannot say (no number, bytes that are no text) was written as it can.
  if (auto as_written = parse_json(dump_json(computed))) computed = *std::move(as_written);
  if (get_string(written, "event") != get_string(computed, "event")) {
    return fmt::format("the journal says \"{}\", what it was told comes to \"{}\"", label(written),
                       label(computed));
  }
  const std::string where = label(computed);
  for (const auto& [key, value] : computed.items()) {
    const Json* other = find(written, key);
    if (other == nullptr) return fmt::format("{} lacks \"{}\"", where, key);
    if (*other != value) {
      return fmt::format("{}: \"{}\" is {} in the journal, what it was told comes to {}", where,
                         key, dump_json(*other), dump_json(value));
    }
  }
  for (const auto& [key, value] : written.items()) {
    if (find(computed, key) == nullptr) return fmt::format("{} has a strange \"{}\"", where, key);
  }
  return {};
}

class Player {
 public:
  Player(Replay& replay, const ReplayListener& listener) : replay_(replay), listener_(listener) {}

  Status begin(JournalHeader header) {
    replay_.journal.header = std::move(header);
    return listener_.on_header ? listener_.on_header(replay_.journal.header) : Status{};
  }

  Status each(JournalEntry&& entry) {
    if (replay_.disagreement) return {};  // the rest is only read
    switch (entry.kind) {
      case JournalEntry::Kind::Told:
        return on_input(std::move(entry));
      case JournalEntry::Kind::Recorded:
        return on_event(entry);
      case JournalEntry::Kind::World:
        return listener_.on_world ? listener_.on_world(entry.place, *entry.json) : Status{};
    }
    return {};
  }

  /// The text is over, behind `place`'s line.
  void finish(const Place& place) {
    if (replay_.disagreement || expected_.empty()) return;
    replay_.notices.push_back(
        {fmt::format("the journal ends before the \"{}\" that follows from its last input",
                     label(to_json(expected_.front()))),
         ErrorKind::Invalid, place});
  }

 private:
  Status disagree(const Place& place, std::string message) {
    replay_.disagreement = Error{std::move(message), ErrorKind::Failed, place};
    return {};
  }

  Status on_input(JournalEntry&& entry) {
    const bool restarts = std::holds_alternative<Restarted>(entry.input);
    if (!expected_.empty() && !restarts) {
      return disagree(
          entry.place,
          fmt::format("before this line the event \"{}\" is missing, which follows from "
                      "what came before",
                      label(to_json(expected_.front()))));
    }
    if (std::string why = out_of_turn(entry); !why.empty()) {
      return disagree(entry.place, std::move(why));
    }
    if (restarts && !expected_.empty()) {
      replay_.notices.push_back(
          {"the controller was killed before it had written what it decided last",
           ErrorKind::Invalid, entry.place});
    }
    if (restarts) {
      // A new controller asks anew for what it needs.
      asked_.clear();
      expected_.clear();
      wake_ = kNever;
    }
    tell(entry.t, entry.input);
    replay_.journal.inputs.emplace_back(entry.t, std::move(entry.input));
    return {};
  }

  /// Why the controller cannot have been told this now; empty: it can.
  std::string out_of_turn(const JournalEntry& entry) {
    const Input& input = entry.input;
    if (std::holds_alternative<Restarted>(input)) return {};
    // A rollout that made room for a newer revision begins anew with it.
    const bool first = replay_.journal.inputs.empty() || (superseded() && asked_.empty());
    if (first != std::holds_alternative<Started>(input)) {
      return first ? fmt::format("the first input is \"{}\"; a rollout begins with \"started\"",
                                 name_of(input))
                   : std::string("the rollout starts a second time");
    }
    if (first) return {};
    if (replay_.end && asked_.empty()) {
      return fmt::format("\"{}\" behind the end of the rollout", name_of(input));
    }
    if (asked_.empty()) {
      if (!unasked(input)) {
        return fmt::format("\"{}\" answers a question that was not asked", name_of(input));
      }
      if (std::holds_alternative<Tick>(input) && entry.t < wake_) {
        return wake_ == kNever ? std::string("a tick that nobody waits for")
                               : fmt::format("the tick comes {} before the controller wants one",
                                             coalmine::to_string(wake_ - entry.t));
      }
      return {};
    }
    if (!answers(input, asked_.front())) {
      return fmt::format("\"{}\" comes where the controller waits for {}", name_of(input),
                         asked_for(asked_.front()));
    }
    if (const auto* applied = std::get_if<WeightsApplied>(&input)) {
      const double wanted = std::get<ChangeWeights>(asked_.front()).shares.canary.share();
      const double got = share_of(applied->weights, replay_.journal.header.plan.canary);
      if (std::abs(wanted - got) > kRounding) {
        return fmt::format("{:.4g}% were asked for the canary, the journal says that {} were set",
                           wanted * 100, render_weights(applied->weights));
      }
    }
    return {};
  }

  bool superseded() const { return replay_.end && replay_.end->outcome == Outcome::Superseded; }

  void tell(TimePoint t, const Input& input) {
    if (std::holds_alternative<Started>(input)) replay_.end.reset();
    if (!asked_.empty()) asked_.pop_front();
    if (std::holds_alternative<Tick>(input)) wake_ = kNever;
    Decision decision = decide(replay_.journal.header.plan, std::move(replay_.state), input, t);
    replay_.state = std::move(decision.state);
    replay_.ended_at = t;
    for (Action& action : decision.actions) {
      if (auto* record = std::get_if<Record>(&action)) {
        expected_.push_back(std::move(record->event));
      } else if (const auto* wake = std::get_if<WakeAt>(&action)) {
        wake_ = wake->at;
      } else if (auto* finish = std::get_if<Finish>(&action)) {
        replay_.end = std::move(*finish);
      } else {
        asked_.push_back(std::move(action));
      }
    }
  }

  Status on_event(const JournalEntry& entry) {
    if (expected_.empty()) {
      return disagree(
          entry.place,
          fmt::format("the journal says \"{}\", but nothing that it was told comes to it",
                      label(*entry.json)));
    }
    Event computed = std::move(expected_.front());
    expected_.pop_front();
    if (std::string why = difference(*entry.json, to_json(computed)); !why.empty()) {
      return disagree(entry.place, std::move(why));
    }
    if (listener_.on_event) listener_.on_event(computed);
    replay_.events.push_back(std::move(computed));
    return {};
  }

  Replay& replay_;
  const ReplayListener& listener_;
  std::deque<Event> expected_;  ///< that follow from the inputs so far
  std::deque<Action> asked_;    ///< questions without an answer yet
  TimePoint wake_ = kNever;
};

}  // namespace

Result<Replay> replay_journal(std::string_view text, std::string_view source,
                              const ReplayListener& listener) {
  Replay replay;
  Player player(replay, listener);
  int lines = 0;
  TRY(replay.journal.whole_bytes, walk_journal(
                                      text, source,
                                      [&](JournalHeader header) {
                                        ++lines;
                                        return player.begin(std::move(header));
                                      },
                                      [&](JournalEntry&& entry) {
                                        ++lines;
                                        return player.each(std::move(entry));
                                      }));
  const Place behind{std::string(source), lines + 1, 0};
  if (replay.journal.whole_bytes < text.size()) {
    replay.notices.push_back({fmt::format("the last line is torn ({} bytes without an end): it "
                                          "counts as never written",
                                          text.size() - replay.journal.whole_bytes),
                              ErrorKind::Invalid, behind});
  }
  player.finish({std::string(source), lines, 0});
  return replay;
}

}  // namespace coalmine::rollout
