#include "sim/cli/progress_bar.h"

#include <chrono>
#include <ostream>

#include "sim/study/report.h"

namespace coalmine::cli {
namespace {

constexpr std::size_t kWidth = 28;
constexpr auto kRedraw = std::chrono::milliseconds{200};

}  // namespace

std::string render_progress(std::uint64_t done, std::uint64_t total, double elapsed_s) {
  const double share = total == 0 ? 0 : static_cast<double>(done) / static_cast<double>(total);
  std::string bar = study::bar(share, 1, kWidth);
  bar.resize(kWidth, '.');
  std::string text = fmt::format("[{}] {:>3.0f}%  {} of {} runs", bar, share * 100,
                                 study::number(static_cast<double>(done)),
                                 study::number(static_cast<double>(total)));
  // The first moments say nothing about the rest.
  if (share > 0.01 && elapsed_s > 0.5) {
    text += fmt::format(", {} left", study::rough_duration(elapsed_s * (1 - share) / share));
  }
  return text;
}

ProgressBar::ProgressBar(const study::Progress& progress, std::ostream* out) {
  if (out == nullptr) return;
  thread_ = std::thread([this, &progress, out] {
    const auto begin = std::chrono::steady_clock::now();
    std::size_t drawn = 0;
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, kRedraw, [this] { return over_; })) {
      const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
      std::string line = render_progress(progress.done, progress.total, elapsed.count());
      const std::size_t length = line.size();
      if (length < drawn) line.resize(drawn, ' ');
      drawn = length;
      *out << "\r" << line << std::flush;
    }
    if (drawn > 0) *out << "\r" << std::string(drawn, ' ') << "\r" << std::flush;
  });
}

ProgressBar::~ProgressBar() {
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

}  // namespace coalmine::cli
