#include "sim/rollout/control_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

namespace coalmine::rollout {

std::optional<Operator> ControlFile::take(TimePoint) {
  std::ifstream in(path_, std::ios::binary);
  std::string line;
  std::size_t index = 0;
  // A line without its end is still being written: getline then meets the end of the file.
  while (std::getline(in, line) && !in.eof()) {
    const auto input = parse_input_line(line);
    const auto* spoken = input ? std::get_if<Operator>(&*input) : nullptr;
    if (spoken == nullptr) continue;
    if (index++ == consumed_) {
      ++consumed_;
      return *spoken;
    }
  }
  return std::nullopt;
}

Status post_command(const std::string& path, TimePoint now, const Operator& command) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) {
    return error(ErrorKind::Environment, "{}: cannot open: {}", path, std::strerror(errno));
  }
  const std::string line = input_line(now, command);
  const bool written = ::write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size()) &&
                       ::fdatasync(fd) == 0;
  const int why = errno;
  ::close(fd);
  if (!written) {
    return error(ErrorKind::Environment, "{}: cannot write: {}", path, std::strerror(why));
  }
  return {};
}

std::size_t operator_inputs(const Journal& journal) {
  return static_cast<std::size_t>(std::count_if(
      journal.inputs.begin(), journal.inputs.end(),
      [](const auto& entry) { return std::holds_alternative<Operator>(entry.second); }));
}

}  // namespace coalmine::rollout
