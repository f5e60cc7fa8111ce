#include "mock-aws/dataplane/propagation.h"

#include <map>

namespace coalmine::mock {
namespace {

using traffic::Target;

template <typename Each>
void each_target(std::vector<traffic::Route>& routes, const Each& each) {
  for (traffic::Route& route : routes) {
    if (auto* forward = std::get_if<traffic::Forward>(&route.action)) {
      for (Target& target : forward->targets) each(target);
    } else if (auto* chain = std::get_if<traffic::Chain>(&route.action)) {
      each_target(chain->routes, each);
    }
  }
}
template <typename Each>
void each_target(traffic::RouteTable& table, const Each& each) {
  for (traffic::Listener& listener : table.listeners) each_target(listener.routes, each);
}

/// Whether both route alike, wherever the tasks are.
bool same_routes(traffic::RouteTable a, traffic::RouteTable b) {
  const auto strip = [](Target& target) {
    target.instances.clear();
    target.unavailable.clear();
  };
  each_target(a, strip);
  each_target(b, strip);
  a.version = b.version = 0;
  return a == b;
}

/// `table` with the tasks that the targets of `latest` have; other targets keep theirs.
traffic::RouteTable with_tasks_of(const traffic::RouteTable& latest, traffic::RouteTable table) {
  std::map<std::string, Target> known;
  traffic::RouteTable source = latest;
  each_target(source, [&known](const Target& target) { known[target.name] = target; });
  each_target(table, [&known](Target& target) {
    const auto at = known.find(target.name);
    if (at == known.end()) return;
    target.instances = at->second.instances;
    target.unavailable = at->second.unavailable;
  });
  return table;
}

}  // namespace

void Propagation::put_in_force(traffic::RouteTable table) {
  table.version = version_;
  if (visible_ && table == *visible_) return;
  table.version = ++version_;
  visible_ = std::make_shared<const traffic::RouteTable>(std::move(table));
}

void Propagation::observe(traffic::RouteTable table, TimePoint now) {
  if (!visible_) {
    version_ = table.version == 0 ? 0 : table.version - 1;
    return put_in_force(std::move(table));
  }
  const traffic::RouteTable& before = pending_.empty() ? *visible_ : pending_.back().table;
  const bool changed = !same_routes(before, table);
  for (Pending& pending : pending_) pending.table = with_tasks_of(table, std::move(pending.table));
  put_in_force(with_tasks_of(table, *visible_));
  if (changed) pending_.push_back({now + delay_, std::move(table)});
}

traffic::Snapshot Propagation::visible(TimePoint now) {
  for (; !pending_.empty() && pending_.front().at <= now; pending_.pop_front()) {
    put_in_force(std::move(pending_.front().table));
  }
  return visible_;
}

}  // namespace coalmine::mock
