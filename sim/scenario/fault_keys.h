#pragma once

#include "sim/scenario/tables.h"

namespace coalmine::scenario {

Rule<world::Fault> fault_rule();
/// Keys that need one another.
bool check_fault(const YamlNode& node, Reader& reader, const world::Fault& fault);

/// The keys of a fault, shared by `when` and a version's own faults.
template <typename T>
void add_fault_keys(ObjectRule<T>& object, world::Fault T::*fault) {
  using world::FaultKind;
  object
      .add("kind", true,
           word_rule<FaultKind>("what goes wrong", {{"errors", FaultKind::Errors},
                                                    {"latency", FaultKind::Slow},
                                                    {"reset", FaultKind::Reset},
                                                    {"hang", FaultKind::Hang},
                                                    {"truncate", FaultKind::Truncate},
                                                    {"wrong-body", FaultKind::WrongBody}}),
           [fault](T& t, FaultKind kind) { (t.*fault).kind = kind; })
      .add("share", false, percent_rule("share of the requests; default 100%", 0, 100),
           [fault](T& t, Percent share) { (t.*fault).share = share; })
      .add("status", false, integer_rule("status of kind errors; default 500", 500, 599),
           [fault](T& t, std::int64_t status) { (t.*fault).status = static_cast<int>(status); })
      .add("latency", false, latency_rule("what comes on top, for kind latency"),
           [fault](T& t, world::Latency latency) { (t.*fault).latency = latency; })
      .add("segment", false, name_rule("only requests of this segment"),
           [fault](T& t, std::string segment) { (t.*fault).segment = std::move(segment); });
}

}  // namespace coalmine::scenario
