#pragma once

#include <memory>
#include <string>

#include "sim/rollout/driver.h"

namespace coalmine::rollout {

/// A journal on disk: whole lines only, synced when asked to be durable. One writer at a time
/// (a lock on the file, which a killed process gives up by itself).
class JournalFile : public JournalSink {
 public:
  /// A new journal that begins with `header`. Error: it exists, or cannot be written.
  static Result<std::unique_ptr<JournalFile>> create(const std::string& path,
                                                     const JournalHeader& header);
  /// Takes an existing one over, reads it, cuts a torn last line off and goes on behind it.
  struct Reopened {
    std::unique_ptr<JournalFile> file;
    Journal journal;
  };
  static Result<Reopened> reopen(const std::string& path);
  /// Whether a writer holds it at this moment.
  static bool is_held(const std::string& path);
  ~JournalFile() override;
  JournalFile(const JournalFile&) = delete;
  JournalFile& operator=(const JournalFile&) = delete;

  Status append(const std::string& line, bool durable) override;

 private:
  JournalFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  static Result<std::unique_ptr<JournalFile>> open(const std::string& path, int flags);

  std::string path_;
  int fd_;
};

/// The whole file. Error (Environment) names it.
Result<std::string> read_journal_file(const std::string& path);

}  // namespace coalmine::rollout
