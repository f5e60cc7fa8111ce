#pragma once

#include <fmt/format.h>

#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace coalmine {

/// Where in a file something is; lines and columns count from 1, 0 means unknown.
struct Place {
  std::string file;
  int line = 0;
  int column = 0;
  bool operator==(const Place&) const = default;
};

/// Who has to act; decides the exit code of the program (2, 3, 1).
enum class ErrorKind {
  Invalid,      ///< the caller's input: wrong usage or an invalid file
  Environment,  ///< the machine: busy port, missing program, no network
  Failed,       ///< the thing asked for was tried and did not succeed
};

/// What went wrong, in words that tell the reader place, value and what is allowed.
struct Error {
  std::string message;
  ErrorKind kind = ErrorKind::Invalid;
  std::optional<Place> place;
  bool operator==(const Error&) const = default;
};

/// A value or an Error. The one place that names the library behind it.
template <typename T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

template <typename... Args>
tl::unexpected<Error> error(fmt::format_string<Args...> text, Args&&... args) {
  return tl::unexpected<Error>(
      Error{fmt::format(text, std::forward<Args>(args)...), ErrorKind::Invalid, std::nullopt});
}

template <typename... Args>
tl::unexpected<Error> error(ErrorKind kind, fmt::format_string<Args...> text, Args&&... args) {
  return tl::unexpected<Error>(
      Error{fmt::format(text, std::forward<Args>(args)...), kind, std::nullopt});
}

template <typename... Args>
tl::unexpected<Error> error(const Place& place, fmt::format_string<Args...> text, Args&&... args) {
  return tl::unexpected<Error>(
      Error{fmt::format(text, std::forward<Args>(args)...), ErrorKind::Invalid, place});
}

/// `FILE:LINE:COL: error: message`, or `error: message` without a place.
std::string to_string(const Error& error);

}  // namespace coalmine

#define COALMINE_JOIN2(a, b) a##b
#define COALMINE_JOIN(a, b) COALMINE_JOIN2(a, b)
/// TRY(const auto x, f()): x is f()'s value, or the function returns f()'s error.
#define TRY(declaration, expression)                                         \
  auto COALMINE_JOIN(try_, __LINE__) = (expression);                         \
  if (!COALMINE_JOIN(try_, __LINE__))                                        \
    return tl::unexpected(std::move(COALMINE_JOIN(try_, __LINE__)).error()); \
  declaration = *std::move(COALMINE_JOIN(try_, __LINE__))
/// TRY_STATUS(f()): goes on if f() succeeded, else returns its error.
#define TRY_STATUS(expression)                                                           \
  if (auto COALMINE_JOIN(try_, __LINE__) = (expression); !COALMINE_JOIN(try_, __LINE__)) \
  return tl::unexpected(std::move(COALMINE_JOIN(try_, __LINE__)).error())
