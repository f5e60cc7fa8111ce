#pragma once

#include <cstddef>
#include <string>

#include "sim/core/random.h"

namespace coalmine {

std::string random_hex(Random& random, std::size_t length);     ///< lower case
std::string random_alnum(Random& random, std::size_t length);   ///< [a-z0-9]
std::string random_digits(Random& random, std::size_t length);  ///< no leading zero
std::string random_base64url(Random& random, std::size_t length);
std::string random_uuid(Random& random);  ///< version 4

}  // namespace coalmine
