#include "sim/cli/verb.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <map>
#include <memory>
#include <sstream>

#include "sim/core/units.h"

namespace coalmine::cli {
namespace {

constexpr const char* kIntro =
    "coalmine sends the canary into the mine before the miners: a local simulator\n"
    "and test harness for canary deployments. It speaks AWS on one port, really\n"
    "splits traffic between v1 and v2 by the weights you set, and replays rollout\n"
    "scenarios and checks them.";

constexpr const char* kFirstSteps =
    "First steps:\n"
    "  coalmine run scenarios                 replay and check the scenario library\n"
    "  coalmine up                            a whole canary lab on this machine\n"
    "  eval \"$(coalmine env)\"                 point the AWS CLI at it\n"
    "\n"
    "Exit codes: 0 passed, 1 a check failed or the rollout was rolled back, 2 wrong\n"
    "usage or invalid file, 3 environment fault. `coalmine VERB --help` explains each\n"
    "verb.";

/// Terminals are at least so wide.
constexpr std::size_t kHelpColumns = 80;

/// Breaks lines between words so that none is longer than `width`, where possible.
std::string wrap(std::string_view text, std::size_t width) {
  std::string out;
  std::size_t column = 0;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    if (column > 0 && column + 1 + word.size() > width) {
      out += '\n';
      column = 0;
    }
    if (column > 0) out += ' ';
    out += word;
    column += word.size() + (column > 0 ? 1 : 0);
    text.remove_prefix(std::min(word.size() + 1, text.size()));
  }
  return out;
}

/// Help in our own order: sentence, examples, usage, options.
class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_option_desc(const CLI::Option* option) const override {
    return wrap(option->get_description(), kHelpColumns - column_width_);
  }
  std::string make_subcommand(const CLI::App* verb) const override {
    std::stringstream out;
    CLI::detail::format_help(out, verb->get_name(),
                             wrap(verb->get_description(), kHelpColumns - column_width_),
                             column_width_);
    return out.str();
  }
  std::string make_description(const CLI::App* app) const override {
    return app->get_description() + "\n\n";
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
    const auto check = [low, high](std::string& word) {
      long long found = 0;
      const auto [end, failed] = std::from_chars(word.data(), word.data() + word.size(), found);
      if (failed == std::errc{} && end == word.data() + word.size() && found >= low &&
          found <= high) {
        return std::string();
      }
      return fmt::format("\"{}\" is not a whole number from {} to {}", word, low, high);
    };
    app_.add_option(name, value, help)->type_name("N")->check(CLI::Validator(check, "", ""));
  }
  void number(const std::string& name, double& value, double low, double high,
              const std::string& help) override {
    const auto check = [low, high](std::string& word) {
      double found = 0;
      const auto [end, failed] = std::from_chars(word.data(), word.data() + word.size(), found);
      if (failed == std::errc{} && end == word.data() + word.size() && found >= low &&
          found <= high) {
        return std::string();
      }
      return fmt::format("\"{}\" is not a number from {} to {}", word, low, high);
    };
    app_.add_option(name, value, help)->type_name("X")->check(CLI::Validator(check, "", ""));
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
      return fmt::format("\"{}\" is none of {}", word, fmt::join(allowed, ", "));
    };
    app_.add_option(name, value, help)
        ->type_name(fmt::format("{}", fmt::join(allowed, "|")))
        ->check(CLI::Validator(check, "", ""));
  }
  void positionals(const std::string& name, std::vector<std::string>& values, bool required,
                   const std::string& help) override {
    app_.add_option(name, values, help)->type_name("");
    if (required) required_.emplace_back(name, &values);
  }

  /// The first of the words that must be there and is not; empty: nothing is missing. Asked after
  /// parsing, so that a misspelt option is complained about first.
  std::string missing() const {
    for (const auto& [name, values] : required_) {
      if (values->empty()) return name;
    }
    return {};
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
                                                              {"--plan", "KIND:FILE"},
                                                              {"--sweep", "NAME=VALUES"},
                                                              {"--target", "VERSION"},
                                                              {"--check", "NAME"},
                                                              {"--out", "FILE"},
                                                              {"--report", "KIND=FILE"},
                                                              {"--endpoint", "URL"}};
    const auto found = kTypes.find(name);
    return found == kTypes.end() ? "TEXT" : found->second;
  }

  CLI::App& app_;
  std::vector<std::pair<std::string, const std::vector<std::string>*>> required_;
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

/// How many letters are added, dropped or changed between two words.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, change}));
    }
  }
  return row[b.size()];
}

/// "; did you mean "run"? (allowed: …)"
std::string suggest(const std::string& word, const std::vector<std::string>& allowed) {
  constexpr std::size_t kClose = 2;
  const std::string* best = nullptr;
  for (const std::string& one : allowed) {
    if (distance(word, one) > kClose) continue;
    if (best == nullptr || distance(word, one) < distance(word, *best)) best = &one;
  }
  return fmt::format("{} (allowed: {})",
                     best == nullptr ? "" : fmt::format("; did you mean \"{}\"?", *best),
                     fmt::join(allowed, ", "));
}

std::vector<std::string> subcommand_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* one : app.get_subcommands(nullptr)) names.push_back(one->get_name());
  return names;
}

/// What the person typed that no verb knows; empty: nothing.
std::string unknown_word(const CLI::App& root, int argc, const char* const* argv) {
  const CLI::App* at = &root;
  for (int i = 1; i < argc && !at->get_subcommands(nullptr).empty(); ++i) {
    const std::string word = argv[i];
    if (word.starts_with("-")) return {};  // --help and --version, or CLI11 complains
    const auto found =
        at->get_subcommands([&word](const CLI::App* one) { return one->get_name() == word; });
    if (found.empty()) {
      return fmt::format("unknown verb \"{}\"{}", word, suggest(word, subcommand_names(*at)));
    }
    at = found.front();
  }
  if (!at->get_subcommands(nullptr).empty()) {
    return fmt::format("a verb is missing (allowed: {})", fmt::join(subcommand_names(*at), ", "));
  }
  return {};
}

std::string unexpected(const CLI::App& root) {
  const CLI::App* at = &root;
  while (!at->get_subcommands().empty()) at = at->get_subcommands().front();
  const std::string word = root.remaining(true).empty() ? "" : root.remaining(true).front();
  if (!word.starts_with("-")) return fmt::format("\"{}\" was not expected here", word);
  std::vector<std::string> options;
  for (const CLI::Option* option : at->get_options()) {
    if (!option->get_lnames().empty()) options.push_back("--" + option->get_lnames().front());
  }
  const std::string name = word.substr(0, word.find('='));
  return fmt::format("unknown option {}{}", name, suggest(name, options));
}

int wrong_usage(const CLI::App& app, const std::string& what) {
  fmt::print(stderr, "coalmine: error: {}\nTry `coalmine{} --help`.\n", what, chosen_path(app));
  return kUsage;
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
  std::vector<std::pair<CLI::App*, const Verb*>> commands;
  std::vector<std::unique_ptr<Cli11Options>> options;
  for (const Verb& verb : verbs) {
    CLI::App* command = subcommand(app, verb.name, verb.summary);
    options.push_back(std::make_unique<Cli11Options>(*command));
    verb.declare(*options.back());
    command->footer("");
    commands.emplace_back(command, &verb);
  }
  if (const std::string unknown = unknown_word(app, argc, argv); !unknown.empty()) {
    return wrong_usage(app, unknown);
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
  } catch (const CLI::ExtrasError&) {
    return wrong_usage(app, unexpected(app));
  } catch (const CLI::ParseError& e) {
    return wrong_usage(app, e.what());
  }
  for (std::size_t i = 0; i < commands.size(); ++i) {
    const auto& [command, verb] = commands[i];
    if (!command->parsed()) continue;
    const std::string missing = options[i]->missing();
    if (!missing.empty()) return wrong_usage(app, missing + " is missing");
    return verb->run();
  }
  return kUsage;
}

}  // namespace coalmine::cli
