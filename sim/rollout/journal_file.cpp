#include "sim/rollout/journal_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

namespace coalmine::rollout {
namespace {

auto broken(const std::string& path, const char* what) {
  return error(ErrorKind::Environment, "{}: cannot {}: {}", path, what, std::strerror(errno));
}

}  // namespace

Result<std::unique_ptr<JournalFile>> JournalFile::open(const std::string& path, int flags) {
  const int fd = ::open(path.c_str(), flags | O_WRONLY | O_CLOEXEC, 0644);
  if (fd < 0) return broken(path, "open the journal");
  std::unique_ptr<JournalFile> file(new JournalFile(path, fd));
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) {
      return error(ErrorKind::Environment, "{}: another process drives this rollout", path);
    }
    return broken(path, "lock the journal");
  }
  return file;
}

Result<std::unique_ptr<JournalFile>> JournalFile::create(const std::string& path,
                                                         const JournalHeader& header) {
  TRY(auto file, open(path, O_CREAT | O_EXCL));
  TRY_STATUS(file->append(header_line(header), true));
  // The file's name must survive as well: sync its folder.
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  if (const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); fd >= 0) {
    ::fsync(fd);
    ::close(fd);
  }
  return file;
}

Result<JournalFile::Reopened> JournalFile::reopen(const std::string& path) {
  TRY(auto file, open(path, 0));
  // Read under the lock: what is cut off can be nobody's unfinished line.
  TRY(const std::string text, read_journal_file(path));
  TRY(Journal journal, parse_journal(text, path));
  if (::ftruncate(file->fd_, static_cast<off_t>(journal.whole_bytes)) != 0 ||
      ::lseek(file->fd_, 0, SEEK_END) < 0) {
    return broken(path, "go on in the journal");
  }
  return Reopened{std::move(file), std::move(journal)};
}

bool JournalFile::is_held(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool held = ::flock(fd, LOCK_SH | LOCK_NB) != 0;
  ::close(fd);
  return held;
}

JournalFile::~JournalFile() {
  ::close(fd_);
}

Status JournalFile::append(const std::string& line, bool durable) {
  for (std::size_t done = 0; done < line.size();) {
    const ssize_t n = ::write(fd_, line.data() + done, line.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return broken(path_, "write the journal");
    done += static_cast<std::size_t>(n);
  }
  if (durable && ::fdatasync(fd_) != 0) return broken(path_, "sync the journal");
  return {};
}

Result<std::string> read_journal_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return broken(path, "read the journal");
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

}  // namespace coalmine::rollout
