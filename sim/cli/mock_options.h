#pragma once

#include <string>
#include <vector>

#include "mock-aws/server/cloud_server.h"
#include "sim/cli/verb.h"

namespace coalmine::cli {

/// The options that `mock-aws` and `up` share.
struct MockOptions {
  std::string host = "127.0.0.1";
  long long port = 4566;
  std::string driver = "process";
  std::string clock = "real";
  double speed = 1;
  long long seed = 1;
  bool verify_signatures = false;
  std::vector<std::string> allowed_hosts;
  std::vector<std::string> images;
  std::string persist;
};

void declare(Options& options, MockOptions& mock);

Result<mock::CloudServerOptions> to_server_options(const MockOptions& mock);

/// Path of the program that runs, and of `sample-app` beside it.
Result<std::string> own_path();
std::string sample_app_beside(const std::string& program);

}  // namespace coalmine::cli
