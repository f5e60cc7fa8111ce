// sim/cli: the program. One file per subcommand; no logic of its own.
//
// A Verb says what it is called, how it is used and which options it takes; parse_and_run()
// does the rest (CLI11 stays in verb.cpp). Verbs translate options into the structs of the
// rooms below and turn Results into exit codes and words.
//
// Below: everything. Above: nothing.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "sim/core/result.h"
#include "sim/core/time.h"

namespace coalmine::cli {

/// The program's exit codes (contract).
enum ExitCode { kPassed = 0, kFailed = 1, kUsage = 2, kEnvironment = 3 };

/// 2, 3 or 1 by who has to act.
int exit_code(const Error& error);
/// Prints the error the way compilers do and returns its exit code.
int complain(const Error& error);

/// Where a verb declares its options: each writes into a variable that holds the default.
/// Help texts end with unit, default and range where there are any.
class Options {
 public:
  virtual ~Options() = default;
  virtual void flag(const std::string& name, bool& value, const std::string& help) = 0;
  virtual void text(const std::string& name, std::string& value, const std::string& help) = 0;
  virtual void texts(const std::string& name, std::vector<std::string>& values,
                     const std::string& help) = 0;
  virtual void integer(const std::string& name, long long& value, long long low, long long high,
                       const std::string& help) = 0;
  virtual void number(const std::string& name, double& value, double low, double high,
                      const std::string& help) = 0;
  virtual void duration(const std::string& name, Duration& value, const std::string& help) = 0;
  virtual void choice(const std::string& name, std::string& value,
                      const std::vector<std::string>& allowed, const std::string& help) = 0;
  /// The words behind the options; `required`: at least one.
  virtual void positionals(const std::string& name, std::vector<std::string>& values, bool required,
                           const std::string& help) = 0;
};

struct Verb {
  std::string name;      ///< "run", or "rollout start" below another
  std::string summary;   ///< one sentence
  std::string examples;  ///< two commands that work as typed, one a line
  std::function<void(Options&)> declare;
  std::function<int()> run;  ///< called after the options were read; returns the exit code
};

/// Parses the command line and runs the verb. --help and --version print and return 0; wrong
/// usage says what is wrong and what is allowed, and returns 2.
int parse_and_run(const std::vector<Verb>& verbs, int argc, const char* const* argv);

}  // namespace coalmine::cli
