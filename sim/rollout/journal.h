#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "sim/rollout/controller.h"

namespace coalmine::rollout {

// The journal of a rollout is the list of what its controller was told, as JSON lines:
//
//   {"journal": "coalmine-rollout", "version": 2, "t": …, "id": …, "target": …, "plan": {…}}
//   {"t": …, "input": "metrics", "windows": […], …}
//   {"t": …, "event": "weights.changed", …}
//
// The state is what decide() makes of the inputs, so a journal can be resumed, replayed and
// every figure in it recomputed. Events are there for people; resume() skips them, replay.h holds
// them against the inputs. A world that plays a scenario adds lines of its own ("world": …; see
// sim/engine/world/run_journal.h). Times are written in nanoseconds since the epoch beside a
// readable form, since they must come back exactly.

inline constexpr int kJournalVersion = 2;  ///< 2: weights are looked at before a step ends

struct JournalHeader {
  TimePoint t;
  std::string id;      ///< of the rollout
  std::string target;  ///< what it acts on, as the adapter describes itself
  Plan plan;
  /// How to reach the target again: option by name. The journal does not know their meaning.
  std::map<std::string, std::string> settings;
};

std::string header_line(const JournalHeader& header);
std::string input_line(TimePoint t, const Input& input);
std::string event_line(const Event& event);

/// Reads what input_line wrote.
Result<Input> parse_input_line(std::string_view line);

struct Journal {
  JournalHeader header;
  std::vector<std::pair<TimePoint, Input>> inputs;
  /// Bytes up to the end of the last whole line: a crash may leave half a line behind.
  std::size_t whole_bytes = 0;
};

/// Errors name `source`, line and what is wrong. A torn last line is no error.
Result<Journal> parse_journal(std::string_view text, std::string_view source);

/// A line behind the header.
struct JournalEntry {
  enum class Kind {
    Told,      ///< an input of the controller
    Recorded,  ///< an event of the rollout, for people
    World,     ///< of the world that the rollout was played in
  };
  Kind kind = Kind::Told;
  Place place;
  TimePoint t;                 ///< Told
  Input input;                 ///< Told
  const Json* json = nullptr;  ///< the line as it is written
};
/// The journal's lines one by one, in order, after `begin` with the header; the first error ends
/// it. Errors as parse_journal's. The result is Journal::whole_bytes.
Result<std::size_t> walk_journal(std::string_view text, std::string_view source,
                                 const std::function<Status(JournalHeader)>& begin,
                                 const std::function<Status(JournalEntry&&)>& each);

/// The state after all inputs.
RolloutState resume(const Journal& journal);

Json to_json(const Plan& plan);
Result<Plan> plan_from_json(const Json& json);

}  // namespace coalmine::rollout
