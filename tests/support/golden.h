// tests/support: what several test folders need.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace coalmine::test {

/// Compares `text` with tests/golden/<name>. With COALMINE_UPDATE_GOLDEN set (as
/// `./dev test --update` does) the file is rewritten instead; `git diff` is the review.
testing::AssertionResult matches_golden(std::string_view name, const std::string& text);

/// A fresh folder below the system's temporary one, removed with everything in it at the end.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::string& path() const { return path_; }
  /// Writes a file into the folder and returns its path.
  std::string file(std::string_view name, std::string_view content) const;

 private:
  std::string path_;
};

std::string read_file(const std::string& path);

}  // namespace coalmine::test

#define EXPECT_GOLDEN(name, text) EXPECT_TRUE(coalmine::test::matches_golden(name, text))
