#include "sim/cli/verb.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>
#include <memory>

#include "sim/core/units.h"

namespace coalmine::cli {
namespace {

constexpr const char* kIntro =
    "coalmine sends the canary into the mine before the miners: a local simulator and test\n"
    "harness for canary deployments. It speaks AWS on one port, really splits traffic between\n"
    "v1 and v2 by the weights you set, and replays rollout scenarios and checks them.";

constexpr const char* kFirstSteps =
    "First steps:\n"
    "  coalmine run scenarios                 replay and check the scenario library\n"
    "  coalmine up                            a whole canary lab on this machine\n"
    "  eval \"$(coalmine env)\"                 point the AWS CLI at it\n"
    "\n"
    "Exit codes: 0 passed, 1 a check failed or the rollout was rolled back, 2 wrong usage or\n"
    "invalid file, 3 environment fault. `coalmine VERB --help` explains each verb.";

/// Help in our own order: sentence, examples, usage, options.
class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_description(const CLI::App* app) const override {
    return app->get_description() + "\n";
  }
  std::string make_option_opts(const CLI::Option* option) const override {
    return option->get_type_size() == 0 ? "" : " " + option->get_type_name();
  }
};

class Cli11Options : public Options {
 public:
  explicit Cli11Options(CLI::App& app) : app_(app) {}

  void flag(const std::string& name, bool& value, const std::string& help) override {
    app_.add_flag(name, value, help);
  }
  void text(const std::string& name, std::string& value, const std::string& help) override {
    app_.add_option(name, value, help)->type_name(type_of(name));
  }
  void texts(const std::string& name, std::vector<std::string>& values,
             const std::string& help) override {
    app_.add_option(name, values, help)
        ->type_name(type_of(name))
        ->expected(1)
        ->take_all()
        ->allow_extra_args(false);
  }
  void integer(const std::string& name, long long& value, long long low, long long high,
               const std::string& help) override {
    app_.add_option(name, value, help)->type_name("N")->check(CLI::Range(low, high));
  }
  void number(const std::string& name, double& value, double low, double high,
              const std::string& help) override {
    app_.add_option(name, value, help)->type_name("X")->check(CLI::Range(low, high));
  }
  void duration(const std::string& name, Duration& value, const std::string& help) override {
    const CLI::callback_t read = [&value, name](const CLI::results_t& words) {
      const auto parsed = parse_duration(words.back());
      if (!parsed) throw CLI::ValidationError(name, parsed.error().message);
      value = *parsed;
      return true;
    };
    app_.add_option(name, read, help)->type_name("DURATION");
  }
  void choice(const std::string& name, std::string& value, const std::vector<std::string>& allowed,
              const std::string& help) override {
    const auto check = [allowed](std::string& word) {
      if (std::find(allowed.begin(), allowed.end(), word) != allowed.end()) return std::string();
      return fmt::format("\"{}\", allowed is {}", word, fmt::join(allowed, ", "));
    };
    app_.add_option(name, value, help)
        ->type_name(fmt::format("{}", fmt::join(allowed, "|")))
        ->check(CLI::Validator(check, "", ""));
  }
  void positionals(const std::string& name, std::vector<std::string>& values, bool required,
                   const std::string& help) override {
    app_.add_option(name, values, help)->type_name("")->required(required);
  }

 private:
  /// "--host" takes a HOST, "--routes" a FILE: the contract's words.
  static std::string type_of(const std::string& name) {
    static const std::map<std::string, std::string> kTypes = {{"--host", "HOST"},
                                                              {"--listen", "HOST[:PORT]"},
                                                              {"--admin", "HOST:PORT"},
                                                              {"--control", "URL"},
                                                              {"--routes", "FILE"},
                                                              {"--image", "PATTERN=COMMAND"},
                                                              {"--persist", "FILE"},
                                                              {"--virtual-gateway", "MESH/NAME"},
                                                              {"--journal", "DIR"},
                                                              {"--state", "DIR"},
                                                              {"--scope", "ACCOUNT/REGION"},
                                                              {"--shard", "I/N"},
                                                              {"--report", "KIND=FILE"},
                                                              {"--endpoint", "URL"}};
    const auto found = kTypes.find(name);
    return found == kTypes.end() ? "TEXT" : found->second;
  }

  CLI::App& app_;
};

/// The (sub)command for "rollout start", making "rollout" on the way.
CLI::App* subcommand(CLI::App& root, const std::string& name, const std::string& description) {
  const auto space = name.find(' ');
  if (space == std::string::npos) return root.add_subcommand(name, description);
  const std::string group = name.substr(0, space);
  const auto groups =
      root.get_subcommands([&group](const CLI::App* app) { return app->get_name() == group; });
  CLI::App* parent = groups.empty() ? nullptr : groups.front();
  if (parent == nullptr) {
    parent = root.add_subcommand(group, "Drive a rollout: start, status, weights, abort, …");
    parent->require_subcommand(1);
  }
  return parent->add_subcommand(name.substr(space + 1), description);
}

std::string full_help(const Verb& verb) {
  std::string text = verb.summary;
  if (verb.examples.empty()) return text;
  text += "\n\nExamples:";
  for (std::size_t begin = 0; begin < verb.examples.size();) {
    const auto end = std::min(verb.examples.find('\n', begin), verb.examples.size());
    text += "\n  " + verb.examples.substr(begin, end - begin);
    begin = end + 1;
  }
  return text;
}

/// " rollout start": the verbs that were recognised before an error.
std::string chosen_path(const CLI::App& root) {
  std::string path;
  const CLI::App* at = &root;
  while (!at->get_subcommands().empty()) {
    at = at->get_subcommands().front();
    path += " " + at->get_name();
  }
  return path;
}

}  // namespace

int exit_code(const Error& error) {
  switch (error.kind) {
    case ErrorKind::Invalid:
      return kUsage;
    case ErrorKind::Environment:
      return kEnvironment;
    case ErrorKind::Failed:
      return kFailed;
  }
  return kEnvironment;
}

int complain(const Error& error) {
  fmt::print(stderr, "{}{}\n", error.place ? "" : "coalmine: ", to_string(error));
  return exit_code(error);
}

int parse_and_run(const std::vector<Verb>& verbs, int argc, const char* const* argv) {
  CLI::App app{kIntro, "coalmine"};
  app.formatter(std::make_shared<HelpFormatter>());
  app.set_version_flag("--version", "coalmine " COALMINE_VERSION);
  app.footer(kFirstSteps);
  app.require_subcommand(1);
  std::vector<std::pair<CLI::App*, const Verb*>> commands;
  std::vector<std::unique_ptr<Cli11Options>> options;
  for (const Verb& verb : verbs) {
    CLI::App* command = subcommand(app, verb.name, verb.summary);
    options.push_back(std::make_unique<Cli11Options>(*command));
    verb.declare(*options.back());
    command->footer("");
    commands.emplace_back(command, &verb);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    // The list of verbs shows one sentence each; a verb's own help shows its examples too.
    for (auto& [command, verb] : commands) {
      if (command->parsed()) command->description(full_help(*verb));
    }
    fmt::print("{}", app.help());
    return kPassed;
  } catch (const CLI::CallForVersion& e) {
    fmt::print("{}\n", e.what());
    return kPassed;
  } catch (const CLI::ParseError& e) {
    fmt::print(stderr, "coalmine: error: {}\nTry `coalmine{} --help`.\n", e.what(),
               chosen_path(app));
    return kUsage;
  }
  for (const auto& [command, verb] : commands) {
    if (command->parsed()) return verb->run();
  }
  return kUsage;
}

}  // namespace coalmine::cli
