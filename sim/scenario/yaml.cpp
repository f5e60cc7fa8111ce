#include "sim/scenario/yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <sstream>
#include <utility>

namespace coalmine::scenario {
namespace {

/// Thrown out of yaml-cpp's callbacks and caught in parse_yaml.
struct Refused {
  YAML::Mark mark;
  std::string message;
};

/// Builds the tree from yaml-cpp's events: unlike its own nodes they show aliases and tags.
class Builder : public YAML::EventHandler {
 public:
  explicit Builder(bool many) : many_(many) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1 && !many_) {
      throw Refused{mark, "a second document begins here; a file holds one scenario"};
    }
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    refuse_anchor(mark, anchor);
    add(make(mark, YamlNode::Kind::Null));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    throw Refused{mark, "aliases are not part of the format; write the value out"};
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_anchor(mark, anchor);
    refuse_tag(mark, tag);
    YamlNode node = make(mark, YamlNode::Kind::Scalar);
    node.text = value;
    node.quoted = tag == "!";
    if (!node.quoted && (value == "null" || value == "~")) node.kind = YamlNode::Kind::Null;
    add(std::move(node));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, YamlNode::Kind::Sequence);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, YamlNode::Kind::Map);
  }
  void OnMapEnd() override { close(); }

  int documents() const { return documents_; }
  YamlNode take() { return std::exchange(root_, YamlNode{}); }

 private:
  struct Open {
    YamlNode node;
    YamlNode key;
    bool has_key = false;
  };

  static YamlNode make(const YAML::Mark& mark, YamlNode::Kind kind) {
    YamlNode node;
    node.kind = kind;
    node.line = mark.line + 1;
    node.column = mark.column + 1;
    return node;
  }

  static void refuse_anchor(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor != 0) throw Refused{mark, "anchors are not part of the format"};
  }
  static void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
    if (!tag.empty() && tag != "?" && tag != "!") {
      throw Refused{mark, fmt::format("tags such as {} are not part of the format", tag)};
    }
  }

  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
            YamlNode::Kind kind) {
    refuse_anchor(mark, anchor);
    refuse_tag(mark, tag);
    if (stack_.size() >= kMaxDepth) {
      throw Refused{mark, fmt::format("nested deeper than {} levels", kMaxDepth)};
    }
    if (!stack_.empty() && stack_.back().node.kind == YamlNode::Kind::Map &&
        !stack_.back().has_key) {
      throw Refused{mark, "a key must be a plain word"};
    }
    stack_.push_back({make(mark, kind), {}, false});
  }

  void close() {
    YamlNode done = std::move(stack_.back().node);
    stack_.pop_back();
    add(std::move(done));
  }

  void add(YamlNode node) {
    if (stack_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& parent = stack_.back();
    if (parent.node.kind == YamlNode::Kind::Sequence) {
      parent.node.items.push_back(std::move(node));
    } else if (!parent.has_key) {
      parent.key = std::move(node);
      parent.has_key = true;
    } else {
      parent.node.pairs.push_back({std::move(parent.key), std::move(node)});
      parent.key = {};
      parent.has_key = false;
    }
  }

  bool many_;
  std::vector<Open> stack_;
  YamlNode root_;
  int documents_ = 0;
};

Place place_of(const YAML::Mark& mark, const std::string& file) {
  if (mark.is_null()) return {file, 1, 1};
  return {file, mark.line + 1, mark.column + 1};
}

}  // namespace

std::string describe(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::Null:
      return "nothing";
    case YamlNode::Kind::Scalar:
      return fmt::format("\"{}\"", node.text);
    case YamlNode::Kind::Sequence:
      return "a list";
    case YamlNode::Kind::Map:
      return "a map";
  }
  return "nothing";
}

namespace {

Result<std::vector<YamlNode>> parse(const std::string& text, const std::string& file, bool many) {
  if (text.size() > kMaxFileBytes) {
    return error(Place{file, 0, 0}, "the file has {} bytes, allowed are {}", text.size(),
                 kMaxFileBytes);
  }
  if (const auto nul = text.find('\0'); nul != std::string::npos) {
    return error(Place{file, 0, 0}, "the file is not text: byte {} is zero", nul);
  }
  try {
    std::istringstream in(text);
    YAML::Parser parser(in);
    Builder builder(many);
    std::vector<YamlNode> documents;
    while (parser.HandleNextDocument(builder)) documents.push_back(builder.take());
    if (builder.documents() == 0) return error(Place{file, 1, 1}, "the file is empty");
    return documents;
  } catch (const Refused& refused) {
    return error(place_of(refused.mark, file), "{}", refused.message);
  } catch (const YAML::Exception& e) {
    return error(place_of(e.mark, file), "not valid YAML: {}", e.msg);
  }
}

}  // namespace

Result<YamlNode> parse_yaml(const std::string& text, const std::string& file) {
  TRY(auto documents, parse(text, file, false));
  return std::move(documents.front());
}

Result<std::vector<YamlNode>> parse_yaml_documents(const std::string& text,
                                                   const std::string& file) {
  TRY(auto documents, parse(text, file, true));
  std::erase_if(documents, [](const YamlNode& root) { return root.kind == YamlNode::Kind::Null; });
  if (documents.empty()) return error(Place{file, 1, 1}, "the file is empty");
  return documents;
}

}  // namespace coalmine::scenario
