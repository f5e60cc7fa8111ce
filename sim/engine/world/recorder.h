#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/engine/world/world.h"
#include "sim/rollout/driver.h"

namespace coalmine::world {

/// Makes a Record's story from what the rollout and the world report, the same way for every
/// world. Counting requests is the world's own business: it writes into record().
class Recorder {
 public:
  Recorder(const Spec& spec, std::string mode, std::uint64_t seed, TimePoint start);

  /// An event of the rollout, in order of time.
  void on_event(const rollout::Event& event);
  /// An event of the world: a fault begins, weights take effect.
  void note(TimePoint t, std::string name,
            std::vector<std::pair<std::string, rollout::Value>> fields);
  /// How the controller ended: its outcome ("promoted", "aborted", …), or that the time was up in
  /// this phase.
  void ended(std::string_view outcome, std::string_view reason, TimePoint t);
  void time_up(std::string_view phase, TimePoint t);

  /// From now on the world's part of the story goes into the journal as well (run_journal.h), which
  /// must outlive the object. Mode and fidelity are known by then.
  Status keep(rollout::JournalSink& journal, const Source& source);

  /// Times and sums that follow from the rest; then the record is complete. Error: the journal
  /// could not be written.
  Result<Record> finish();
  Record& record() { return record_; }

 private:
  Duration since_start(TimePoint t) const { return t - record_.start; }
  void derive_fault_time();

  void write(const std::string& line, bool durable = false);

  const Spec& spec_;
  Record record_;
  rollout::JournalSink* journal_ = nullptr;
  Status written_;  ///< or the first failure
};

/// Sentence for people: "errors 5% of v2".
std::string describe(const Fault& fault, const std::string& target);
std::string_view to_string(FaultKind kind);

/// One line of a timeline, as sim/rollout renders its own: "  1:10.000  fault     reset 1% of v2".
/// Empty for events that only the journal needs.
std::string render_line(const rollout::Event& event, TimePoint start);

}  // namespace coalmine::world
