#pragma once

#include <string>

namespace coalmine::mock {

/// Which operation a request asks for, as the API faults name it.
struct ApiCall {
  std::string service;    ///< the model's name: "appmesh", "ecs", "elbv2", ...
  std::string operation;  ///< "UpdateRoute"
  bool operator==(const ApiCall&) const = default;
};

}  // namespace coalmine::mock
