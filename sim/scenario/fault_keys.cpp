#include "sim/scenario/fault_keys.h"

namespace coalmine::scenario {
namespace {

using world::FaultKind;

/// Which kinds a key belongs to, and whether they need it.
struct KeyRule {
  std::string_view key;
  std::vector<FaultKind> kinds;
  std::vector<FaultKind> needed_by;
  std::string_view names;
};

const std::vector<KeyRule>& key_rules() {
  static const std::vector<KeyRule> kRules = {
      {"latency",
       {FaultKind::Slow, FaultKind::SlowStart},
       {FaultKind::Slow},
       "latency and slow-start"},
      {"status", {FaultKind::Errors}, {}, "errors"},
      {"after", {FaultKind::Crash}, {}, "crash"},
      {"warm-up", {FaultKind::SlowStart}, {FaultKind::SlowStart}, "slow-start"},
      {"growth", {FaultKind::Leak}, {FaultKind::Leak}, "leak"},
      {"memory", {FaultKind::Leak}, {}, "leak"},
      {"burst",
       {FaultKind::Errors, FaultKind::Slow, FaultKind::Reset, FaultKind::Hang, FaultKind::Truncate,
        FaultKind::WrongBody},
       {},
       "errors, latency, reset, hang, truncate and wrong-body"},
  };
  return kRules;
}

bool contains(const std::vector<FaultKind>& kinds, FaultKind kind) {
  return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
}

std::string_view kind_name(const YamlNode& node) {
  for (const auto& [key, value] : node.pairs) {
    if (key.text == "kind") return value.text;
  }
  return "";
}

}  // namespace

bool check_fault(const YamlNode& node, Reader& reader, const world::Fault& fault) {
  for (const KeyRule& rule : key_rules()) {
    const bool given = has_key(node, rule.key);
    if (!given && contains(rule.needed_by, fault.kind)) {
      return reader.problem(node, "a fault of kind {} needs the key \"{}\"", kind_name(node),
                            rule.key);
    }
    if (given && !contains(rule.kinds, fault.kind)) {
      return reader.problem(node, "\"{}\" belongs to faults of kind {} only", rule.key, rule.names);
    }
  }
  if (!fault.segment.empty() && (!fault.path.empty() || !fault.header.empty())) {
    return reader.problem(node, "\"segment\" stands for a path and a header; leave \"{}\" out",
                          fault.path.empty() ? "header" : "path");
  }
  // A run of L faulty requests on average needs room for the healthy ones between.
  const double most = 100 * fault.burst / (fault.burst + 1);
  if (fault.burst > 0 && fault.share.value < 100 && fault.share.value > most) {
    return reader.problem(node, "bursts of {} requests cannot make up {} of all: at most {:.1f}%",
                          fault.burst, to_string(fault.share), most);
  }
  return true;
}

Rule<world::Fault> fault_rule() {
  struct Holder {
    world::Fault fault;
  };
  ObjectRule<Holder> object("what is wrong");
  add_fault_keys(object, &Holder::fault);
  object.then([](const YamlNode& node, Reader& reader, Holder& holder) {
    return check_fault(node, reader, holder.fault);
  });
  return converted<world::Fault>(object.rule(), [](Holder&& holder) { return holder.fault; });
}

}  // namespace coalmine::scenario
