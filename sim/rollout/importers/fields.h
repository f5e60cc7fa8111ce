// Reading maps of other tools' files without losing a key. Only for the importers' .cpp files.
#pragma once

#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "sim/core/time.h"
#include "sim/rollout/importers/importers.h"
#include "sim/scenario/yaml.h"

namespace coalmine::importers {

using scenario::YamlNode;

/// Problems of one file, in any order.
class Report {
 public:
  explicit Report(std::string file) : file_(std::move(file)) {}

  Place place(const YamlNode& node) const { return {file_, node.line, node.column}; }
  Place whole_file() const { return {file_, 1, 1}; }

  template <typename... Args>
  void error(const YamlNode& at, fmt::format_string<Args...> text, Args&&... args) {
    errors_.push_back(
        {fmt::format(text, std::forward<Args>(args)...), ErrorKind::Invalid, place(at)});
  }
  template <typename... Args>
  void warn(const YamlNode& at, fmt::format_string<Args...> text, Args&&... args) {
    warnings_.push_back(
        {fmt::format(text, std::forward<Args>(args)...), ErrorKind::Invalid, place(at)});
  }
  void note(std::string text) { notes_.push_back(std::move(text)); }
  void add(Error error) { errors_.push_back(std::move(error)); }

  /// The plan, unless there are errors; everything in the order of the file.
  Imported finish(rollout::Plan plan);

 private:
  std::string file_;
  std::vector<Error> errors_, warnings_;
  std::vector<std::string> notes_;
};

/// A map that knows which of its keys were read. done() warns of the others.
class Fields {
 public:
  /// A node that is no map is an error; it then has no keys. `path`: how people name it.
  Fields(const YamlNode& node, Report& report, std::string path);

  const YamlNode& node() const { return *node_; }
  const std::string& path() const { return path_; }

  /// nullptr: not there, or null.
  const YamlNode* take(std::string_view key);
  std::optional<std::string> text(std::string_view key);
  std::optional<double> number(std::string_view key, double low, double high);
  std::optional<int> whole(std::string_view key, int low, int high);
  std::optional<bool> truth(std::string_view key);
  /// "1m30s"; a bare number is seconds where `bare_seconds`.
  std::optional<Duration> duration(std::string_view key, bool bare_seconds = false);
  /// Items of a list; not there: none.
  std::vector<const YamlNode*> list(std::string_view key);
  std::optional<Fields> map(std::string_view key);

  /// These do not concern a rollout plan.
  void skip(std::initializer_list<std::string_view> keys);
  /// Warns, if it is there, that it is not carried over, and why.
  void cannot(std::string_view key, std::string_view why);
  /// Warns of every key that nobody asked for.
  void done();

 private:
  const YamlNode* node_;
  Report* report_;
  std::string path_;
  std::set<std::string, std::less<>> used_;
};

/// As Fields::duration, of a scalar.
std::optional<Duration> read_duration(const YamlNode& node, Report& report, bool bare_seconds);
std::optional<double> read_number(std::string_view text);
/// 100 - percent, without the noise of binary fractions: 99.9 is 0.1.
double complement(double percent);

}  // namespace coalmine::importers
