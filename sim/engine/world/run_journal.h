#pragma once

#include <string>
#include <vector>

#include "sim/core/json.h"
#include "sim/core/result.h"
#include "sim/engine/world/world.h"

namespace coalmine::world {

// What a world adds to the journal of the rollout that is played in it, so that every figure of a
// run's report can be computed from the journal alone:
//
//   {"world": "begin", …}   mode, seed, and the scenario as it was read
//   {"world": "note", …}    an event of the world: a fault begins, weights take effect
//   {"world": "span", …}    what was counted while one set of weights was in force
//   {"world": "end", …}     what is known at the end only: latencies, endings, users
//
// Notes stand where they happened among the rollout's lines; spans and end come when all is over,
// so a run that was killed has none.

std::string begin_line(const Record& record, const Source& source);
std::string note_line(const rollout::Event& event);
std::string span_line(const Span& span);
/// `record` is complete but for what follows from other lines.
std::string end_line(const Record& record);

/// What the lines say, taken one by one. Errors name the line.
class RunJournal {
 public:
  Status take(const Place& place, const Json& line);

  bool begun() const { return begun_; }
  bool ended() const { return ended_; }
  const Source& source() const { return source_; }
  /// Mode, fidelity, seed and start; once ended() also spans and all that was counted. Without
  /// timeline, outcome and the times that follow from it.
  Record& record() { return record_; }
  /// The note of the line that was taken last, if it was one.
  std::optional<rollout::Event> take_note();
  /// What does not add up, with the place of the end line: the spans against the totals.
  std::optional<Error> contradiction() const;

 private:
  Status begin(const Json& line);
  Status note(const Place& place, const Json& line);
  Status span(const Place& place, const Json& line);
  Status end(const Place& place, const Json& line);

  bool begun_ = false, ended_ = false;
  Source source_;
  Record record_;
  std::optional<rollout::Event> note_;
  Place end_place_;
};

}  // namespace coalmine::world
