#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace coalmine::mock {

/// Largest body that gunzip() produces; a small bomb must not fill the memory.
inline constexpr std::size_t kMaxUnpackedBytes = 64 << 20;

/// The unpacked bytes of a gzip body; nullopt when it is damaged or larger than the limit.
std::optional<std::string> gunzip(std::string_view packed);

}  // namespace coalmine::mock
