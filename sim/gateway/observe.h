#pragma once

#include <string_view>

#include "sim/gateway/access_log.h"

namespace coalmine::gateway {

/// Takes from a head as it goes upstream what the access log tells of it: ids and forwarded-for.
void log_fields(std::string_view head, LogEntry& entry);

}  // namespace coalmine::gateway
