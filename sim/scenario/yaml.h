#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/core/result.h"

namespace coalmine::scenario {

inline constexpr std::size_t kMaxFileBytes = 1 << 20;
inline constexpr int kMaxDepth = 32;

struct YamlPair;

/// A value of a scenario file that knows where it stands. YAML 1.2 without tags, anchors,
/// aliases and further documents, so JSON loads too. Pairs keep the file's order, doubles
/// included: the format's rules refuse those where they can name the first one.
struct YamlNode {
  enum class Kind { Null, Scalar, Sequence, Map };
  Kind kind = Kind::Null;
  int line = 0, column = 0;  ///< from 1
  std::string text;          ///< of a scalar
  bool quoted = false;
  std::vector<YamlNode> items;
  std::vector<YamlPair> pairs;
};

struct YamlPair {
  YamlNode key;  ///< a scalar
  YamlNode value;
};

/// "a map", "a list", "nothing", or the text in quotes.
std::string describe(const YamlNode& node);

/// The file's only document. The first syntax error ends it.
Result<YamlNode> parse_yaml(const std::string& text, const std::string& file);
/// All documents of the file, as files of other tools have them; empty ones are left out.
Result<std::vector<YamlNode>> parse_yaml_documents(const std::string& text,
                                                   const std::string& file);

}  // namespace coalmine::scenario
