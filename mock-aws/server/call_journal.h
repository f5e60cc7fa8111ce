#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sim/core/result.h"
#include "sim/core/time.h"
#include "sim/net/http.h"

namespace coalmine::mock {

/// What must be the same for a journal to give the same cloud again.
struct CallJournalHeader {
  std::uint64_t seed = 1;
  std::uint32_t address_block = 0;  ///< a /16 of loopback: load balancers keep their addresses
  bool verify_signatures = false;
  bool operator==(const CallJournalHeader&) const = default;
};

/// One AWS call, or (with an empty method) only the time that a manual clock was moved to.
struct CallEntry {
  TimePoint t;
  net::Request request;
  int status = 0;  ///< as it was answered
};

/// The AWS calls that may have changed something, one JSON line each, synced before they are
/// answered: `--persist`. The mock's state follows from its calls, their times and its seed, so
/// making them again makes it again, identifiers included.
///
///   {"journal":"coalmine-calls","version":1,"seed":1,"address_block":…,"verify_signatures":false}
///   {"t_ns":…,"method":"PUT","target":"/v20190125/meshes","headers":[[…,…]],"body":"…","status":200}
class CallJournal {
 public:
  struct Opened {
    std::unique_ptr<CallJournal> journal;
    CallJournalHeader header;  ///< the file's; `fresh` of a new one
    std::vector<CallEntry> entries;
  };
  /// Begins the file or takes it over; a last line that a crash tore is cut off. Errors
  /// (Environment): it cannot be written or another process holds it; (Invalid): FILE:LINE, it is
  /// no such journal.
  static Result<Opened> open(const std::string& path, const CallJournalHeader& fresh);
  ~CallJournal();
  CallJournal(const CallJournal&) = delete;
  CallJournal& operator=(const CallJournal&) = delete;

  /// Durable when it returns.
  Status append(const CallEntry& entry);
  /// Forgets all entries: the state was emptied.
  Status clear();

 private:
  CallJournal(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  Status write(const std::string& line);
  tl::unexpected<Error> broken(const char* what) const;

  std::string path_;
  int fd_;
  std::string header_;  ///< as it stands in the file
};

/// Whether an operation only looks. By its name: AWS's are regular.
bool only_reads(std::string_view operation);

}  // namespace coalmine::mock
