#include "mock-aws/server/call_journal.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "sim/core/json.h"

namespace coalmine::mock {
namespace {

constexpr int kVersion = 1;
constexpr std::string_view kName = "coalmine-calls";
constexpr std::string_view kBegins = "{\"address_block\":";  ///< keys are sorted
constexpr std::string_view kHex = "0123456789abcdef";

std::string to_hex(std::string_view bytes) {
  std::string hex;
  hex.reserve(bytes.size() * 2);
  for (const unsigned char byte : bytes) {
    hex += kHex[byte >> 4];
    hex += kHex[byte & 15];
  }
  return hex;
}

std::string from_hex(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    const auto high = kHex.find(hex[i]), low = kHex.find(hex[i + 1]);
    bytes += static_cast<char>((high & 15) << 4 | (low & 15));
  }
  return bytes;
}

bool is_plain(std::string_view text) {
  for (const unsigned char c : text) {
    if (c >= 0x80) return false;
  }
  return true;
}

std::string header_line(const CallJournalHeader& header) {
  return dump_json({{"journal", kName},
                    {"version", kVersion},
                    {"seed", header.seed},
                    {"address_block", header.address_block},
                    {"verify_signatures", header.verify_signatures}}) +
         "\n";
}

std::string entry_line(const CallEntry& entry) {
  Json json = {{"t_ns", entry.t.time_since_epoch().count()}};
  if (!entry.request.method.empty()) {
    json["method"] = entry.request.method;
    json["target"] = entry.request.target;
    json["status"] = entry.status;
    Json headers = Json::array();
    for (const auto& [name, value] : entry.request.headers) {
      headers.push_back(Json::array({name, value}));
    }
    json["headers"] = std::move(headers);
    const bool plain = is_plain(entry.request.body);  // CBOR and gzip are not
    json[plain ? "body" : "body_hex"] = plain ? entry.request.body : to_hex(entry.request.body);
  }
  return dump_json(json) + "\n";
}

Result<CallEntry> parse_entry(const Json& json) {
  CallEntry entry;
  const std::int64_t t_ns = get_int(json, "t_ns", -1);
  if (t_ns < 0) return error("t_ns is missing");
  entry.t = TimePoint{Duration{t_ns}};
  entry.request.method = get_string(json, "method");
  entry.request.target = get_string(json, "target");
  entry.status = static_cast<int>(get_int(json, "status"));
  if (const Json* headers = find(json, "headers"); headers != nullptr && headers->is_array()) {
    for (const Json& pair : *headers) {
      if (!pair.is_array() || pair.size() != 2 || !pair[0].is_string() || !pair[1].is_string()) {
        return error("headers must be a list of [name, value]");
      }
      entry.request.headers.add(pair[0].get<std::string>(), pair[1].get<std::string>());
    }
  }
  const Json* hex = find(json, "body_hex");
  entry.request.body =
      hex != nullptr ? from_hex(get_string(json, "body_hex")) : get_string(json, "body");
  return entry;
}

struct Contents {
  CallJournalHeader header;
  std::vector<CallEntry> entries;
  std::size_t whole_bytes = 0;  ///< up to the end of the last whole line
};

Result<Contents> parse(std::string_view text, const std::string& path) {
  Contents contents;
  std::size_t number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    if (end == std::string_view::npos) break;  // torn by a crash: it was never answered
    const std::string place = fmt::format("{}:{}", path, ++number);
    const auto json = parse_json(text.substr(begin, end - begin));
    if (!json) return error("{}: error: {}", place, json.error().message);
    if (number == 1) {
      if (get_string(*json, "journal") != kName || get_int(*json, "version") != kVersion) {
        return error("{}: error: this is no journal of `mock-aws --persist` (version {})", place,
                     kVersion);
      }
      contents.header = {static_cast<std::uint64_t>(get_int(*json, "seed")),
                         static_cast<std::uint32_t>(get_int(*json, "address_block")),
                         get_bool(*json, "verify_signatures")};
    } else {
      auto entry = parse_entry(*json);
      if (!entry) return error("{}: error: {}", place, entry.error().message);
      contents.entries.push_back(*std::move(entry));
    }
    contents.whole_bytes = begin = end + 1;
  }
  return contents;
}

std::string read_all(int fd) {
  std::string text;
  char buffer[65536];
  for (ssize_t n; (n = ::read(fd, buffer, sizeof buffer)) != 0;) {
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) break;
    text.append(buffer, static_cast<std::size_t>(n));
  }
  return text;
}

}  // namespace

tl::unexpected<Error> CallJournal::broken(const char* what) const {
  return error(ErrorKind::Environment, "{}: cannot {}: {}", path_, what, std::strerror(errno));
}

Result<CallJournal::Opened> CallJournal::open(const std::string& path,
                                              const CallJournalHeader& fresh) {
  // It holds what clients sent, signatures among it: nobody else's business.
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  std::unique_ptr<CallJournal> journal(new CallJournal(path, fd));
  if (fd < 0) return journal->broken("open the journal");
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return journal->broken("lock the journal");
    return error(ErrorKind::Environment, "{}: another process persists into it", path);
  }
  const std::string text = read_all(fd);
  TRY(Contents contents, parse(text, path));
  // Even a torn first line must be the beginning of ours before it is cut off.
  const std::string_view begins = std::string_view(text).substr(0, kBegins.size());
  if (contents.whole_bytes == 0 && begins != kBegins.substr(0, begins.size())) {
    return error("{}:1: error: this is no journal of `mock-aws --persist`", path);
  }
  if (::ftruncate(fd, static_cast<off_t>(contents.whole_bytes)) != 0 ||
      ::lseek(fd, 0, SEEK_END) < 0) {
    return journal->broken("go on in the journal");
  }
  if (contents.whole_bytes == 0) contents.header = fresh;
  journal->header_ = header_line(contents.header);
  if (contents.whole_bytes == 0) TRY_STATUS(journal->write(journal->header_));
  return Opened{std::move(journal), contents.header, std::move(contents.entries)};
}

CallJournal::~CallJournal() {
  if (fd_ >= 0) ::close(fd_);
}

Status CallJournal::write(const std::string& line) {
  for (std::size_t done = 0; done < line.size();) {
    const ssize_t n = ::write(fd_, line.data() + done, line.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return broken("write the journal");
    done += static_cast<std::size_t>(n);
  }
  if (::fdatasync(fd_) != 0) return broken("sync the journal");
  return {};
}

Status CallJournal::append(const CallEntry& entry) {
  return write(entry_line(entry));
}

Status CallJournal::clear() {
  if (::ftruncate(fd_, 0) != 0 || ::lseek(fd_, 0, SEEK_SET) < 0) return broken("empty the journal");
  return write(header_);
}

bool only_reads(std::string_view operation) {
  for (const std::string_view prefix :
       {"Describe", "List", "Get", "Discover", "BatchGet", "BatchCheck", "Filter", "Test",
        "Validate", "Simulate", "Decode"}) {
    if (operation.starts_with(prefix)) return true;
  }
  return false;
}

}  // namespace coalmine::mock
