#include "mock-aws/services/ecs/paging.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace coalmine::mock::ecs {
namespace {

std::string encode(std::string_view key) {
  std::string token;
  for (const char c : key) token += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return token;
}

}  // namespace

Reply list_page(const std::vector<std::string>& keys, const std::vector<Json>& items,
                std::string_view member, const Json& input, std::size_t default_size) {
  const auto wanted = get_int(input, "maxResults", static_cast<std::int64_t>(default_size));
  if (wanted < 1 || wanted > 100) {
    return aws_error("InvalidParameterException", "maxResults must be between 1 and 100.");
  }
  std::size_t begin = 0;
  const std::string token = get_string(input, "nextToken");
  if (!token.empty()) {
    const auto at = std::find_if(keys.begin(), keys.end(),
                                 [&](const std::string& key) { return encode(key) == token; });
    if (at == keys.end()) return aws_error("InvalidParameterException", "Invalid token.");
    begin = static_cast<std::size_t>(at - keys.begin()) + 1;
  }
  const std::size_t end = std::min(keys.size(), begin + static_cast<std::size_t>(wanted));
  Json page = Json::array();
  for (std::size_t i = begin; i < end; ++i) page.push_back(items[i]);
  Json reply = Json::object();
  reply[std::string(member)] = std::move(page);
  if (end < keys.size()) reply["nextToken"] = encode(keys[end - 1]);
  return reply;
}

Reply list_page(const std::vector<std::string>& keys, std::string_view member, const Json& input,
                std::size_t default_size) {
  return list_page(keys, std::vector<Json>(keys.begin(), keys.end()), member, input, default_size);
}

}  // namespace coalmine::mock::ecs
