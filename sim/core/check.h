#pragma once

namespace coalmine {

/// Prints the broken invariant with its place and aborts.
[[noreturn]] void check_failed(const char* what, const char* file, int line);

}  // namespace coalmine

/// An invariant of our own code, checked in every build. Bad input is never a CHECK.
#define CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::coalmine::check_failed(#condition, __FILE__, __LINE__))
#define CHECK_FAILED(what) ::coalmine::check_failed(what, __FILE__, __LINE__)
