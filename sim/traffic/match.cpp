#include "sim/traffic/match.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace coalmine::traffic {
namespace {

bool starts_with(std::string_view text, std::string_view prefix, bool ignore_case) {
  if (text.size() < prefix.size()) return false;
  const std::string_view head = text.substr(0, prefix.size());
  return ignore_case ? equals_ignoring_case(head, prefix) : head == prefix;
}

bool ends_with(std::string_view text, std::string_view suffix, bool ignore_case) {
  if (text.size() < suffix.size()) return false;
  const std::string_view tail = text.substr(text.size() - suffix.size());
  return ignore_case ? equals_ignoring_case(tail, suffix) : tail == suffix;
}

std::optional<std::int64_t> to_integer(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool any_matches(const std::vector<StringMatcher>& alternatives, std::string_view value) {
  return alternatives.empty() ||
         std::any_of(alternatives.begin(), alternatives.end(),
                     [&](const StringMatcher& m) { return m.matches(value); });
}

Result<std::vector<StringMatcher>> compile_all(const std::vector<StringMatch>& specs,
                                               bool ignore_case) {
  std::vector<StringMatcher> out;
  for (const StringMatch& spec : specs) {
    TRY(StringMatcher matcher, StringMatcher::compile(spec, ignore_case || spec.ignore_case));
    out.push_back(std::move(matcher));
  }
  return out;
}

}  // namespace

Result<Cidr> Cidr::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  std::string_view rest = text.substr(0, slash);
  Cidr out;
  for (int part = 0; part < 4; ++part) {
    const std::size_t dot = part < 3 ? rest.find('.') : rest.size();
    const auto byte = to_integer(rest.substr(0, dot));
    if (dot == std::string_view::npos || !byte || *byte < 0 || *byte > 255) {
      return error("\"{}\" is not an IPv4 range such as 10.0.0.0/8", text);
    }
    out.address = (out.address << 8) | static_cast<std::uint32_t>(*byte);
    rest = rest.substr(std::min(dot + 1, rest.size()));
  }
  std::int64_t bits = 32;
  if (slash != std::string_view::npos) {
    const auto given = to_integer(text.substr(slash + 1));
    if (!given || *given < 0 || *given > 32) {
      return error("\"{}\" is not an IPv4 range such as 10.0.0.0/8", text);
    }
    bits = *given;
  }
  out.mask = bits == 0 ? 0 : ~std::uint32_t{0} << (32 - bits);
  out.address &= out.mask;
  return out;
}

// Greedy with one point of return: the last '*' takes one more character on a mismatch.
bool matches_wildcard(std::string_view pattern, std::string_view text, bool ignore_case) {
  const auto same = [&](char a, char b) {
    return a == '?' || a == b || (ignore_case && ascii_lower(a) == ascii_lower(b));
  };
  std::size_t p = 0;
  std::size_t t = 0;
  std::optional<std::pair<std::size_t, std::size_t>> star;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = {++p, t};
    } else if (p < pattern.size() && same(pattern[p], text[t])) {
      ++p;
      ++t;
    } else if (star) {
      p = star->first;
      t = ++star->second;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

Result<StringMatcher> StringMatcher::compile(const StringMatch& match, bool ignore_case) {
  StringMatcher out;
  out.spec_ = &match;
  out.ignore_case_ = ignore_case;
  if (match.kind == StringMatch::Kind::Regex) {
    TRY(out.regex_, Regex::compile(match.value));
  }
  if (match.kind == StringMatch::Kind::Range && match.start >= match.end) {
    return error("range [{}, {}) is empty; the end must be above the start", match.start,
                 match.end);
  }
  return out;
}

bool StringMatcher::matches(std::string_view value) const {
  const auto holds = [&] {
    switch (spec_->kind) {
      case StringMatch::Kind::Exact:
        return ignore_case_ ? equals_ignoring_case(value, spec_->value) : value == spec_->value;
      case StringMatch::Kind::Prefix:
        return starts_with(value, spec_->value, ignore_case_);
      case StringMatch::Kind::Suffix:
        return ends_with(value, spec_->value, ignore_case_);
      case StringMatch::Kind::Regex:
        return regex_->matches(value, ignore_case_);
      case StringMatch::Kind::Range: {
        const auto number = to_integer(value);
        return number && *number >= spec_->start && *number < spec_->end;
      }
      case StringMatch::Kind::Present:
        return true;
      case StringMatch::Kind::Wildcard:
        return matches_wildcard(spec_->value, value, ignore_case_);
    }
    return false;
  };
  return holds() != spec_->invert;
}

Result<std::vector<RouteMatcher::Field>> RouteMatcher::compile_fields(
    const std::vector<FieldMatch>& fields, Dialect dialect) {
  std::vector<Field> out;
  for (const FieldMatch& field : fields) {
    TRY(auto any_of, compile_all(field.any_of, dialect == Dialect::Alb));
    out.push_back({field.name, std::move(any_of)});
  }
  return out;
}

Result<RouteMatcher> RouteMatcher::compile(const RouteMatch& match, Dialect dialect) {
  RouteMatcher out;
  out.spec_ = &match;
  out.dialect_ = dialect;
  TRY(out.path_, compile_all(match.path, false));
  TRY(out.host_, compile_all(match.host, true));
  TRY(out.headers_, compile_fields(match.headers, dialect));
  TRY(out.query_, compile_fields(match.query, dialect));
  for (const std::string& text : match.source_cidrs) {
    TRY(const Cidr cidr, Cidr::parse(text));
    out.sources_.push_back(cidr);
  }
  return out;
}

bool RouteMatcher::header_matches(const Field& field, const RequestView& request) const {
  const HeaderView* first = nullptr;
  std::string joined;
  for (const HeaderView& header : request.headers) {
    if (!equals_ignoring_case(header.name, field.name)) continue;
    if (first == nullptr) {
      first = &header;
      continue;
    }
    if (joined.empty()) joined = first->value;
    joined += ',';
    joined += header.value;
  }
  const bool is_host = first == nullptr && equals_ignoring_case(field.name, "host");
  if (first == nullptr && !is_host) {
    // Only "is absent" can hold for a missing field.
    return std::any_of(field.any_of.begin(), field.any_of.end(), [](const StringMatcher& m) {
      return m.spec().kind == StringMatch::Kind::Present && m.spec().invert;
    });
  }
  if (is_host) return any_matches(field.any_of, request.host);
  return any_matches(field.any_of, joined.empty() ? first->value : std::string_view(joined));
}

bool RouteMatcher::query_matches(const Field& field, const RequestView& request) const {
  std::string_view rest = request.query;
  bool found = false;
  const bool alb = dialect_ == Dialect::Alb;
  while (!rest.empty()) {
    const std::size_t amp = rest.find('&');
    const std::string_view pair = rest.substr(0, amp);
    rest = amp == std::string_view::npos ? std::string_view{} : rest.substr(amp + 1);
    const std::size_t equals = pair.find('=');
    const std::string_view name = pair.substr(0, equals);
    const std::string_view value =
        equals == std::string_view::npos ? std::string_view{} : pair.substr(equals + 1);
    const bool named =
        alb ? field.name.empty() || equals_ignoring_case(name, field.name) : name == field.name;
    if (!named) continue;
    found = true;
    if (any_matches(field.any_of, value)) return true;
    if (!alb) return false;
  }
  if (found) return false;
  return std::any_of(field.any_of.begin(), field.any_of.end(), [](const StringMatcher& m) {
    return m.spec().kind == StringMatch::Kind::Present && m.spec().invert;
  });
}

bool RouteMatcher::matches(const RequestView& request) const {
  if (!any_matches(path_, request.path)) return false;
  if (!host_.empty() && !any_matches(host_, without_port(request.host))) return false;
  if (!spec_->methods.empty() && std::find(spec_->methods.begin(), spec_->methods.end(),
                                           request.method) == spec_->methods.end()) {
    return false;
  }
  for (const Field& field : headers_) {
    if (!header_matches(field, request)) return false;
  }
  for (const Field& field : query_) {
    if (!query_matches(field, request)) return false;
  }
  return sources_.empty() || std::any_of(sources_.begin(), sources_.end(), [&](const Cidr& c) {
           return c.contains(request.source_ipv4);
         });
}

std::optional<std::size_t> RouteMatcher::matched_prefix(std::string_view path) const {
  for (const StringMatcher& m : path_) {
    if (m.spec().kind == StringMatch::Kind::Prefix && !m.spec().invert && m.matches(path)) {
      return m.spec().value.size();
    }
  }
  return std::nullopt;
}

Result<bool> match(const RouteMatch& match, const RequestView& request, Dialect dialect) {
  TRY(const RouteMatcher matcher, RouteMatcher::compile(match, dialect));
  return matcher.matches(request);
}

namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = ascii_lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool is_unreserved(int c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

bool is_normal(std::string_view path) {
  for (std::size_t i = 0; i < path.size(); ++i) {
    const char c = path[i];
    if (c == '%' || c == '\\') return false;
    if (c == '/' && i + 1 < path.size() && (path[i + 1] == '/' || path[i + 1] == '.')) return false;
  }
  return true;
}

}  // namespace

std::string_view normalize_path(std::string_view path, std::string& scratch) {
  if (is_normal(path)) return path;
  std::string decoded;
  for (std::size_t i = 0; i < path.size(); ++i) {
    const int high = path[i] == '%' && i + 2 < path.size() ? hex_digit(path[i + 1]) : -1;
    const int low = high >= 0 ? hex_digit(path[i + 2]) : -1;
    if (low >= 0 && is_unreserved(high * 16 + low)) {
      decoded += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      decoded += path[i] == '\\' ? '/' : path[i];
    }
  }
  scratch.clear();
  std::size_t at = 0;
  while (at < decoded.size()) {
    const std::size_t end = std::min(decoded.find('/', at + 1), decoded.size());
    const std::string_view segment = std::string_view(decoded).substr(at + 1, end - at - 1);
    const bool last = end == decoded.size();
    if (segment == "..") {
      scratch.resize(scratch.empty() ? 0 : scratch.rfind('/'));
      if (last) scratch += '/';
    } else if (segment == "." || segment.empty()) {
      if (last) scratch += '/';
    } else {
      scratch += '/';
      scratch += segment;
    }
    at = end;
  }
  if (scratch.empty()) scratch = "/";
  return scratch;
}

}  // namespace coalmine::traffic
