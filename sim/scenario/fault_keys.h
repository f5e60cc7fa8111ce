#pragma once

#include "sim/scenario/tables.h"

namespace coalmine::scenario {

Rule<world::Fault> fault_rule();
/// Keys that need one another. `node`: the map that the fault was read from.
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
                                                    {"wrong-body", FaultKind::WrongBody},
                                                    {"unhealthy", FaultKind::Unhealthy},
                                                    {"crash", FaultKind::Crash},
                                                    {"slow-start", FaultKind::SlowStart},
                                                    {"leak", FaultKind::Leak}}),
           [fault](T& t, FaultKind kind) { (t.*fault).kind = kind; })
      .add("share", false, percent_rule("share of the requests; default 100%", 0, 100),
           [fault](T& t, Percent share) { (t.*fault).share = share; })
      .add("burst", false,
           integer_rule("faulty requests come in runs of so many on average; default: each is "
                        "drawn by itself",
                        1, 1'000'000),
           [fault](T& t, std::int64_t burst) { (t.*fault).burst = static_cast<double>(burst); })
      .add("status", false, integer_rule("status of kind errors; default 500", 500, 599),
           [fault](T& t, std::int64_t status) { (t.*fault).status = static_cast<int>(status); })
      .add("latency", false,
           latency_rule("what comes on top, for kind latency; for slow-start when cold, default "
                        "500ms"),
           [fault](T& t, world::Latency latency) { (t.*fault).latency = latency; })
      .add("after", false,
           integer_rule("requests that a task serves before it crashes; default 0: the next one "
                        "is too much",
                        0, 1'000'000'000'000),
           [fault](T& t, std::int64_t n) { (t.*fault).after = static_cast<std::uint64_t>(n); })
      .add("warm-up", false,
           duration_rule("a task of kind slow-start is cold at first and warm after so long",
                         std::chrono::milliseconds{1}, std::chrono::hours{24}),
           [fault](T& t, Duration warm_up) { (t.*fault).warm_up = warm_up; })
      .add("growth", false, size_rule("what every request leaves behind, for kind leak"),
           [fault](T& t, std::uint64_t bytes) { (t.*fault).growth_bytes = bytes; })
      .add("memory", false, size_rule("where a leaking task crashes; default 64MB"),
           [fault](T& t, std::uint64_t bytes) { (t.*fault).limit_bytes = bytes; })
      .add("segment", false, name_rule("only requests with the path and header of this segment"),
           [fault](T& t, std::string segment) { (t.*fault).segment = std::move(segment); })
      .add("path", false, path_rule("only requests whose path begins so"),
           [fault](T& t, std::string path) { (t.*fault).path = std::move(path); })
      .add("header", false, header_rule("only requests with this header"),
           [fault](T& t, std::string header) { (t.*fault).header = std::move(header); });
}

}  // namespace coalmine::scenario
