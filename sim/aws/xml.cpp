#include "sim/aws/xml.h"

#include <charconv>
#include <nlohmann/json.hpp>

namespace coalmine::aws {
namespace {

constexpr int kMaxDepth = 100;

void append_utf8(std::string& out, std::uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | (code >> 6));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | (code >> 12));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | (code >> 18));
    out += static_cast<char>(0x80 | ((code >> 12) & 0x3F));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  }
}

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  Result<Json> document() {
    TRY_STATUS(skip_misc());
    std::string name;
    TRY(Json root, element(name, 0));
    TRY_STATUS(skip_misc());
    if (at_ != text_.size()) return broken("text behind the root element");
    return root;
  }

 private:
  tl::unexpected<Error> broken(const char* what) const {
    return error(ErrorKind::Failed, "not valid XML at byte {}: {}", at_, what);
  }

  bool take(std::string_view what) {
    if (text_.substr(at_, what.size()) != what) return false;
    at_ += what.size();
    return true;
  }

  Status skip_to(std::string_view end) {
    const std::size_t found = text_.find(end, at_);
    if (found == std::string_view::npos) return broken("an unfinished construct");
    at_ = found + end.size();
    return {};
  }

  void skip_blank() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != text_.npos) ++at_;
  }

  Status skip_misc() {
    for (;;) {
      skip_blank();
      if (take("<?")) {
        TRY_STATUS(skip_to("?>"));
      } else if (take("<!--")) {
        TRY_STATUS(skip_to("-->"));
      } else {
        return {};
      }
    }
  }

  Result<std::string> name() {
    const std::size_t from = at_;
    while (at_ < text_.size() &&
           std::string_view(" \t\r\n/>=<&\"'").find(text_[at_]) == text_.npos) {
      ++at_;
    }
    if (at_ == from) return broken("a name is missing");
    return std::string(text_.substr(from, at_ - from));
  }

  /// Behind the element's name: true if it is an empty element.
  Result<bool> attributes() {
    for (;;) {
      skip_blank();
      if (take("/>")) return true;
      if (take(">")) return false;
      TRY_STATUS(name());
      skip_blank();
      if (!take("=")) return broken("an attribute without a value");
      skip_blank();
      if (take("\"")) {
        TRY_STATUS(skip_to("\""));
      } else if (take("'")) {
        TRY_STATUS(skip_to("'"));
      } else {
        return broken("an attribute value without quotes");
      }
    }
  }

  Status reference(std::string& out) {
    const std::size_t end = text_.find(';', at_);
    if (end == std::string_view::npos || end - at_ > 10) return broken("a stray &");
    const std::string_view what = text_.substr(at_, end - at_);
    constexpr std::pair<std::string_view, char> kNamed[] = {
        {"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
    for (const auto& [entity, c] : kNamed) {
      if (what == entity) {
        out += c;
        at_ = end + 1;
        return {};
      }
    }
    const bool hex = what.starts_with("#x");
    const std::string_view digits = what.substr(std::min<std::size_t>(what.size(), hex ? 2 : 1));
    std::uint32_t code = 0;
    const auto [rest, ec] =
        std::from_chars(digits.data(), digits.data() + digits.size(), code, hex ? 16 : 10);
    if (!what.starts_with("#") || digits.empty() || ec != std::errc{} ||
        rest != digits.data() + digits.size() || code == 0 || code > 0x10FFFF) {
      return broken("an unknown entity");
    }
    append_utf8(out, code);
    at_ = end + 1;
    return {};
  }

  static void put(Json& object, bool& list, const std::string& key, Json value) {
    if (object.is_null()) {
      list = key == "member";
      object = list ? Json::array() : Json::object();
    }
    if (list) {
      object.push_back(std::move(value));
    } else {
      object[key] = std::move(value);
    }
  }

  Result<Json> element(std::string& own_name, int depth) {
    if (depth > kMaxDepth) return broken("nested too deeply");
    if (!take("<")) return broken("an element is missing");
    TRY(own_name, name());
    TRY(const bool empty, attributes());
    if (empty) return Json("");
    std::string text;
    Json children;
    bool list = false;
    for (;;) {
      if (at_ >= text_.size()) return broken("the text ends inside an element");
      if (take("</")) break;
      if (take("<!--")) {
        TRY_STATUS(skip_to("-->"));
      } else if (take("<![CDATA[")) {
        const std::size_t from = at_;
        TRY_STATUS(skip_to("]]>"));
        text += text_.substr(from, at_ - 3 - from);
      } else if (text_[at_] == '<') {
        std::string child;
        TRY(Json value, element(child, depth + 1));
        put(children, list, child, std::move(value));
      } else if (take("&")) {
        TRY_STATUS(reference(text));
      } else {
        text += text_[at_++];
      }
    }
    TRY(const std::string closing, name());
    skip_blank();
    if (closing != own_name || !take(">")) return broken("an end tag that fits no start tag");
    if (!children.is_null()) return children;
    return Json(text);
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

Result<Json> parse_xml(std::string_view text) {
  return Reader(text).document();
}

}  // namespace coalmine::aws
