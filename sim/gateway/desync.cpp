#include "sim/gateway/desync.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "sim/traffic/request.h"

namespace coalmine::gateway {
namespace {

using traffic::ascii_lower;
using traffic::equals_ignoring_case;

constexpr std::string_view kTe = "transfer-encoding";
constexpr std::string_view kCl = "content-length";
constexpr auto kNothing = std::string_view::npos;

bool is_letter(char c) {
  return ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z';
}
bool is_control(char c) {
  return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
}
bool is_bad(char c) {  // ends a line or a string somewhere
  return c == '\0' || c == '\r' || c == '\n';
}
bool is_token_byte(char c) {
  return is_letter(c) || (c >= '0' && c <= '9') ||
         (c != '\0' && std::strchr("!#$%&'*+-.^_`|~", c) != nullptr);
}
template <typename F>
bool any(std::string_view text, F&& f) {
  return std::any_of(text.begin(), text.end(), f);
}

std::string_view trimmed(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

// Whether a name has the letters of an important one (in lower case, with hyphens) in the eyes of
// lenient servers: of any case, whatever stands between them, and with the two that become ASCII
// when their case is changed.
bool same_letters(std::string_view name, std::string_view important) {
  std::size_t at = 0;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const std::string_view rest = name.substr(i);
    char letter = ascii_lower(name[i]);
    if (rest.starts_with("\xc4\xb1")) letter = 'i';  // dotless i
    if (rest.starts_with("\xc5\xbf")) letter = 's';  // long s
    if (!is_letter(letter)) continue;
    if (at < important.size() && important[at] == '-') ++at;
    if (at == important.size() || important[at] != letter) return false;
    ++at;
  }
  return at == important.size();
}

enum class Likeness { Distant, Similar, Same };

// "Transfer-Encoding x" is similar, too: servers that cut a name at a blank see the real thing.
Likeness likeness(std::string_view name, std::string_view important) {
  if (equals_ignoring_case(name, important)) return Likeness::Same;
  const std::string_view first = trimmed(name).substr(0, trimmed(name).find_first_of(" \t"));
  return same_letters(name, important) || same_letters(first, important) ? Likeness::Similar
                                                                         : Likeness::Distant;
}

std::optional<std::uint64_t> parse_length(std::string_view text) {
  if (text.empty() || text.size() > 19) return std::nullopt;
  std::uint64_t out = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    out = out * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return out;
}

/// Reads a head line by line, keeps the worst verdict, and writes the tidied head.
class Judge {
 public:
  explicit Judge(std::string& tidied) : tidied_(tidied) { tidied_.clear(); }

  DesyncVerdict judge(std::string_view head) {
    const std::size_t end = head.find("\r\n");
    request_line(head.substr(0, end));
    head.remove_prefix(end + 2);
    while (!head.starts_with("\r\n")) {
      std::size_t line_end = head.find("\r\n");
      std::string unfolded;
      std::string_view line = head.substr(0, line_end);
      head.remove_prefix(line_end + 2);
      while (!head.empty() && (head.front() == ' ' || head.front() == '\t')) {
        line_end = head.find("\r\n");
        if (unfolded.empty()) unfolded = line;
        unfolded += ' ';
        unfolded += trimmed(head.substr(0, line_end));
        line = unfolded;
        head.remove_prefix(line_end + 2);
        worsen(DesyncClass::Ambiguous, "MultilineHeader");
      }
      field(line);
    }
    framing();
    tidied_ += "\r\n";
    if (hopeless_) tidied_.clear();
    return verdict_;
  }

 private:
  void worsen(DesyncClass tier, const char* reason) {
    if (tier > verdict_.tier) verdict_ = {tier, reason};
  }

  void request_line(std::string_view line) {
    // blanks around the version belong to it
    const std::string_view stripped = trimmed(line);
    const std::size_t first = line.find(' ');
    const std::size_t last = stripped.rfind(' ');
    if (first == kNothing || last == kNothing || stripped.data() + last <= line.data() + first) {
      worsen(DesyncClass::Ambiguous, "MissingUri");
      hopeless_ = true;
      return;
    }
    const auto last_in_line = static_cast<std::size_t>(stripped.data() + last - line.data());
    method_ = line.substr(0, first);
    const std::string_view uri = line.substr(first + 1, last_in_line - first - 1);
    const std::string_view version = line.substr(last_in_line + 1);
    if (method_.empty() || any(method_, [](char c) { return !is_token_byte(c); })) {
      worsen(DesyncClass::Severe, "BadMethod");
    }
    judge_uri(trimmed(uri));
    if (uri != trimmed(uri)) worsen(DesyncClass::Acceptable, "SpaceInUri");
    judge_version(version);
    tidied_ += method_;
    tidied_ += ' ';
    append_encoded(trimmed(uri));
    tidied_ += old_ ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n";
  }

  void judge_uri(std::string_view uri) {
    for (const char c : uri) {
      if (is_bad(c)) {
        worsen(DesyncClass::Severe, "BadUri");
      } else if (c == ' ') {
        worsen(DesyncClass::Acceptable, "SpaceInUri");
      } else if (is_control(c) || c == '\t' || static_cast<unsigned char>(c) >= 0x80) {
        worsen(DesyncClass::Ambiguous, "AmbiguousUri");
      }
    }
  }
  void append_encoded(std::string_view uri) {
    for (const char c : uri) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte > 0x20 && byte < 0x7f) {
        tidied_ += c;
        continue;
      }
      tidied_ += '%';
      tidied_ += "0123456789ABCDEF"[byte >> 4];
      tidied_ += "0123456789ABCDEF"[byte & 15];
    }
  }

  void judge_version(std::string_view given) {
    const std::string_view version = trimmed(given);
    if (version.size() != 8 || !version.starts_with("HTTP/1.") || version[7] < '0' ||
        version[7] > '9') {
      worsen(DesyncClass::Severe, "BadVersion");
      hopeless_ = true;
      return;
    }
    if (given != version || version[7] > '1')
      worsen(DesyncClass::Acceptable, "NonCompliantVersion");
    old_ = version[7] == '0';
  }

  void field(std::string_view line) {
    const std::size_t colon = line.find(':');
    if (colon == kNothing) {
      worsen(DesyncClass::Ambiguous, "MissingHeaderColon");
      return;
    }
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (any(line, is_bad)) {
      worsen(DesyncClass::Severe, "BadHeader");
      return;
    }
    if (trimmed(name).empty()) {
      worsen(DesyncClass::Ambiguous, "EmptyHeader");
      return;
    }
    const Likeness te = likeness(name, kTe);
    const Likeness cl = likeness(name, kCl);
    if (te == Likeness::Similar || cl == Likeness::Similar) {
      worsen(DesyncClass::Ambiguous, "SuspiciousHeader");
      // It counts when the body's length is judged, but goes no further.
      (te == Likeness::Similar ? similar_te_ : similar_cl_) = true;
      if (te == Likeness::Similar && equals_ignoring_case(value, "chunked")) ++chunked_;
      if (cl == Likeness::Similar) length(value);
      return;
    }
    if (te == Likeness::Same) {
      coding(value);
      return;
    }
    if (cl == Likeness::Same) {
      real_cl_ = true;
      length(value);
      return;
    }
    const bool bad_name = any(name, [](char c) { return !is_token_byte(c); });
    const bool odd_value = any(value, [](char c) { return is_control(c); });
    const bool not_ascii = any(value, [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
    if (bad_name || odd_value || not_ascii) {
      worsen(DesyncClass::Acceptable, "NonCompliantHeader");
    }
    // "Ho_st" is one server's Host: as with the framing fields, nobody is to be asked to choose.
    const bool like_host = !equals_ignoring_case(name, "host") && same_letters(name, "host");
    if (bad_name || odd_value || like_host) return;
    tidied_ += name;
    tidied_ += ": ";
    tidied_ += value;
    tidied_ += "\r\n";
  }

  void coding(std::string_view value) {
    std::size_t chunked = 0;
    for (std::string_view list = value;;) {
      const std::size_t comma = list.find(',');
      const std::string_view token = trimmed(list.substr(0, comma));
      if (equals_ignoring_case(token, "chunked")) {
        ++chunked;
      } else if (!equals_ignoring_case(token, "identity")) {
        // Other codings than chunked are compliant, but not implemented: the parser says 501.
        const bool known = equals_ignoring_case(token, "gzip") ||
                           equals_ignoring_case(token, "deflate") ||
                           equals_ignoring_case(token, "compress");
        if (!known) worsen(DesyncClass::Severe, "BadTransferEncoding");
        other_coding_ = value;
      }
      if (comma == kNothing) break;
      list.remove_prefix(comma + 1);
    }
    real_te_ = true;
    chunked_ += chunked;
  }

  void length(std::string_view value) {
    const auto parsed = parse_length(value);
    if (!parsed) {
      worsen(DesyncClass::Severe, "BadContentLength");
      hopeless_ = true;
    } else if (!length_) {
      length_ = *parsed;
    } else if (*length_ == *parsed) {
      worsen(DesyncClass::Ambiguous, "DuplicateContentLength");
    } else {
      worsen(DesyncClass::Severe, "MultipleContentLength");
      hopeless_ = true;
    }
  }

  // What the fields together say about the body, and one field that says it.
  void framing() {
    const bool te = real_te_ || similar_te_;
    const bool cl = real_cl_ || similar_cl_;
    if (chunked_ > 1) worsen(DesyncClass::Severe, "MultipleTransferEncodingChunked");
    const bool bodiless = method_ == "GET" || method_ == "HEAD";
    if (te && (bodiless || old_)) {
      worsen(DesyncClass::Ambiguous, "UndefinedTransferEncodingSemantics");
    }
    if (cl && bodiless && length_) {
      worsen(*length_ > 0 ? DesyncClass::Ambiguous : DesyncClass::Acceptable,
             *length_ > 0 ? "UndefinedContentLengthSemantics" : "GetHeadZeroContentLength");
    }
    if (te && cl) worsen(DesyncClass::Ambiguous, "BothTeClPresent");
    if (!other_coding_.empty()) {
      tidied_ += "transfer-encoding: ";
      tidied_ += other_coding_;
      tidied_ += "\r\n";
    } else if (real_te_ && chunked_ > 0) {
      tidied_ += "transfer-encoding: chunked\r\n";
      if (old_ && !hopeless_) tidied_.replace(tidied_.find(" HTTP/1.0\r\n"), 9, " HTTP/1.1");
    } else if (real_cl_ && length_) {
      tidied_ += "content-length: ";
      tidied_ += std::to_string(*length_);
      tidied_ += "\r\n";
    }
  }

  std::string& tidied_;
  DesyncVerdict verdict_;
  std::string_view method_;
  bool old_ = false;
  bool hopeless_ = false;  ///< no reading is the right one
  bool real_te_ = false, similar_te_ = false;
  bool real_cl_ = false, similar_cl_ = false;
  std::size_t chunked_ = 0;
  std::string other_coding_;  ///< a line may be unfolded only while it is read
  std::optional<std::uint64_t> length_;
};

}  // namespace

DesyncAction desync_action(DesyncClass tier, traffic::DesyncMode mode) {
  switch (mode) {
    case traffic::DesyncMode::Monitor:
      return DesyncAction::Pass;
    case traffic::DesyncMode::Strictest:
      return tier == DesyncClass::Compliant ? DesyncAction::Pass : DesyncAction::Refuse;
    case traffic::DesyncMode::Defensive:
      break;
  }
  if (tier == DesyncClass::Severe) return DesyncAction::Refuse;
  return tier == DesyncClass::Ambiguous ? DesyncAction::Isolate : DesyncAction::Pass;
}

DesyncVerdict judge_head(std::string_view head, std::string& tidied) {
  if (head.starts_with("\r\n")) head.remove_prefix(2);
  return Judge(tidied).judge(head);
}

bool may_deviate(std::string_view head, const RequestHead& parsed) {
  if (parsed.framing.kind != BodyKind::None &&
      (parsed.method == "GET" || parsed.method == "HEAD")) {
    return true;
  }
  if (head.starts_with("\r\n")) head.remove_prefix(2);
  const std::size_t line_end = head.find('\r');
  if (head[line_end - 1] > '1') return true;
  for (const FieldView& field : parsed.fields) {
    if (field.kind == Field::Other && field.name.size() >= kCl.size() - 1 &&
        (likeness(field.name, kTe) == Likeness::Similar ||
         likeness(field.name, kCl) == Likeness::Similar)) {
      return true;
    }
  }
  std::uint64_t all = 0;
  for (; head.size() >= 8; head.remove_prefix(8)) {
    std::uint64_t word = 0;
    std::memcpy(&word, head.data(), sizeof word);
    all |= word;
  }
  for (const char c : head) all |= static_cast<unsigned char>(c);
  return (all & 0x8080808080808080U) != 0;
}

bool is_valid_alb_field(std::string_view name) {
  return !any(name, [](char c) { return !is_letter(c) && (c < '0' || c > '9') && c != '-'; });
}

}  // namespace coalmine::gateway
