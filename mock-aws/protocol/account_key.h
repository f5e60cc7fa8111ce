#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace coalmine::mock {

/// The account that an access key belongs to. Twelve digits are the account itself (as
/// LocalStack reads them); AWS's newer keys (fifth character Q or later) carry it in base32.
/// nullopt for everything else.
std::optional<std::string> account_of_key(std::string_view access_key);

}  // namespace coalmine::mock
