#pragma once

#include <condition_variable>
#include <iosfwd>
#include <mutex>
#include <string>
#include <thread>

#include "sim/study/study.h"

namespace coalmine::cli {

/// "[########........]  52%  5,200 of 10,000 runs, 4s left", for 80 columns.
std::string render_progress(std::uint64_t done, std::uint64_t total, double elapsed_s);

/// Draws a study's progress on one line of a terminal, a few times a second, until it is
/// destroyed; then wipes the line. Draws nothing when `out` is null.
class ProgressBar {
 public:
  ProgressBar(const study::Progress& progress, std::ostream* out);
  ~ProgressBar();

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool over_ = false;
  std::thread thread_;
};

}  // namespace coalmine::cli
