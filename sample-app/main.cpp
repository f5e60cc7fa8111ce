// The command line of sample-app; the only file that sees CLI11.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>

#include "sample-app/run.h"
#include "sim/core/units.h"

int main(int argc, char** argv) {
  using namespace coalmine;
  sample::RunOptions options;
  std::string faults;
  CLI::App cli{
      "A small web service with a version and faults, to be rolled out and to go wrong.\n"
      "\n"
      "  sample-app --version v1\n"
      "  sample-app --version v2 --port 9001 --fault 'errors=5%,code=503; latency=20ms'\n"
      "\n"
      "While it runs: curl -X PUT --data 'errors=5%' http://127.0.0.1:9000/fault",
      "sample-app"};
  cli.set_version_flag("--about", "sample-app " COALMINE_VERSION);
  cli.add_option("--version", options.version, "version it serves as: v1, v2 or any text")
      ->envname("SAMPLE_VERSION")
      ->capture_default_str();
  cli.add_option("--port", options.port, "port to listen on; 0 picks a free one")
      ->envname("PORT")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  cli.add_option("--host", options.host, "address to listen on")
      ->envname("HOST")
      ->capture_default_str();
  cli.add_option("--fault", faults,
                 "what is wrong with it: KIND=VALUE,SETTING=VALUE; ...\n"
                 "errors=5% latency=20ms..80ms latency=lognormal(20ms,80ms) reset=1% hang=1%\n"
                 "truncate=1% wrong-body=1% unhealthy crash-after=1000 slow-start=30s leak=64KB\n"
                 "settings: code=503 path=/checkout header=NAME:VALUE share=10% burst=20")
      ->envname("FAULT");
  cli.add_option("--seed", options.seed, "makes the drawn faults repeatable; 0: differ every time")
      ->envname("SEED")
      ->capture_default_str();
  std::string capacity, patience;
  int queue = -1;
  cli.add_option("--capacity", capacity,
                 "requests that it begins, as in 60/s; further ones wait. Default: no limit")
      ->envname("CAPACITY");
  cli.add_option("--concurrency", options.limits.concurrency,
                 "requests that it works on at a time; further ones wait. Default: no limit")
      ->envname("CONCURRENCY")
      ->check(CLI::Range(1, 100000));
  cli.add_option("--queue", queue,
                 "requests that may wait; further ones get 503. Default: no limit")
      ->envname("QUEUE")
      ->check(CLI::Range(0, 1000000));
  cli.add_option("--patience", patience, "how long callers wait before they are gone (default 15s)")
      ->envname("PATIENCE");
  try {
    cli.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return cli.exit(e) == 0 ? 0 : 2;
  }
  // VERSION is what images usually set; the longer name is for where that is taken.
  if (const char* version = std::getenv("VERSION");
      version != nullptr && *version != '\0' && cli.get_option("--version")->count() == 0) {
    options.version = version;
  }
  if (const char* service = std::getenv("SERVICE_NAME"); service != nullptr) {
    options.service = service;
  }
  auto parsed = faults::parse_faults(faults);
  if (!parsed) {
    std::fprintf(stderr, "sample-app: --fault: %s\n", parsed.error().message.c_str());
    return 2;
  }
  options.faults = *std::move(parsed);
  const auto complain = [](const char* option, const Error& error) {
    std::fprintf(stderr, "sample-app: %s: %s\n", option, error.message.c_str());
    return 2;
  };
  if (!capacity.empty()) {
    const auto rate = parse_rate(capacity);
    if (!rate) return complain("--capacity", rate.error());
    if (rate->per_s > 0) options.limits.spacing = from_seconds(1 / rate->per_s);
  }
  if (queue >= 0) options.limits.queue = queue;
  if (!patience.empty()) {
    const auto length = parse_duration(patience);
    if (!length) return complain("--patience", length.error());
    options.limits.patience = *length;
  }
  return sample::run(options);
}
