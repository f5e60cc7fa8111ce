#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace coalmine::mock {

/// Cuts a stream into lines without their ends ("\n" or "\r\n"); longer ones than 16 KiB are cut
/// as Docker cuts them.
class LineSplitter {
 public:
  static constexpr std::size_t kMaxLine = 16 << 10;

  std::vector<std::string> add(std::string_view piece) {
    std::vector<std::string> lines;
    for (const char c : piece) {
      if (c != '\n') rest_ += c;
      if (c == '\n' || rest_.size() >= kMaxLine) take(lines, c == '\n');
    }
    return lines;
  }

  /// What is left without a line end, if anything.
  std::vector<std::string> finish() {
    std::vector<std::string> lines;
    if (!rest_.empty()) take(lines, true);
    return lines;
  }

 private:
  void take(std::vector<std::string>& lines, bool whole) {
    if (whole && !rest_.empty() && rest_.back() == '\r') rest_.pop_back();
    lines.push_back(std::move(rest_));
    rest_.clear();
  }

  std::string rest_;
};

}  // namespace coalmine::mock
