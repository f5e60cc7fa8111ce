#include "sim/cli/rollout_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <filesystem>

#include "sim/aws/real_clock.h"
#include "sim/aws/sts.h"
#include "sim/cli/lab_clock.h"
#include "sim/cli/verb.h"
#include "sim/rollout/control_file.h"
#include "sim/rollout/driver.h"
#include "sim/rollout/journal_file.h"

namespace coalmine::cli {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using rollout::Command;
using rollout::Journal;
using rollout::JournalFile;
using rollout::Operator;
using rollout::Outcome;
using rollout::Phase;
using rollout::RolloutState;
using rollout::RolloutTarget;

constexpr Duration kAnswerPatience = 30s;  ///< for a running rollout to obey a command

std::atomic<bool> stop_requested = false;

void request_stop(int) {
  stop_requested = true;
}

/// Ctrl-C and TERM end the foreground run; the journal lets another one go on.
void stop_on_signals() {
  struct sigaction action {};
  action.sa_handler = request_stop;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

/// AWS lives by the wall clock, a lab by its own.
std::unique_ptr<Clock> clock_of(const rollout::TargetSettings& settings) {
  const auto environment = aws::process_environment();
  if (settings.aws) return std::make_unique<aws::RealClock>(&stop_requested);
  return lab_clock(rollout::endpoint_of(settings, environment), &stop_requested);
}

struct Files {
  std::string folder, journal, control;
};

Result<Files> files_of(const RolloutCommand& command) {
  for (const char c : command.name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.';
    if (!plain)
      return error("rollout name \"{}\": allowed are letters, digits, - _ .", command.name);
  }
  if (command.name.empty() || command.name[0] == '.') return error("the rollout needs a name");
  const auto env = aws::process_environment();
  std::string folder = command.state_dir;
  if (folder.empty()) {
    const std::string state = env.variable("XDG_STATE_HOME").value_or("");
    const std::string home = env.variable("HOME").value_or("");
    if (state.empty() && home.empty()) return error("HOME is not set; say where with --state DIR");
    folder = (state.empty() ? home + "/.local/state" : state) + "/coalmine";
  }
  return Files{folder, folder + "/" + command.name + ".journal",
               folder + "/" + command.name + ".control"};
}

/// The journal of that name; nothing if there is none.
Result<std::optional<Journal>> find_journal(const Files& files) {
  if (!fs::exists(files.journal)) return std::optional<Journal>{};
  TRY(const std::string text, rollout::read_journal_file(files.journal));
  TRY(Journal journal, rollout::parse_journal(text, files.journal));
  return std::optional<Journal>{std::move(journal)};
}

Result<Journal> need_journal(const RolloutCommand& command, const Files& files) {
  TRY(auto journal, find_journal(files));
  if (!journal) {
    return error("there is no rollout \"{}\" in {}; `coalmine rollout start` begins one",
                 command.name, files.folder);
  }
  return *std::move(journal);
}

void say(const std::string& line) {
  if (line.empty()) return;
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

int exit_code_of(const rollout::RolloutEnd& end) {
  if (!end.outcome) return kEnvironment;
  switch (*end.outcome) {
    case Outcome::Promoted:
    case Outcome::Completed:
      return kPassed;
    case Outcome::RolledBack:
    case Outcome::Aborted:
    case Outcome::Superseded:
      return kFailed;
    case Outcome::Failed:
      return kEnvironment;
  }
  return kEnvironment;
}

int report_end(const rollout::RolloutEnd& end) {
  if (!end.outcome) {
    say(fmt::format(
        "interrupted in state {}; the weights stay ({}). `coalmine rollout start` goes "
        "on, `coalmine rollout abort` rolls back",
        rollout::to_string(end.state.phase), rollout::render_weights(end.state.weights)));
  }
  return exit_code_of(end);
}

// --- start -----------------------------------------------------------------------------------

rollout::RolloutWorld world_of(RolloutTarget& target, Clock& clock, JournalFile& journal,
                               rollout::OperatorSource& operators, TimePoint start) {
  rollout::RolloutWorld world{
      target.traffic(),
      target.metrics(),
      clock,
      &operators,
      &journal,
      [start](const rollout::Event& event) { say(rollout::render(event, start)); },
      {}};
  world.tasks = &target.tasks();
  return world;
}

Result<int> go_on(const Files& files) {
  TRY(auto held, JournalFile::reopen(files.journal));
  const Journal& journal = held.journal;
  const auto settings = rollout::settings_from_map(journal.header.settings);
  const auto clock = clock_of(settings);
  TRY(auto target,
      RolloutTarget::open(settings, journal.header.plan, *clock, aws::process_environment()));
  say(fmt::format("going on with rollout {} on {} ({})", journal.header.id, journal.header.target,
                  target->description()));
  rollout::ControlFile control(files.control, rollout::operator_inputs(journal));
  auto world = world_of(*target, *clock, *held.file, control, journal.header.t);
  TRY(const auto end,
      rollout::resume_rollout(journal.header.plan, rollout::resume(journal), world));
  return report_end(end);
}

/// Keeps a finished rollout's journal under its start time, so that the name is free.
Status archive(const Files& files, const Journal& journal) {
  TRY(const auto held, JournalFile::reopen(files.journal));
  std::string stamp = to_iso8601(journal.header.t);
  std::erase_if(stamp, [](char c) { return c == '-' || c == ':'; });
  std::error_code failed;
  fs::rename(files.journal,
             files.journal.substr(0, files.journal.size() - 8) + "-" + stamp + ".journal", failed);
  if (failed) {
    return error(ErrorKind::Environment, "{}: cannot rename: {}", files.journal, failed.message());
  }
  return {};
}

Result<int> dry_run(const RolloutCommand& command, RolloutTarget& target) {
  TRY(const auto weights, target.traffic().current_weights());
  say(fmt::format("dry run on {} ({}); nothing is changed", target.traffic().describe(),
                  target.description()));
  say(fmt::format("now       {}", rollout::render_weights(weights)));
  for (const rollout::Step& step : command.plan.steps) {
    const auto* weight = std::get_if<rollout::SetWeight>(&step.what);
    const bool promote = std::holds_alternative<rollout::Promote>(step.what);
    if (weight != nullptr || promote) {
      TRY(const auto call,
          target.traffic().call_for(weight != nullptr ? weight->canary : Percent{100}));
      say(fmt::format("{:<9} {} {} {}", promote ? "promote" : "weight", call.service,
                      call.operation, dump_json(*call.input)));
    } else if (const auto* route = std::get_if<rollout::RouteMatching>(&step.what)) {
      TRY(const auto calls, target.traffic().calls_for(route->any_of));
      if (calls.empty()) say("routes    none to change now");
      for (const auto& call : calls) {
        say(fmt::format("{:<9} {} {} {}", "routes", call.service, call.operation,
                        dump_json(*call.input)));
      }
    } else if (const auto* experiment = std::get_if<rollout::Experiment>(&step.what)) {
      TRY(const auto call, target.traffic().call_for({experiment->share, experiment->share}));
      say(fmt::format("tasks     ecs UpdateService of {}'s service, until they take requests",
                      rollout::baseline_of(command.plan)));
      say(fmt::format("compare   {} {} {} for {}, then back", call.service, call.operation,
                      dump_json(*call.input), to_string(experiment->length)));
    } else if (const auto* bake = std::get_if<rollout::Bake>(&step.what)) {
      say(fmt::format("bake      {}", to_string(bake->length)));
    } else if (std::holds_alternative<rollout::ScaleCanary>(step.what)) {
      say(fmt::format("tasks     ecs UpdateService of {}'s service, until they take requests",
                      command.plan.canary));
    } else if (std::holds_alternative<rollout::Pause>(step.what)) {
      say("pause     until an operator resumes");
    } else {
      say("checks    until all have passed");
    }
  }
  return kPassed;
}

Result<int> start_new(const RolloutCommand& command, const Files& files,
                      const std::optional<Journal>& old) {
  int problems = 0;
  for (const Error& found : rollout::check(command.plan)) problems = complain(found);
  for (const Error& found : rollout::check_playable(command.plan)) problems = complain(found);
  if (problems != 0) return problems;
  const auto clock = clock_of(command.target);
  TRY(auto target,
      RolloutTarget::open(command.target, command.plan, *clock, aws::process_environment()));
  for (const Error& found : rollout::check_weights(command.plan, target->traffic())) {
    problems = complain(found);
  }
  if (problems != 0) return problems;
  if (command.dry_run) return dry_run(command, *target);
  std::string who;
  if (command.target.aws) {
    TRY(const auto identity, aws::get_caller_identity(target->client()));
    who = fmt::format(", account {} as {}", identity.account, identity.arn);
  }
  TRY_STATUS(target->traffic().current_weights());  // before a journal exists: can we see it?

  if (old) TRY_STATUS(archive(files, *old));
  std::error_code failed;
  fs::create_directories(files.folder, failed);
  fs::remove(files.control, failed);
  const rollout::JournalHeader header{clock->now(), command.name, target->traffic().describe(),
                                      command.plan, rollout::to_map(target->settings())};
  TRY(auto file, JournalFile::create(files.journal, header));
  say(fmt::format("rollout {} on {} ({}{})", command.name, header.target, target->description(),
                  who));
  say(fmt::format("journal {}", files.journal));
  rollout::ControlFile control(files.control, 0);
  auto world = world_of(*target, *clock, *file, control, header.t);
  TRY(const auto end, rollout::run_rollout(command.plan, world));
  return report_end(end);
}

Result<int> start(const RolloutCommand& command) {
  TRY(const Files files, files_of(command));
  TRY(const auto journal, find_journal(files));
  if (journal && !rollout::is_over(rollout::resume(*journal).phase)) {
    if (command.dry_run)
      return error("rollout \"{}\" is under way; see `rollout status`", command.name);
    return go_on(files);
  }
  return start_new(command, files, journal);
}

// --- the others ------------------------------------------------------------------------------

Result<int> status(const RolloutCommand& command) {
  TRY(const Files files, files_of(command));
  TRY(const Journal journal, need_journal(command, files));
  const RolloutState state = rollout::resume(journal);
  const auto& plan = journal.header.plan;
  say(fmt::format("rollout   {} on {}", journal.header.id, journal.header.target));
  std::string driven;
  if (!rollout::is_over(state.phase)) {
    driven = JournalFile::is_held(files.journal)
                 ? ""
                 : "; no process drives it: `coalmine rollout start` goes on";
  }
  say(fmt::format("state     {}, step {} of {}{}", rollout::to_string(state.phase),
                  std::min(state.step + 1, plan.steps.size()), plan.steps.size(), driven));
  say(fmt::format("weights   {}", rollout::render_weights(state.weights)));
  if (rollout::changes_tasks(plan)) {
    say(fmt::format("tasks     {} {} of {}  {} {} of {}", plan.stable, state.tasks.stable.ready,
                    state.tasks.stable.desired, plan.canary, state.tasks.canary.ready,
                    state.tasks.canary.desired));
    if (state.tasks.baseline) {
      say(fmt::format("          {} {} of {}", rollout::baseline_of(plan),
                      state.tasks.baseline->ready, state.tasks.baseline->desired));
    }
  }
  if (state.deadline != kNever && !rollout::is_over(state.phase)) {
    const auto clock = clock_of(rollout::settings_from_map(journal.header.settings));
    const auto left =
        std::chrono::duration_cast<std::chrono::seconds>(state.deadline - clock->now());
    say(fmt::format("until     {} ({} left)", to_iso8601(state.deadline),
                    to_string(Duration{std::max<std::chrono::seconds>(left, 0s)})));
  }
  say(fmt::format("counted   {} {} requests, {} errors; {} {} requests, {} errors", plan.canary,
                  state.canary_counts.requests, state.canary_counts.errors, plan.stable,
                  state.stable_counts.requests, state.stable_counts.errors));
  for (const auto& analysis : state.analyses) {
    say(fmt::format("analysis  {}", analysis.evaluate().sentence));
  }
  if (!state.reason.empty()) say(fmt::format("reason    {}", state.reason));
  return kPassed;
}

/// Whether the rollout obeyed its `nth` operator, once it has heard.
std::optional<bool> heard(const Journal& journal, std::size_t nth) {
  RolloutState state;
  std::size_t seen = 0;
  for (const auto& [t, input] : journal.inputs) {
    auto decision = rollout::decide(journal.header.plan, std::move(state), input, t);
    state = std::move(decision.state);
    if (!std::holds_alternative<Operator>(input) || ++seen != nth) continue;
    for (const auto& action : decision.actions) {
      const auto* record = std::get_if<rollout::Record>(&action);
      if (record == nullptr || record->event.name != "operator") continue;
      const auto* accepted = record->event.find("accepted");
      return accepted != nullptr && std::get<bool>(*accepted);
    }
  }
  return std::nullopt;
}

Result<int> speak(const RolloutCommand& command, const Operator& spoken) {
  TRY(const Files files, files_of(command));
  TRY(const Journal journal, need_journal(command, files));
  const Phase phase = rollout::resume(journal).phase;
  if (rollout::is_over(phase)) {
    return error(ErrorKind::Failed, "the rollout \"{}\" is over: {}", command.name,
                 rollout::to_string(phase));
  }
  aws::RealClock clock(&stop_requested);
  const bool driven = JournalFile::is_held(files.journal);
  const std::size_t nth = rollout::operator_inputs(journal) + 1;
  TRY_STATUS(rollout::post_command(files.control, clock.now(), spoken));
  if (!driven) {
    if (spoken.command == Command::Abort) return go_on(files);
    say(
        fmt::format("{} is noted, but no process drives the rollout: `coalmine rollout start` "
                    "carries it out",
                    rollout::to_string(spoken.command)));
    return kPassed;
  }
  const TimePoint patience = clock.now() + kAnswerPatience;
  while (clock.now() < patience && !stop_requested) {
    TRY(const Journal now, need_journal(command, files));
    const auto obeyed = heard(now, nth);
    const RolloutState state = rollout::resume(now);
    // An abort is done when the weights are back.
    const bool done =
        obeyed && (spoken.command != Command::Abort || !*obeyed || rollout::is_over(state.phase));
    if (done) {
      say(fmt::format("{}: {}; the rollout is {}", rollout::to_string(spoken.command),
                      *obeyed ? "done" : "refused", rollout::to_string(state.phase)));
      return *obeyed ? kPassed : kFailed;
    }
    clock.sleep_until(clock.now() + 100ms);
  }
  return error(ErrorKind::Environment,
               "{} was written to {}, but the rollout's process has not answered within {}",
               rollout::to_string(spoken.command), files.control, to_string(kAnswerPatience));
}

Result<int> weights(const RolloutCommand& command) {
  TRY(const Files files, files_of(command));
  TRY(const auto journal, find_journal(files));
  const bool under_way = journal && !rollout::is_over(rollout::resume(*journal).phase);
  if (command.weight) {
    if (!(command.weight->value >= 0 && command.weight->value <= 100)) {
      return error("weight is {}%, allowed is 0% to 100%", command.weight->value);
    }
    if (under_way) return speak(command, {Command::SetWeights, command.reason, *command.weight});
  }
  const auto settings =
      under_way ? rollout::settings_from_map(journal->header.settings) : command.target;
  const auto clock = clock_of(settings);
  const auto& plan = under_way ? journal->header.plan : command.plan;
  TRY(auto target, RolloutTarget::open(settings, plan, *clock, aws::process_environment()));
  if (command.weight) TRY_STATUS(target->traffic().set_weights(*command.weight));
  TRY(const auto found, target->traffic().current_weights());
  say(fmt::format("{}  ({})", rollout::render_weights(found), target->traffic().describe()));
  return kPassed;
}

/// `refused`: what an answer like "access denied" counts as. Before a rollout has begun it is a
/// fault of the surroundings; 1 would say that a rollout was rolled back.
int finish(const Result<int>& result, ErrorKind refused = ErrorKind::Failed) {
  if (result) return *result;
  Error error = result.error();
  if (error.kind == ErrorKind::Failed) error.kind = refused;
  return complain(error);
}

}  // namespace

int rollout_start(const RolloutCommand& command) {
  stop_on_signals();
  return finish(start(command), ErrorKind::Environment);
}

int rollout_status(const RolloutCommand& command) {
  return finish(status(command));
}

int rollout_weights(const RolloutCommand& command) {
  return finish(weights(command), ErrorKind::Environment);
}

int rollout_pause(const RolloutCommand& command) {
  return finish(speak(command, {Command::Pause, command.reason, {}}));
}

int rollout_resume(const RolloutCommand& command) {
  return finish(speak(command, {Command::Resume, command.reason, {}}));
}

int rollout_promote(const RolloutCommand& command) {
  return finish(speak(command, {Command::Promote, command.reason, {}}));
}

int rollout_abort(const RolloutCommand& command) {
  stop_on_signals();
  return finish(speak(command, {Command::Abort, command.reason, {}}));
}

}  // namespace coalmine::cli
