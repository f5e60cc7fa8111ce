#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "sim/cli/mock_options.h"
#include "sim/cli/stop_signal.h"
#include "sim/cli/verbs.h"

namespace coalmine::cli {
namespace {

int serve(const MockOptions& options) {
  const StopSignal stop;
  auto settings = to_server_options(options);
  if (!settings) return complain(settings.error());
  auto server = mock::CloudServer::start(*std::move(settings));
  if (!server) return complain(server.error());
  if (const std::string restored = (*server)->restored(); !restored.empty()) {
    fmt::print(stderr, "coalmine: {}\n", restored);
  }
  fmt::print("coalmine: ready mock-aws={}\n", (*server)->url());
  std::fflush(stdout);
  stop.wait();
  (*server)->stop();
  return kPassed;
}

}  // namespace

Verb mock_aws_verb() {
  auto options = std::make_shared<MockOptions>();
  return {"mock-aws",
          "Serve the AWS endpoints alone: App Mesh, ECS, ECR, ELBv2, CloudWatch and more.",
          "coalmine mock-aws --persist cloud.journal\n"
          "coalmine mock-aws --port 0 --driver simulated --clock manual",
          [options](Options& declared) { declare(declared, *options); },
          [options] { return serve(*options); }};
}

}  // namespace coalmine::cli
