#include "sim/cli/mock_options.h"

#include <unistd.h>

#include <climits>

namespace coalmine::cli {

Result<std::string> own_path() {
  char path[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path);
  if (length <= 0) return error(ErrorKind::Environment, "cannot read /proc/self/exe");
  return std::string(path, static_cast<std::size_t>(length));
}

std::string sample_app_beside(const std::string& program) {
  return program.substr(0, program.rfind('/') + 1) + "sample-app";
}

void declare(Options& options, MockOptions& mock) {
  options.text("--host", mock.host, "address to listen on (default 127.0.0.1)");
  options.texts("--allow-host", mock.allowed_hosts,
                "a further name that clients call the endpoint by; repeatable. Loopback names "
                "are allowed, beyond loopback also addresses and names without a dot");
  options.integer("--port", mock.port, 0, 65535,
                  "port of the AWS endpoint; 0 picks a free one (0 to 65535, default 4566)");
  options.choice("--driver", mock.driver, {"process", "simulated"},
                 "who runs the containers: local processes, or a model (default process)");
  options.texts("--image", mock.images,
                "run images that match the glob by this command, with {host}, {port} and "
                "{version} filled in; repeatable. Images ending in v1, v2, … run the sample app");
  options.choice("--clock", mock.clock, {"real", "manual"},
                 "manual: time moves only by POST /_coalmine/clock (default real)");
  options.number("--speed", mock.speed, 1, mock::kMaxSpeed,
                 "the mock's time runs X times faster (1 to 1000, default 1)");
  options.integer("--seed", mock.seed, 0, LLONG_MAX,
                  "seed of every identifier the mock draws (default 1)");
  options.text("--persist", mock.persist,
               "keep the state here: every call is written down before it is answered, and made "
               "again at the next start (default: state ends with the process)");
  options.flag("--verify-signatures", mock.verify_signatures,
               "refuse requests that are not signed with SigV4 by the secret \"coalmine\"");
}

Result<mock::CloudServerOptions> to_server_options(const MockOptions& options) {
  mock::CloudServerOptions cloud;
  cloud.server.host = options.host;
  cloud.server.allowed_hosts = options.allowed_hosts;
  cloud.server.port = static_cast<int>(options.port);
  cloud.server.manual_clock = options.clock == "manual";
  cloud.server.speed = options.speed;
  cloud.server.seed = static_cast<std::uint64_t>(options.seed);
  cloud.driver =
      options.driver == "process" ? mock::DriverKind::Process : mock::DriverKind::Simulated;
  cloud.verify_signatures = options.verify_signatures;
  cloud.images = options.images;
  cloud.persist = options.persist;
  TRY(cloud.program, own_path());
  cloud.sample_app = sample_app_beside(cloud.program);
  return cloud;
}

}  // namespace coalmine::cli
