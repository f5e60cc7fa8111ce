#pragma once

#include <string>
#include <string_view>

namespace coalmine::mock {

/// Of keys that carry no account, and of unsigned requests.
inline constexpr std::string_view kDefaultAccount = "000000000000";

/// The account that an access key belongs to. Twelve digits are the account itself (as
/// LocalStack reads them); AWS's newer keys (fifth character Q or later) carry it in base32;
/// every other key belongs to kDefaultAccount.
std::string account_of_key(std::string_view access_key);

}  // namespace coalmine::mock
