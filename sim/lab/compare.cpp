#include "sim/lab/compare.h"

#include <memory>
#include <nlohmann/json.hpp>

#include "sim/core/random.h"
#include "sim/net/http.h"

namespace coalmine::lab {
namespace {

constexpr int kCompared = 200;
constexpr net::ClientOptions kPatience{std::chrono::seconds{2}, std::chrono::seconds{5}};

bool same_shape(const Json& a, const Json& b) {
  if (a.is_number() && b.is_number()) return true;
  if (a.type() != b.type()) return false;
  if (a.is_object()) {
    if (a.size() != b.size()) return false;
    for (const auto& [key, value] : a.items()) {
      const Json* other = find(b, key);
      if (other == nullptr || !same_shape(value, *other)) return false;
    }
  }
  return !a.is_array() || a.empty() || b.empty() || same_shape(a.front(), b.front());
}

/// The segment that draw `u` in [0, 1) falls on; null: the unnamed rest.
const world::Segment* segment_at(const world::Spec& spec, double u) {
  for (const world::Segment& segment : spec.traffic.segments) {
    if (u < segment.share.share()) return &segment;
    u -= segment.share.share();
  }
  return nullptr;
}

net::Request request_of(const world::Segment* segment) {
  net::Request request;
  request.target = segment == nullptr ? "/" : segment->path;
  if (segment == nullptr || segment->header.empty()) return request;
  const auto [name, value] = world::header_field(segment->header);
  request.headers = {{name, value}};
  return request;
}

}  // namespace

bool same_shape(const std::string& a, const std::string& b) {
  const auto left = parse_json(a), right = parse_json(b);
  if (!left || !right) return !left && !right;
  return same_shape(*left, *right);
}

Status compare_answers(const world::Spec& spec, LabCloud& cloud, std::uint64_t seed,
                       world::Record& record) {
  if (!spec.compare_answers) return {};
  std::vector<std::string> origins;
  for (const world::Version& version : spec.versions) {
    TRY(const std::vector<LabTask> tasks, cloud.tasks(version.name));
    if (tasks.empty()) {
      return error(ErrorKind::Environment, "{} has no task whose answers could be compared",
                   version.name);
    }
    origins.push_back(fmt::format("http://{}:{}", tasks.front().address, kAppPort));
  }
  Random random = Random(seed).split("comparisons");
  for (int i = 0; i < kCompared; ++i) {
    const net::Request request = request_of(segment_at(spec, random.uniform()));
    std::vector<std::string> bodies;
    for (const std::string& origin : origins) {
      TRY(const auto client, net::Client::open(origin, kPatience));
      const auto answer = client->send(request);
      if (answer && answer->status / 100 == 2) bodies.push_back(answer->body);
    }
    if (bodies.size() < origins.size()) continue;
    ++record.compared;
    record.differing += same_shape(bodies[0], bodies[1]) ? 0 : 1;
  }
  return {};
}

}  // namespace coalmine::lab
