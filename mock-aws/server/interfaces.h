#pragma once

#include <string>
#include <vector>

namespace coalmine::mock {

/// The addresses to listen on, one by one, for `host`: itself; for "0.0.0.0" 127.0.0.1 and the
/// IPv4 addresses of the network interfaces that are up now.
///
/// A socket bound to 0.0.0.0 would take its port on every address of 127.0.0.0/8, where each task
/// has one of its own: the mesh's gateway is published on 9080 and its tasks listen on 9080 too.
std::vector<std::string> listen_addresses(const std::string& host);

}  // namespace coalmine::mock
