// sim/traffic/faults: how a version misbehaves, as a pure function of its faults and the request.
//
// The sample app asks decide() for every real request, the virtual world for every modelled
// one: the same code, so a faulty v2 is faulty in the same way live and in virtual time.
// Nothing here sleeps or sends; an Outcome says what the caller has to do.
//
//   faults (text or JSON) -> FaultState -> decide(request, now, random) -> Outcome
//
// Below: sim/core. Above: sim/engine, sim/scenario, sample-app.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/core/json.h"
#include "sim/core/random.h"
#include "sim/core/result.h"
#include "sim/core/time.h"
#include "sim/traffic/faults/latency.h"

namespace coalmine::faults {

inline constexpr std::size_t kMaxFaults = 32;            ///< of one version at a time
inline constexpr double kMaxBurst = 1'000'000;           ///< mean requests of a burst
inline constexpr std::uint64_t kMaxLeakBytes = 1 << 30;  ///< 1 GB

enum class Kind {
  Errors,     ///< answers with `code`
  Latency,    ///< adds a delay
  Reset,      ///< closes with RST instead of answering
  Hang,       ///< never answers
  Truncate,   ///< half the body, then the end of the connection
  WrongBody,  ///< well-formed JSON that is not what was asked for
  Unhealthy,  ///< health checks fail, requests are served
  Crash,      ///< the process ends instead of answering request number `after` + 1
  SlowStart,  ///< health checks fail and requests are slow until warm
  Leak,       ///< memory grows with every request: slower and slower, then a crash
};

struct Fault {
  Kind kind = Kind::Errors;
  // How often, among the requests in scope:
  double share = 1;  ///< 0 to 1, in the long run
  /// 0: every request is drawn by itself. L >= 1: faulty requests come in runs of L on average,
  /// with the same share (Gilbert and Elliott's two-state channel, stepped by request).
  double burst = 0;
  // Scope; empty matches everything:
  std::string path;  ///< prefix
  std::string header_name;
  std::string header_value;
  // What, by kind:
  int code = 500;                  ///< Errors
  Latency latency;                 ///< Latency: the delay. SlowStart: the delay when cold
  std::uint64_t after = 0;         ///< Crash: requests served before
  Duration warm_up{};              ///< SlowStart: falls linearly to nothing over this time
  std::uint64_t growth_bytes = 0;  ///< Leak: per request
  std::uint64_t limit_bytes = 0;   ///< Leak: the crash comes here
  bool operator==(const Fault&) const = default;
};

using HeaderField = std::pair<std::string, std::string>;

/// What decide() needs to know of a request.
struct RequestFacts {
  std::string_view path = "/";  ///< without the query
  std::span<const HeaderField> headers;
  /// Faults without a path spare health checks, but for Unhealthy, SlowStart and Crash.
  bool health_check = false;
};

enum class Effect { None, Reset, Hang, Truncate, WrongBody, Crash };

/// What becomes of a request: wait `delay`, then answer, or fail in the given way.
struct Outcome {
  int status = 0;  ///< 0: the normal answer
  Effect effect = Effect::None;
  Duration delay{};
  std::uint64_t grow_bytes = 0;  ///< memory to keep from now on
  bool operator==(const Outcome&) const = default;
};

/// The faults of one running copy of a version, with what they remember. A value: copy it freely.
class FaultState {
 public:
  FaultState() = default;
  FaultState(std::vector<Fault> faults, TimePoint started);

  /// Every fault in scope is asked in order: delays add up, the first failure wins, a crash
  /// beats them all. Draws from `random` only for shares strictly between 0 and 1 and for
  /// random latencies.
  Outcome decide(const RequestFacts& request, TimePoint now, Random& random);

  const std::vector<Fault>& faults() const { return faults_; }
  bool empty() const { return faults_.empty(); }

 private:
  /// What one fault remembers.
  struct Memory {
    bool begun = false;
    bool in_burst = false;
    std::uint64_t requests = 0;
    std::uint64_t bytes = 0;
  };
  static bool strikes(const Fault& fault, Memory& memory, Random& random);
  void apply(const Fault& fault, Memory& memory, const RequestFacts& request, TimePoint now,
             Random& random, Outcome& outcome) const;

  std::vector<Fault> faults_;
  std::vector<Memory> memories_;
  TimePoint started_{};
};

/// Faults as text, one behind the other with ';', each KIND[=VALUE] and settings with ',':
///   errors=5%,code=503,path=/checkout,burst=20
///   latency=20ms | latency=20ms..80ms | latency=lognormal(20ms,80ms) [,share=10%]
///   reset=1%  hang=1%  truncate=1%  wrong-body=1%      unhealthy
///   crash-after=1000      slow-start=30s[,latency=500ms]      leak=64KB[,limit=64MB]
/// Scope of any: path=PREFIX, header=NAME:VALUE, share=P%, burst=L. "" and "none": no faults.
Result<std::vector<Fault>> parse_faults(std::string_view text);
/// The same as JSON: a list, {"faults":[...]}, or one fault:
///   {"kind":"errors","share":"5%","code":503,"path":"/checkout","header":"X-User:1","burst":20}
///   {"kind":"latency","latency":{"lognormal":{"median":"20ms","p99":"80ms"}}}
///   {"kind":"crash-after","after":1000}  {"kind":"slow-start","for":"30s","latency":"500ms"}
///   {"kind":"leak","growth":"64KB","limit":"64MB"}
Result<std::vector<Fault>> faults_from_json(const Json& value);

/// The text form; parse_faults() reads it back.
std::string to_string(const std::vector<Fault>& faults);
/// A list in the JSON form; faults_from_json() reads it back.
Json to_json(const std::vector<Fault>& faults);

}  // namespace coalmine::faults
