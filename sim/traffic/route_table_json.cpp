#include <algorithm>
#include <nlohmann/json.hpp>

#include "sim/traffic/json_reader.h"
#include "sim/traffic/route_index.h"
#include "sim/traffic/route_table.h"
#include "sim/traffic/target_json.h"

namespace coalmine::traffic {
namespace {

constexpr std::pair<std::string_view, Dialect> kDialects[] = {{"envoy", Dialect::Envoy},
                                                              {"alb", Dialect::Alb}};
constexpr std::pair<std::string_view, Protocol> kProtocols[] = {{"http", Protocol::Http},
                                                                {"tcp", Protocol::Tcp}};
constexpr std::uint64_t kMaxBodyLimit = 0x7fffffffffffffff;
constexpr std::pair<std::string_view, DesyncMode> kDesyncModes[] = {
    {"defensive", DesyncMode::Defensive},
    {"strictest", DesyncMode::Strictest},
    {"monitor", DesyncMode::Monitor}};
constexpr std::pair<std::string_view, bool> kTlsModes[] = {{"strict", false}, {"permissive", true}};
constexpr std::pair<std::string_view, Selection> kSelections[] = {{"random", Selection::Random},
                                                                  {"exact", Selection::Exact}};
constexpr std::pair<std::string_view, EmptyPolicy> kEmptyPolicies[] = {
    {"refuse", EmptyPolicy::Refuse}, {"fail-open", EmptyPolicy::FailOpen}};
constexpr std::pair<std::string_view, StringMatch::Kind> kTextKinds[] = {
    {"exact", StringMatch::Kind::Exact},
    {"prefix", StringMatch::Kind::Prefix},
    {"suffix", StringMatch::Kind::Suffix},
    {"regex", StringMatch::Kind::Regex},
    {"wildcard", StringMatch::Kind::Wildcard}};

// --- reading ---------------------------------------------------------------------------------

Status read_range(const Json& value, const std::string& path, StringMatch& out) {
  if (!value.is_array() || value.size() != 2 || !value[0].is_number_integer() ||
      !value[1].is_number_integer()) {
    return error("{}: must be [START, END] with whole numbers, END excluded", path);
  }
  out.kind = StringMatch::Kind::Range;
  out.start = value[0].get<std::int64_t>();
  out.end = value[1].get<std::int64_t>();
  return {};
}

Result<StringMatch> read_string_match(const Json& json, const std::string& path) {
  StringMatch out;
  if (json.is_string()) {
    out.kind = StringMatch::Kind::Exact;
    out.value = json.get<std::string>();
    return out;
  }
  TRY(Reader reader, Reader::object(json, path));
  int ways = 0;
  for (const auto& [name, kind] : kTextKinds) {
    if (!json.contains(name)) continue;
    ++ways;
    out.kind = kind;
    TRY_STATUS(reader.read(name, out.value));
  }
  if (const Json* range = reader.take("range")) {
    ++ways;
    TRY_STATUS(read_range(*range, reader.path_of("range"), out));
  }
  if (json.contains("present")) {
    bool present = true;
    TRY_STATUS(reader.read("present", present));
    if (!present) return error("{}: must be true; use \"invert\"", reader.path_of("present"));
    ++ways;
    out.kind = StringMatch::Kind::Present;
  }
  TRY_STATUS(reader.read("invert", out.invert));
  TRY_STATUS(reader.read("ignore_case", out.ignore_case));
  if (ways == 0) {
    TRY_STATUS(reader.done());
  }
  if (ways != 1) {
    return error("{}: needs exactly one of exact, prefix, suffix, regex, wildcard, range, present",
                 path);
  }
  TRY_STATUS(reader.done());
  return out;
}

/// An array of matches, or one of them alone.
Status read_matches(Reader& reader, std::string_view key, std::vector<StringMatch>& out) {
  const Json* value = reader.take(key);
  if (value == nullptr) return {};
  if (!value->is_array()) {
    TRY(StringMatch match, read_string_match(*value, reader.path_of(key)));
    out.push_back(std::move(match));
    return {};
  }
  for (std::size_t i = 0; i < value->size(); ++i) {
    TRY(StringMatch match,
        read_string_match((*value)[i], fmt::format("{}[{}]", reader.path_of(key), i)));
    out.push_back(std::move(match));
  }
  return {};
}

Status read_fields(Reader& reader, std::string_view key, std::vector<FieldMatch>& out) {
  return reader.each(key, [&](const Json& item, const std::string& path) -> Status {
    TRY(Reader field, Reader::object(item, path));
    FieldMatch match;
    TRY_STATUS(field.require("name"));
    TRY_STATUS(field.read("name", match.name));
    TRY_STATUS(read_matches(field, "any_of", match.any_of));
    TRY_STATUS(field.done());
    out.push_back(std::move(match));
    return {};
  });
}

Result<RouteMatch> read_match(const Json& json, const std::string& path) {
  TRY(Reader reader, Reader::object(json, path));
  RouteMatch out;
  TRY_STATUS(read_matches(reader, "path", out.path));
  for (const auto kind :
       {StringMatch::Kind::Prefix, StringMatch::Kind::Exact, StringMatch::Kind::Regex}) {
    const std::string name = name_of(kind, kTextKinds);
    StringMatch match;
    match.kind = kind;
    const bool given = json.contains(name);
    TRY_STATUS(reader.read(name, match.value));
    if (given) out.path.push_back(std::move(match));
  }
  TRY_STATUS(read_matches(reader, "host", out.host));
  TRY_STATUS(reader.read("methods", out.methods));
  TRY_STATUS(read_fields(reader, "headers", out.headers));
  TRY_STATUS(read_fields(reader, "query", out.query));
  TRY_STATUS(reader.read("source_cidrs", out.source_cidrs));
  TRY_STATUS(reader.done());
  return out;
}

Result<Mirror> read_mirror(const Json& json, const std::string& path) {
  TRY(Reader reader, Reader::object(json, path));
  Mirror out;
  TRY_STATUS(reader.require("target"));
  if (const Json* target = reader.take("target"); target->is_object()) {
    TRY(out.other, target_from_json(*target, reader.path_of("target")));
  } else {
    TRY_STATUS(reader.read("target", out.target));
  }
  TRY_STATUS(reader.read("percent", out.percent, 0, 100));
  TRY_STATUS(reader.done());
  return out;
}

/// The members of a forward stand in the route itself.
Result<Forward> read_forward(Reader& route) {
  Forward out;
  TRY_STATUS(route.each("targets", [&](const Json& item, const std::string& path) -> Status {
    TRY(Target target, target_from_json(item, path));
    out.targets.push_back(std::move(target));
    return {};
  }));
  TRY_STATUS(route.read("selection", out.selection, kSelections));
  TRY_STATUS(route.read("empty", out.empty, kEmptyPolicies));
  if (const Json* json = route.take("retry")) {
    TRY(Reader reader, Reader::object(*json, route.path_of("retry")));
    TRY_STATUS(reader.read("on", out.retry.on));
    TRY_STATUS(reader.read("max_retries", out.retry.max_retries, 0, 100));
    TRY_STATUS(reader.read("per_try_timeout", out.retry.per_try_timeout));
    TRY_STATUS(reader.done());
  }
  if (const Json* json = route.take("timeouts")) {
    TRY(out.timeouts, read_timeouts(*json, route.path_of("timeouts")));
  }
  if (const Json* json = route.take("stickiness")) {
    TRY(Reader reader, Reader::object(*json, route.path_of("stickiness")));
    TRY_STATUS(reader.read("duration", out.stickiness.duration));
    TRY_STATUS(reader.done());
  }
  if (const Json* json = route.take("mirror")) {
    TRY(out.mirror, read_mirror(*json, route.path_of("mirror")));
  }
  if (route.take("max_body") != nullptr) {
    out.max_body_bytes.emplace();
    TRY_STATUS(route.read("max_body", *out.max_body_bytes, 0, kMaxBodyLimit));
  }
  return out;
}

Result<FixedResponse> read_fixed(const Json& json, const std::string& path) {
  TRY(Reader reader, Reader::object(json, path));
  FixedResponse out;
  TRY_STATUS(reader.read("status", out.status, 200, 599));
  TRY_STATUS(reader.read("content_type", out.content_type));
  TRY_STATUS(reader.read("body", out.body));
  TRY_STATUS(reader.read("reason", out.reason));
  TRY_STATUS(reader.done());
  return out;
}

Result<Redirect> read_redirect(const Json& json, const std::string& path) {
  TRY(Reader reader, Reader::object(json, path));
  Redirect out;
  TRY_STATUS(reader.read("status", out.status, 300, 399));
  TRY_STATUS(reader.read("protocol", out.protocol));
  TRY_STATUS(reader.read("host", out.host));
  TRY_STATUS(reader.read("port", out.port));
  TRY_STATUS(reader.read("path", out.path));
  TRY_STATUS(reader.read("query", out.query));
  TRY_STATUS(reader.done());
  return out;
}

Result<std::vector<Route>> read_routes(Reader& reader, std::size_t depth);

Result<Chain> read_chain(const Json& json, const std::string& path, std::size_t depth) {
  if (depth >= kMaxNesting) return error("{}: nested deeper than {} levels", path, kMaxNesting);
  TRY(Reader reader, Reader::object(json, path));
  Chain out;
  TRY_STATUS(reader.read("name", out.name));
  TRY(out.routes, read_routes(reader, depth));
  TRY_STATUS(reader.done());
  return out;
}

Result<Route> read_route(const Json& json, const std::string& path, std::size_t depth) {
  TRY(Reader reader, Reader::object(json, path));
  Route out;
  TRY_STATUS(reader.read("name", out.name));
  if (json.contains("priority")) {
    out.priority.emplace();
    TRY_STATUS(reader.read("priority", *out.priority, 0, 1000000));
  }
  if (const Json* match = reader.take("match")) {
    TRY(out.match, read_match(*match, reader.path_of("match")));
  }
  if (const Json* rewrite = reader.take("rewrite")) {
    TRY(Reader inner, Reader::object(*rewrite, reader.path_of("rewrite")));
    TRY_STATUS(inner.read("hostname", out.rewrite.hostname));
    TRY_STATUS(inner.read("prefix", out.rewrite.prefix));
    TRY_STATUS(inner.read("path", out.rewrite.path));
    TRY_STATUS(inner.done());
  }
  const Json* targets = find(json, "targets");
  const Json* chain = reader.take("chain");
  const Json* fixed = reader.take("fixed_response");
  const Json* redirect = reader.take("redirect");
  if ((targets != nullptr) + (chain != nullptr) + (fixed != nullptr) + (redirect != nullptr) != 1) {
    reader.take("targets");
    return error("{}: needs exactly one of targets, chain, fixed_response, redirect", path);
  }
  if (targets != nullptr) {
    TRY(out.action, read_forward(reader));
  } else if (chain != nullptr) {
    TRY(out.action, read_chain(*chain, reader.path_of("chain"), depth + 1));
  } else if (fixed != nullptr) {
    TRY(out.action, read_fixed(*fixed, reader.path_of("fixed_response")));
  } else {
    TRY(out.action, read_redirect(*redirect, reader.path_of("redirect")));
  }
  TRY_STATUS(reader.done());
  return out;
}

Result<std::vector<Route>> read_routes(Reader& reader, std::size_t depth) {
  std::vector<Route> out;
  TRY_STATUS(reader.each("routes", [&](const Json& item, const std::string& path) -> Status {
    TRY(Route route, read_route(item, path, depth));
    out.push_back(std::move(route));
    return {};
  }));
  return out;
}

Result<Listener> read_listener(const Json& json, const std::string& path) {
  TRY(Reader reader, Reader::object(json, path));
  Listener out;
  TRY_STATUS(reader.read("name", out.name));
  TRY_STATUS(reader.require("port"));
  TRY_STATUS(reader.read("port", out.port, 0, 65535));
  TRY_STATUS(reader.read("dialect", out.dialect, kDialects));
  TRY_STATUS(reader.read("protocol", out.protocol, kProtocols));
  if (const Json* tls = reader.take("tls")) {
    TRY(Reader inner, Reader::object(*tls, reader.path_of("tls")));
    out.tls.emplace();
    TRY_STATUS(inner.read("certificate", out.tls->certificate));
    TRY_STATUS(inner.read("key", out.tls->key));
    TRY_STATUS(inner.read("mode", out.tls->permissive, kTlsModes));
    TRY_STATUS(inner.done());
  }
  TRY_STATUS(reader.read("max_body", out.max_body_bytes, 0, kMaxBodyLimit));
  TRY_STATUS(reader.read("desync", out.desync, kDesyncModes));
  TRY_STATUS(reader.read("drop_invalid_headers", out.drop_invalid_headers));
  TRY(out.routes, read_routes(reader, 0));
  TRY_STATUS(reader.done());
  return out;
}

// --- writing: what equals its default is left out --------------------------------------------

Json write(const StringMatch& match) {
  Json out = Json::object();
  switch (match.kind) {
    case StringMatch::Kind::Range:
      out["range"] = {match.start, match.end};
      break;
    case StringMatch::Kind::Present:
      out["present"] = true;
      break;
    default:
      out[name_of(match.kind, kTextKinds)] = match.value;
  }
  if (match.invert) out["invert"] = true;
  if (match.ignore_case) out["ignore_case"] = true;
  return out;
}

Json write(const std::vector<StringMatch>& matches) {
  Json out = Json::array();
  for (const StringMatch& match : matches) out.push_back(write(match));
  return out;
}

Json write(const std::vector<FieldMatch>& fields) {
  Json out = Json::array();
  for (const FieldMatch& field : fields) {
    out.push_back({{"name", field.name}, {"any_of", write(field.any_of)}});
  }
  return out;
}

Json write(const RouteMatch& match) {
  Json out = Json::object();
  if (!match.path.empty()) out["path"] = write(match.path);
  if (!match.host.empty()) out["host"] = write(match.host);
  if (!match.methods.empty()) out["methods"] = match.methods;
  if (!match.headers.empty()) out["headers"] = write(match.headers);
  if (!match.query.empty()) out["query"] = write(match.query);
  if (!match.source_cidrs.empty()) out["source_cidrs"] = match.source_cidrs;
  return out;
}

void write_into(Json& route, const Forward& forward) {
  const Forward plain;
  Json targets = Json::array();
  for (const Target& target : forward.targets) targets.push_back(target_to_json(target));
  route["targets"] = std::move(targets);
  if (forward.selection != plain.selection) {
    route["selection"] = name_of(forward.selection, kSelections);
  }
  if (forward.empty != plain.empty) route["empty"] = name_of(forward.empty, kEmptyPolicies);
  if (forward.retry != plain.retry) {
    route["retry"] = {{"on", forward.retry.on},
                      {"max_retries", forward.retry.max_retries},
                      {"per_try_timeout", to_string(forward.retry.per_try_timeout)}};
  }
  if (forward.timeouts != plain.timeouts) route["timeouts"] = timeouts_to_json(forward.timeouts);
  if (forward.stickiness != plain.stickiness) {
    route["stickiness"] = {{"duration", to_string(forward.stickiness.duration)}};
  }
  if (const auto& mirror = forward.mirror) {
    route["mirror"]["target"] =
        mirror->other ? target_to_json(*mirror->other) : Json(mirror->target);
    if (mirror->percent != Mirror{}.percent) route["mirror"]["percent"] = mirror->percent;
  }
  if (forward.max_body_bytes) route["max_body"] = *forward.max_body_bytes;
}

Json write(const std::vector<Route>& routes);

void write_into(Json& route, const Chain& chain) {
  route["chain"] = {{"name", chain.name}, {"routes", write(chain.routes)}};
}

void write_into(Json& route, const FixedResponse& fixed) {
  route["fixed_response"] = {{"status", fixed.status},
                             {"content_type", fixed.content_type},
                             {"body", fixed.body},
                             {"reason", fixed.reason}};
}

void write_into(Json& route, const Redirect& redirect) {
  route["redirect"] = {{"status", redirect.status}, {"protocol", redirect.protocol},
                       {"host", redirect.host},     {"port", redirect.port},
                       {"path", redirect.path},     {"query", redirect.query}};
}

Json write(const std::vector<Route>& routes) {
  Json out = Json::array();
  for (const Route& route : routes) {
    Json item = {{"match", write(route.match)}};
    if (!route.name.empty()) item["name"] = route.name;
    if (route.priority) item["priority"] = *route.priority;
    if (route.rewrite != Rewrite{}) {
      Json rewrite = Json::object();
      if (route.rewrite.hostname) rewrite["hostname"] = *route.rewrite.hostname;
      if (route.rewrite.prefix) rewrite["prefix"] = *route.rewrite.prefix;
      if (route.rewrite.path) rewrite["path"] = *route.rewrite.path;
      item["rewrite"] = std::move(rewrite);
    }
    std::visit([&](const auto& action) { write_into(item, action); }, route.action);
    out.push_back(std::move(item));
  }
  return out;
}

}  // namespace

Result<RouteTable> route_table_from_json(const Json& json) {
  if (!json.is_object()) return error("a route table is an object, this is {}", json.type_name());
  TRY(Reader reader, Reader::object(json, ""));
  RouteTable out;
  TRY_STATUS(reader.read("version", out.version, 0, ~std::uint64_t{0}));
  TRY_STATUS(reader.read("name", out.name));
  TRY_STATUS(reader.require("listeners"));
  TRY_STATUS(reader.each("listeners", [&](const Json& item, const std::string& path) -> Status {
    TRY(Listener listener, read_listener(item, path));
    out.listeners.push_back(std::move(listener));
    return {};
  }));
  TRY_STATUS(reader.read("access_log", out.access_log));
  TRY_STATUS(reader.read("problems", out.problems));
  TRY_STATUS(reader.done());
  TRY_STATUS(validate(out));
  std::sort(out.listeners.begin(), out.listeners.end(),
            [](const Listener& a, const Listener& b) { return a.port < b.port; });
  return out;
}

Json to_json(const RouteTable& table) {
  Json listeners = Json::array();
  for (const Listener& listener : table.listeners) {
    Json item = {{"port", listener.port}, {"routes", write(listener.routes)}};
    if (!listener.name.empty()) item["name"] = listener.name;
    if (listener.dialect != Dialect::Envoy) item["dialect"] = name_of(listener.dialect, kDialects);
    if (listener.protocol != Protocol::Http) {
      item["protocol"] = name_of(listener.protocol, kProtocols);
    }
    if (listener.tls) {
      item["tls"] = {{"certificate", listener.tls->certificate}, {"key", listener.tls->key}};
      if (listener.tls->permissive) item["tls"]["mode"] = name_of(true, kTlsModes);
    }
    if (listener.max_body_bytes != 0) item["max_body"] = listener.max_body_bytes;
    if (listener.desync != DesyncMode::Defensive) {
      item["desync"] = name_of(listener.desync, kDesyncModes);
    }
    if (listener.drop_invalid_headers) item["drop_invalid_headers"] = true;
    listeners.push_back(std::move(item));
  }
  Json out = {{"listeners", std::move(listeners)}};
  if (table.version != 0) out["version"] = table.version;
  if (!table.name.empty()) out["name"] = table.name;
  if (!table.access_log.empty()) out["access_log"] = table.access_log;
  if (!table.problems.empty()) out["problems"] = table.problems;
  return out;
}

}  // namespace coalmine::traffic
