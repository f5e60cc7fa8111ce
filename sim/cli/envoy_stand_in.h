#pragma once

#include <string>

#include "sim/core/result.h"

namespace coalmine::cli {

/// An Envoy sidecar as far as anybody can see it from outside: its admin port.
struct EnvoyStandInOptions {
  std::string admin;    ///< "HOST:PORT", as Envoy's 9901
  std::string mesh;     ///< mesh of the virtual node it belongs to
  std::string node;     ///< the virtual node
  std::string control;  ///< URL of the mock
  std::string scope;    ///< "ACCOUNT/REGION"
};

/// What GET /server_info answers: Envoy's fields, state LIVE or, before a configuration came,
/// PRE_INITIALIZING.
std::string server_info(const EnvoyStandInOptions& options, bool live);

/// Serves /server_info and /ready until SIGINT or SIGTERM. The state is LIVE while the mock knows
/// the virtual node: an Envoy whose node does not exist never gets a configuration, so a half
/// rename shows as an UNHEALTHY sidecar, as on AWS. Call before any thread is started. Errors
/// (Environment): the address is in use.
Status run_envoy_stand_in(const EnvoyStandInOptions& options);

}  // namespace coalmine::cli
