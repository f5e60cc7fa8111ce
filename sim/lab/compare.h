#pragma once

#include <string>

#include "sim/engine/world/world.h"
#include "sim/lab/lab_cloud.h"

namespace coalmine::lab {

/// Whether two JSON bodies have the same shape: the same fields with the same types, of lists those
/// of their first entries. Values may differ: they name the version, the time, a counter. Bodies
/// that are no JSON have the same shape if neither is.
bool same_shape(const std::string& a, const std::string& b);

/// Asks a task of each version the same, beside the users' requests, and counts the answers that
/// differ in shape. Requests that one of them fails tell nothing. Error (Environment): a version
/// has no task to ask.
Status compare_answers(const world::Spec& spec, LabCloud& cloud, std::uint64_t seed,
                       world::Record& record);

}  // namespace coalmine::lab
