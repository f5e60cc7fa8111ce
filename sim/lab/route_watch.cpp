#include "sim/lab/route_watch.h"

#include <nlohmann/json.hpp>

#include "mock-aws/protocol/timestamp.h"
#include "sim/core/json.h"

namespace coalmine::lab {
namespace {

using Numbers = std::map<std::string, std::uint32_t>;

void add_numbers(const Json& object, Numbers& numbers) {
  for (const auto& [name, value] : object.items()) {
    if (value.is_object()) {
      add_numbers(value, numbers);
    } else if (value.is_number()) {
      numbers[name] = value.get<std::uint32_t>();
    }
  }
}

/// The weights of the route with most targets; false: there is another with fewer.
bool read_weights(const Json& event, Numbers& weights) {
  const Json* routes = find(event, "weights");
  bool alone = true;
  if (routes == nullptr || !routes->is_object()) return alone;
  for (const auto& [name, targets] : routes->items()) {
    Numbers found;
    add_numbers(targets, found);
    if (!weights.empty() && found.size() != weights.size()) alone = false;
    if (found.size() >= weights.size()) weights = std::move(found);
  }
  return alone;
}

Numbers numbers_of(const Json& event, const char* member) {
  Numbers numbers;
  if (const Json* object = find(event, member)) add_numbers(*object, numbers);
  return numbers;
}

}  // namespace

void RouteWatch::see(std::string_view text) {
  const auto event = parse_json(text, "event");
  if (!event) return;
  const std::string name = get_string(*event, "event");
  if (name == "load-balancer.failed" && get_string(*event, "loadBalancer") == gateway_) {
    failure_ = get_string(*event, "reason");
  }
  if (name == "routes.refused" && get_string(*event, "gateway") == gateway_) {
    failure_ = get_string(*event, "reason");
  }
  const bool sent = name == "routes.sent", adopted = name == "routes.adopted";
  if (!(sent || adopted) || get_string(*event, "gateway") != gateway_) return;
  const auto time = mock::parse_timestamp(get_string(*event, "time"));
  if (!time) return;
  // The stream tells milliseconds.
  const TimePoint t{
      std::chrono::round<std::chrono::milliseconds>(from_epoch_seconds(*time).time_since_epoch())};
  const auto version = static_cast<std::uint64_t>(get_int(*event, "version"));
  Numbers weights;
  const bool by_marks = !read_weights(*event, weights);
  const bool same = !changes_.empty() && changes_.back().weights == weights &&
                    changes_.back().by_marks == by_marks;
  if (sent) {
    if (!same) changes_.push_back({t, std::nullopt, version, std::move(weights), by_marks});
    return;
  }
  healthy_ = numbers_of(*event, "healthy");
  if (!same) return;
  if (!changes_.back().adopted) changes_.back().adopted = t;
}

}  // namespace coalmine::lab
