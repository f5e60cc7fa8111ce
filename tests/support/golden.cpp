#include "tests/support/golden.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace coalmine::test {
namespace fs = std::filesystem;

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

testing::AssertionResult matches_golden(std::string_view name, const std::string& text) {
  const fs::path path = fs::path("tests/golden") / name;
  if (std::getenv("COALMINE_UPDATE_GOLDEN") != nullptr) {
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
    return testing::AssertionSuccess();
  }
  if (!fs::exists(path)) {
    return testing::AssertionFailure() << path << " is missing; `./dev test --update` writes it";
  }
  const std::string want = read_file(path.string());
  if (want == text) return testing::AssertionSuccess();
  return testing::AssertionFailure() << path << " differs; `./dev test --update` rewrites it.\n"
                                     << "--- want\n"
                                     << want << "--- got\n"
                                     << text;
}

TempDir::TempDir() {
  std::string pattern = (fs::temp_directory_path() / "coalmine-test-XXXXXX").string();
  path_ = mkdtemp(pattern.data());
}

TempDir::~TempDir() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string TempDir::file(std::string_view name, std::string_view content) const {
  const fs::path path = fs::path(path_) / name;
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << content;
  return path.string();
}

}  // namespace coalmine::test
