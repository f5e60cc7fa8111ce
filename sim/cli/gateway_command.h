#pragma once

#include <string>

namespace coalmine::cli {

/// What `coalmine gateway` was asked to do; texts as they were typed.
struct GatewayCommand {
  std::string listen = "127.0.0.1";      ///< HOST[:PORT]; PORT replaces the only listener's
  std::string admin = "127.0.0.1:9901";  ///< HOST:PORT; port 0 picks a free one
  long long threads = 1;
  std::string routes;           ///< FILE with a route table, read again on SIGHUP; or
  std::string control;          ///< URL of the control plane, with one of the next two
  std::string virtual_gateway;  ///< MESH/NAME
  std::string load_balancer;    ///< NAME
  std::string scope = "000000000000/us-east-1";  ///< ACCOUNT/REGION
  std::string report_every = "1s";               ///< counts to the control plane
  std::string selection;                         ///< "", "random" or "exact"
  std::string access_log;                        ///< file, or "-" for standard output
  std::string access_log_sample = "100%";        ///< of requests
  bool traceparent = false;                      ///< create one where there is none
  long long max_connections = 0;                 ///< per thread; 0: what descriptors allow
};

/// Serves until SIGINT or SIGTERM, then drains. Returns the program's exit code.
int run_gateway(const GatewayCommand& command);

}  // namespace coalmine::cli
