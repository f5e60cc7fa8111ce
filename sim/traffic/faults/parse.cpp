// Text and JSON to faults and back. Text is read into the JSON form first, so both have the same
// settings, limits and errors.
#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>

#include "sim/core/check.h"
#include "sim/core/units.h"
#include "sim/traffic/faults/fault.h"

namespace coalmine::faults {
namespace {

struct KindWords {
  Kind kind;
  const char* name;   // "kind" in JSON, the first word in text
  const char* value;  // the setting that KIND=VALUE stands for; empty: takes none
  const char* needs;  // the setting that must be there
};
constexpr std::array<KindWords, 10> kKinds{{{Kind::Errors, "errors", "share", "share"},
                                            {Kind::Latency, "latency", "latency", "latency"},
                                            {Kind::Reset, "reset", "share", "share"},
                                            {Kind::Hang, "hang", "share", "share"},
                                            {Kind::Truncate, "truncate", "share", "share"},
                                            {Kind::WrongBody, "wrong-body", "share", "share"},
                                            {Kind::Unhealthy, "unhealthy", "", ""},
                                            {Kind::Crash, "crash-after", "after", "after"},
                                            {Kind::SlowStart, "slow-start", "for", "for"},
                                            {Kind::Leak, "leak", "growth", "growth"}}};

constexpr Duration kDefaultColdDelay = std::chrono::milliseconds{500};
constexpr std::uint64_t kDefaultLeakLimit = 64 << 20;
constexpr double kMaxAfter = 1e15;

const KindWords& words_of(Kind kind) {
  const auto* found = std::find_if(kKinds.begin(), kKinds.end(),
                                   [kind](const KindWords& words) { return words.kind == kind; });
  CHECK(found != kKinds.end());
  return *found;
}

Result<const KindWords*> find_kind(std::string_view name) {
  for (const KindWords& words : kKinds) {
    if (name == words.name) return &words;
  }
  std::string all;
  for (const KindWords& words : kKinds) all += (all.empty() ? "" : ", ") + std::string(words.name);
  return error("there is no fault \"{}\"; allowed are {}", name, all);
}

/// "64KB" in powers of 1024.
Result<std::uint64_t> parse_bytes(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  const int shift = unit == "B"    ? 0
                    : unit == "KB" ? 10
                    : unit == "MB" ? 20
                    : unit == "GB" ? 30
                                   : -1;
  if (status != std::errc{} || shift < 0 || value == 0 || value > (kMaxLeakBytes >> shift)) {
    return error("\"{}\" is not a size; write 1B to 1GB, as 64KB", text);
  }
  return value << shift;
}

std::string bytes_text(std::uint64_t bytes) {
  if (bytes % (1 << 20) == 0) return fmt::format("{}MB", bytes >> 20);
  if (bytes % (1 << 10) == 0) return fmt::format("{}KB", bytes >> 10);
  return fmt::format("{}B", bytes);
}

/// A number, or its text: the text form knows only text.
Result<double> read_number(const Json& value, std::string_view what, double low, double high) {
  double number = low - 1;
  if (value.is_number()) number = value.get<double>();
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (status != std::errc{} || end != text.data() + text.size()) number = low - 1;
  }
  if (!(number >= low && number <= high)) {
    return error("{} is {}, allowed is {} to {}", what, dump_json(value), low, high);
  }
  return number;
}

Result<std::string> read_text(const Json& value, std::string_view what) {
  if (!value.is_string()) return error("{} must be text, not {}", what, dump_json(value));
  return value.get<std::string>();
}

Status read_share(const Json& value, Fault& fault) {
  TRY(const std::string text, read_text(value, "share"));
  TRY(const Percent percent, parse_percent(text));
  if (percent.value < 0 || percent.value > 100) {
    return error("share is {}, allowed is 0% to 100%", text);
  }
  fault.share = percent.share();
  return {};
}

Status read_header(const Json& value, Fault& fault) {
  TRY(const std::string text, read_text(value, "header"));
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos || colon == 0) {
    return error("header is \"{}\"; write NAME:VALUE", text);
  }
  fault.header_name = text.substr(0, colon);
  fault.header_value = text.substr(text.find_first_not_of(' ', colon + 1) == std::string::npos
                                       ? colon + 1
                                       : text.find_first_not_of(' ', colon + 1));
  return {};
}

Status read_code(const Json& value, Fault& fault) {
  TRY(const double code, read_number(value, "code", 200, 599));
  fault.code = static_cast<int>(code);
  if (fault.code != code) return error("code must be a whole number");
  return {};
}

Status read_setting(const std::string& key, const Json& value, Fault& fault) {
  if (key == "share") return read_share(value, fault);
  if (key == "header") return read_header(value, fault);
  if (key == "path") {
    TRY(fault.path, read_text(value, key));
    if (fault.path.empty() || fault.path.front() != '/') {
      return error("path is \"{}\", it must begin with '/'", fault.path);
    }
    return {};
  }
  if (key == "burst") {
    TRY(fault.burst, read_number(value, key, 1, kMaxBurst));
    return {};
  }
  if (key == "code" && fault.kind == Kind::Errors) return read_code(value, fault);
  if (key == "latency" && (fault.kind == Kind::Latency || fault.kind == Kind::SlowStart)) {
    TRY(fault.latency, latency_from_json(value));
    return {};
  }
  if (key == "after" && fault.kind == Kind::Crash) {
    TRY(const double after, read_number(value, key, 0, kMaxAfter));
    fault.after = static_cast<std::uint64_t>(after);
    return {};
  }
  if (key == "for" && fault.kind == Kind::SlowStart) {
    TRY(const std::string text, read_text(value, key));
    TRY(fault.warm_up, parse_duration(text));
    return {};
  }
  if ((key == "growth" || key == "limit") && fault.kind == Kind::Leak) {
    TRY(const std::string text, read_text(value, key));
    TRY((key == "growth" ? fault.growth_bytes : fault.limit_bytes), parse_bytes(text));
    return {};
  }
  return error("{} has no setting \"{}\"", words_of(fault.kind).name, key);
}

/// A run of L faulty requests on average needs enough room for the healthy ones between.
Status check_burst(const Fault& fault) {
  if (fault.burst == 0 || fault.share >= 1 || fault.share <= fault.burst / (fault.burst + 1)) {
    return {};
  }
  return error("bursts of {} requests cannot make up {}% of all: at most {:.1f}%", fault.burst,
               fault.share * 100, fault.burst / (fault.burst + 1) * 100);
}

Result<Fault> fault_from_json(const Json& value) {
  if (!value.is_object()) return error("a fault must be an object, not {}", dump_json(value));
  TRY(const KindWords* words, find_kind(get_string(value, "kind")));
  if (*words->needs != '\0' && !value.contains(words->needs)) {
    return error("{} needs \"{}\"", words->name, words->needs);
  }
  Fault fault;
  fault.kind = words->kind;
  if (fault.kind == Kind::SlowStart) fault.latency = Latency::fixed(kDefaultColdDelay);
  if (fault.kind == Kind::Leak) fault.limit_bytes = kDefaultLeakLimit;
  for (const auto& [key, setting] : value.items()) {
    if (key != "kind") TRY_STATUS(read_setting(key, setting, fault));
  }
  TRY_STATUS(check_burst(fault));
  return fault;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

/// Pieces between `separator`, but not inside parentheses.
std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> pieces;
  int depth = 0;
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && text[i] == '(') ++depth;
    if (i < text.size() && text[i] == ')') --depth;
    if (i == text.size() || (text[i] == separator && depth <= 0)) {
      pieces.push_back(trim(text.substr(begin, i - begin)));
      begin = i + 1;
    }
  }
  return pieces;
}

Result<Json> clause_to_json(std::string_view clause) {
  Json value = Json::object();
  for (const std::string_view piece : split(clause, ',')) {
    const std::size_t equals = piece.find('=');
    std::string key(trim(piece.substr(0, equals)));
    const bool has_value = equals != std::string_view::npos;
    if (value.empty()) {
      TRY(const KindWords* words, find_kind(key));
      value["kind"] = key;
      if (has_value != (*words->value != '\0')) {
        return error("write {}", has_value ? key + " without a value" : key + "=VALUE");
      }
      key = words->value;
    } else if (!has_value) {
      return error("\"{}\" in \"{}\" has no value; write {}=VALUE", key, clause, key);
    }
    if (!has_value) continue;
    if (value.contains(key)) return error("\"{}\" is set twice in \"{}\"", key, clause);
    value[key] = trim(piece.substr(equals + 1));
  }
  return value;
}

}  // namespace

Result<std::vector<Fault>> faults_from_json(const Json& value) {
  const Json* list = find(value, "faults");
  if (list != nullptr && value.size() > 1) return error("beside \"faults\" nothing is allowed");
  if (list == nullptr) list = &value;
  std::vector<Fault> faults;
  if (list->is_object() && list->empty()) return faults;
  if (!list->is_array()) {
    TRY(Fault fault, fault_from_json(*list));
    faults.push_back(std::move(fault));
    return faults;
  }
  if (list->size() > kMaxFaults) {
    return error("{} faults are too many, allowed are {}", list->size(), kMaxFaults);
  }
  for (const Json& item : *list) {
    TRY(Fault fault, fault_from_json(item));
    faults.push_back(std::move(fault));
  }
  return faults;
}

Result<std::vector<Fault>> parse_faults(std::string_view text) {
  text = trim(text);
  if (text.empty() || text == "none") return std::vector<Fault>{};
  Json list = Json::array();
  for (const std::string_view clause : split(text, ';')) {
    if (clause.empty()) continue;
    TRY(Json value, clause_to_json(clause));
    list.push_back(std::move(value));
  }
  return faults_from_json(list);
}

Json to_json(const std::vector<Fault>& faults) {
  Json list = Json::array();
  for (const Fault& fault : faults) {
    Json value = {{"kind", words_of(fault.kind).name}};
    const bool always_says = std::string_view(words_of(fault.kind).value) == "share";
    if (always_says || fault.share != 1) {
      value["share"] = to_string(Percent{fault.share * 100});
    }
    if (fault.burst != 0) value["burst"] = fault.burst;
    if (!fault.path.empty()) value["path"] = fault.path;
    if (!fault.header_name.empty()) value["header"] = fault.header_name + ":" + fault.header_value;
    if (fault.kind == Kind::Errors) value["code"] = fault.code;
    if (fault.kind == Kind::Crash) value["after"] = fault.after;
    if (fault.kind == Kind::SlowStart) value["for"] = coalmine::to_string(fault.warm_up);
    if (fault.kind == Kind::Latency || fault.kind == Kind::SlowStart) {
      value["latency"] = to_string(fault.latency);
    }
    if (fault.kind == Kind::Leak) {
      value["growth"] = bytes_text(fault.growth_bytes);
      value["limit"] = bytes_text(fault.limit_bytes);
    }
    list.push_back(std::move(value));
  }
  return list;
}

std::string to_string(const std::vector<Fault>& faults) {
  std::string text;
  for (const Json& value : to_json(faults)) {
    const std::string kind = value["kind"];
    const std::string first = (*find_kind(kind))->value;
    const auto show = [](const Json& v) {
      return v.is_string() ? v.get<std::string>() : fmt::format("{}", v.get<double>());
    };
    if (!text.empty()) text += "; ";
    text += kind + (first.empty() ? "" : "=" + show(value[first]));
    for (const auto& [key, setting] : value.items()) {
      if (key != "kind" && key != first) text += "," + key + "=" + show(setting);
    }
  }
  return text;
}

}  // namespace coalmine::faults
