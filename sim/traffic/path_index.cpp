#include "sim/traffic/path_index.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>

namespace coalmine::traffic {
namespace {

using Numbers = std::vector<std::uint32_t>;

/// What every path that fits begins with, or, if `exact`, is.
struct Key {
  std::string_view text;
  bool exact = false;
};

std::optional<Key> key_of(const StringMatch& match) {
  if (match.invert || match.ignore_case) return std::nullopt;
  const std::string_view value = match.value;
  switch (match.kind) {
    case StringMatch::Kind::Exact:
      return Key{value, true};
    case StringMatch::Kind::Prefix:
      return Key{value, false};
    case StringMatch::Kind::Wildcard: {
      const std::size_t wild = value.find_first_of("*?");
      return Key{value.substr(0, wild), wild == std::string_view::npos};
    }
    default:
      return std::nullopt;
  }
}

/// Nothing: the route has to be asked whatever the path is.
std::optional<std::vector<Key>> keys_of(const RouteMatch& match) {
  if (match.path.empty()) return std::nullopt;
  std::vector<Key> out;
  for (const StringMatch& path : match.path) {
    const auto key = key_of(path);
    if (!key || (key->text.empty() && !key->exact)) return std::nullopt;
    out.push_back(*key);
  }
  return out;
}

Numbers united(const Numbers& a, const Numbers& b) {
  Numbers out;
  std::set_union(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out));
  return out;
}

struct Named {
  Numbers beginning;  ///< routes that name the text as a prefix
  Numbers exact;
};

}  // namespace

PathIndex::PathIndex(const std::vector<Route>& routes) : routes_(routes.size()) {
  if (routes.size() < kFewRoutes) return;
  std::map<std::string_view, Named> named;
  for (std::size_t i = 0; i < routes.size(); ++i) {
    const auto number = static_cast<std::uint32_t>(i);
    const auto keys = keys_of(routes[i].match);
    if (!keys) {
      always_.push_back(number);
      continue;
    }
    for (const Key& key : *keys) {
      Numbers& list = key.exact ? named[key.text].exact : named[key.text].beginning;
      if (list.empty() || list.back() != number) list.push_back(number);
    }
  }
  std::vector<Numbers> beginning;   // by node, ancestors' included
  std::vector<std::uint32_t> open;  // nodes that begin the text at hand, longest last
  for (const auto& [text, own] : named) {
    while (!open.empty() && !text.starts_with(texts_[open.back()])) open.pop_back();
    Node node;
    node.parent = open.empty() ? 0 : open.back() + 1;
    beginning.push_back(open.empty() ? own.beginning
                                     : united(beginning[open.back()], own.beginning));
    node.beginning = keep(beginning.back());
    node.equal = own.exact.empty() ? node.beginning : keep(united(beginning.back(), own.exact));
    open.push_back(static_cast<std::uint32_t>(texts_.size()));
    texts_.push_back(text);
    nodes_.push_back(node);
  }
}

PathIndex::Range PathIndex::keep(const std::vector<std::uint32_t>& routes) {
  const auto begin = static_cast<std::uint32_t>(pool_.size());
  pool_.insert(pool_.end(), routes.begin(), routes.end());
  return {begin, static_cast<std::uint32_t>(pool_.size())};
}

PathIndex::Range PathIndex::candidates(std::string_view path) const {
  const auto behind = std::upper_bound(texts_.begin(), texts_.end(), path);
  auto at = static_cast<std::uint32_t>(behind - texts_.begin());  // plus 1, as Node::parent
  while (at != 0 && !path.starts_with(texts_[at - 1])) at = nodes_[at - 1].parent;
  if (at == 0) return {};
  const Node& node = nodes_[at - 1];
  return texts_[at - 1].size() == path.size() ? node.equal : node.beginning;
}

}  // namespace coalmine::traffic
