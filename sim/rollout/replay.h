#pragma once

#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "sim/rollout/journal.h"

namespace coalmine::rollout {

/// What a journal comes to when its controller is told everything once more.
struct Replay {
  Journal journal;
  std::vector<Event> events;  ///< as recomputed, all of them
  RolloutState state;
  std::optional<Finish> end;   ///< absent: the rollout was interrupted or still goes on
  TimePoint ended_at;          ///< of the last input
  std::vector<Error> notices;  ///< what is odd but may be: a torn last line
  /// The first line that is not what the recorded inputs make of it; nothing behind it was played.
  std::optional<Error> disagreement;
};

/// Who else wants to know, in the order of the journal; each may be empty.
struct ReplayListener {
  std::function<Status(const JournalHeader&)> on_header;
  std::function<void(const Event&)> on_event;                 ///< recomputed
  std::function<Status(const Place&, const Json&)> on_world;  ///< a world's line
};

/// Plays a journal's inputs through decide() again and holds every recorded event against what
/// follows from them: the same analysis of the same samples must say the same. Inputs must be
/// answers to what the controller asked for, a tick no earlier than it was wanted. Errors, as
/// parse_journal's: the text is no journal.
Result<Replay> replay_journal(std::string_view text, std::string_view source,
                              const ReplayListener& listener = {});

}  // namespace coalmine::rollout
