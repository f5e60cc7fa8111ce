#include "sim/lab/live_faults.h"

#include "sim/net/http.h"
#include "sim/traffic/faults/fault.h"

namespace coalmine::lab {
namespace {

constexpr net::ClientOptions kPatience{std::chrono::seconds{2}, std::chrono::seconds{5}};

Duration scaled(Duration d, double speed) {
  return from_seconds(to_seconds(d) / speed);
}

world::Latency scaled(const world::Latency& latency, double speed) {
  if (const auto* fixed = std::get_if<world::FixedLatency>(&latency)) {
    return world::FixedLatency{scaled(fixed->value, speed)};
  }
  if (const auto* uniform = std::get_if<world::UniformLatency>(&latency)) {
    return world::UniformLatency{scaled(uniform->low, speed), scaled(uniform->high, speed)};
  }
  const auto& lognormal = std::get<world::LognormalLatency>(latency);
  return world::LognormalLatency{scaled(lognormal.median, speed), scaled(lognormal.p99, speed)};
}

faults::Fault translated(const world::Spec& spec, const world::Fault& fault, double speed) {
  world::Fault real = fault;
  if (fault.kind == world::FaultKind::SlowStart && !fault.latency) {
    real.latency = world::FixedLatency{world::kDefaultColdDelay};
  }
  if (real.latency) real.latency = scaled(*real.latency, speed);
  real.warm_up = scaled(fault.warm_up, speed);
  return world::to_fault(spec, real);
}

}  // namespace

std::string fault_text(const world::Spec& spec, const world::Version& version,
                       const std::vector<world::Fault>& faults, double speed) {
  faults::Fault base;
  base.kind = faults::Kind::Latency;
  base.latency = world::to_latency(scaled(version.latency, speed));
  std::vector<faults::Fault> list = {base};
  for (const world::Fault& fault : faults) list.push_back(translated(spec, fault, speed));
  return faults::to_string(list);
}

std::map<std::string, std::string> environment_of(const world::Spec& spec,
                                                  const world::Version& version, double speed) {
  std::map<std::string, std::string> environment;
  environment["FAULT"] = fault_text(spec, version, version.faults, speed);
  if (version.capacity) {
    environment["CAPACITY"] = to_string(Rate{version.capacity->per_s * speed});
  }
  if (version.concurrency) environment["CONCURRENCY"] = fmt::format("{}", *version.concurrency);
  if (version.queue) environment["QUEUE"] = fmt::format("{}", *version.queue);
  // The gateway has given up requests that wait longer for a task.
  environment["PATIENCE"] = to_string(scaled(world::request_timeout(spec), speed));
  return environment;
}

Status put_faults(const LabTask& task, int port, const std::string& text) {
  const std::string origin = fmt::format("http://{}:{}", task.address, port);
  TRY(const auto client, net::Client::open(origin, kPatience));
  net::Request request;
  request.method = "PUT";
  request.target = "/fault";
  request.body = text;
  TRY(const net::Response response, client->send(request));
  if (response.status / 100 != 2) {
    return error(ErrorKind::Environment, "the task at {} refused the faults \"{}\": {}", origin,
                 text, response.body);
  }
  return {};
}

FaultBoard::FaultBoard(const world::Spec& spec, double speed)
    : spec_(spec), speed_(speed), boards_(spec.versions.size()) {
  for (std::size_t v = 0; v < boards_.size(); ++v) {
    boards_[v].build = {v, spec.versions[v].faults};
  }
}

void FaultBoard::begin(std::size_t version, std::size_t event, const world::Fault& fault) {
  boards_[version].active.emplace_back(event, fault);
}

void FaultBoard::end(std::size_t version, std::size_t event) {
  std::erase_if(boards_[version].active, [event](const auto& one) { return one.first == event; });
}

void FaultBoard::rebuild(std::size_t version, std::vector<world::Fault> faults) {
  boards_[version].build.own = std::move(faults);
}

void FaultBoard::adopt(std::size_t version, std::size_t from) {
  Board& board = boards_[version];
  for (const auto& [arn, text] : board.told) board.elders.try_emplace(arn, board.build);
  board.build =
      from == version ? Build{version, spec_.versions[version].faults} : boards_[from].build;
}

std::string FaultBoard::text_at_start(const Build& build) const {
  const world::Version& version = spec_.versions[build.version];
  return fault_text(spec_, version, version.faults, speed_);
}

std::string FaultBoard::text_of(const Board& board, const Build& build) const {
  std::vector<world::Fault> all = build.own;
  for (const auto& [event, fault] : board.active) all.push_back(fault);
  return fault_text(spec_, spec_.versions[build.version], all, speed_);
}

Status FaultBoard::tell(std::size_t version, const std::vector<LabTask>& tasks, int port) {
  Board& board = boards_[version];
  std::map<std::string, std::string> told;
  Status status;
  for (const LabTask& task : tasks) {
    const auto known = board.told.find(task.arn);
    const auto elder = board.elders.find(task.arn);
    const Build& build = elder == board.elders.end() ? board.build : elder->second;
    const std::string text = text_of(board, build);
    std::string heard = known == board.told.end() ? text_at_start(build) : known->second;
    if (heard != text) {
      const Status put = put_faults(task, port, text);
      if (put) {
        heard = text;
      } else if (status) {
        status = put;
      }
    }
    told[task.arn] = std::move(heard);
  }
  board.told = std::move(told);
  return status;
}

}  // namespace coalmine::lab
