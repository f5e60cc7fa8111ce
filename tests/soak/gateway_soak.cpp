// Hours of work in ten minutes: a `coalmine gateway` of its own process at half of its maximum
// load while weights change and tasks come and go. At the end its memory and descriptors must be
// where they were, no request may have failed, and its counts must be the client's own.
//
//   gateway_soak COALMINE [SECONDS]     default 600; loopback only, stops by itself
//
// Exit code 0: all of it held; 1: something did not, named in the report; 3: it could not run.
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int kConnections = 64;
constexpr int kTasksPerVersion = 3;
constexpr auto kChurnEvery = milliseconds{250};
constexpr auto kWarmUp = seconds{3};        // closed loop, to find the maximum
constexpr auto kTaskLeaves = seconds{2};    // between leaving the table and the end of a task
constexpr std::size_t kUploadBytes = 2048;  // of every eighth request
constexpr long kMaxGrowthKb = 1024;  // of resident memory, from a fifth of the time to the end
constexpr int kFdLooks = 10;
constexpr int kMaxStrayFds = 4;  // open without being a connection that is counted

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "gateway_soak: %s\n", why.c_str());
  std::exit(3);
}

int listen_anywhere(int& port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      listen(fd, 1024) != 0) {
    give_up(fmt::format("cannot listen: {}", std::strerror(errno)));
  }
  socklen_t size = sizeof address;
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  port = ntohs(address.sin_port);
  return fd;
}

int connect_to(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    close(fd);
    return -1;
  }
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

/// Value of a lower-case header in a head, as a number; 0 if it is absent.
std::size_t content_length(std::string_view head) {
  constexpr std::string_view kName = "content-length: ";
  const std::size_t at = head.find(kName);
  std::size_t out = 0;
  if (at != std::string_view::npos) {
    const char* from = head.data() + at + kName.size();
    std::from_chars(from, head.data() + head.size(), out);
  }
  return out;
}

/// The size of the first whole message in `bytes`, 0 while it is incomplete.
std::size_t whole_message(std::string_view bytes) {
  const std::size_t end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos) return 0;
  const std::size_t size = end + 4 + content_length(bytes.substr(0, end + 2));
  return bytes.size() >= size ? size : 0;
}

/// Tasks of both versions, served by one thread. Each answers with its version's name.
class Tasks {
 public:
  Tasks() : epoll_(epoll_create1(EPOLL_CLOEXEC)), thread_([this] { run(); }) {}
  ~Tasks() {
    stop_ = true;
    thread_.join();
    close(epoll_);
  }

  int start(const std::string& version) {
    auto task = std::make_shared<Endpoint>();
    int port = 0;
    task->fd = listen_anywhere(port);
    task->version = version;
    const std::lock_guard lock(mutex_);
    tasks_[port] = task;
    watch(task->fd, task);
    return port;
  }

  /// Ends a task that the table no longer names; says how many requests it had in hand.
  void stop(int port) {
    const std::lock_guard lock(mutex_);
    const auto found = tasks_.find(port);
    end(*found->second);
    for (const auto& [fd, endpoint] : endpoints_) {
      if (endpoint->task == found->second) end(*endpoint);
    }
    tasks_.erase(found);
    std::erase_if(endpoints_, [](const auto& entry) { return entry.second->fd < 0; });
  }

 private:
  struct Endpoint {
    int fd = -1;
    std::string version;
    std::shared_ptr<Endpoint> task;  ///< of a connection
    std::string bytes;
  };

  static void end(Endpoint& endpoint) {
    if (endpoint.fd >= 0) close(endpoint.fd);
    endpoint.fd = -1;
  }

  void watch(int fd, const std::shared_ptr<Endpoint>& endpoint) {
    endpoints_[fd] = endpoint;
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  }

  void run() {
    epoll_event events[256];
    while (!stop_) {
      const int count = epoll_wait(epoll_, events, 256, 100);
      const std::lock_guard lock(mutex_);
      for (int i = 0; i < count; ++i) {
        const auto found = endpoints_.find(events[i].data.fd);
        if (found == endpoints_.end()) continue;
        const std::shared_ptr<Endpoint> endpoint = found->second;
        if (endpoint->task == nullptr) {
          accept_from(endpoint);
        } else if (!serve(*endpoint)) {
          end(*endpoint);
          endpoints_.erase(found);
        }
      }
    }
  }

  void accept_from(const std::shared_ptr<Endpoint>& task) {
    const int fd = accept4(task->fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) return;
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    auto connection = std::make_shared<Endpoint>();
    connection->fd = fd;
    connection->task = task;
    watch(fd, connection);
  }

  static bool serve(Endpoint& connection) {
    char piece[16384];
    const ssize_t n = recv(connection.fd, piece, sizeof piece, 0);
    if (n < 0 && errno == EAGAIN) return true;
    if (n <= 0) return false;
    connection.bytes.append(piece, static_cast<std::size_t>(n));
    for (std::size_t size = whole_message(connection.bytes); size > 0;
         size = whole_message(connection.bytes)) {
      connection.bytes.erase(0, size);
      const std::string answer =
          fmt::format("HTTP/1.1 200 OK\r\nx-served-version: {}\r\ncontent-length: 200\r\n\r\n{}",
                      connection.task->version, std::string(200, 'x'));
      if (send(connection.fd, answer.data(), answer.size(), MSG_NOSIGNAL) < 0) return false;
    }
    return true;
  }

  int epoll_;
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::map<int, std::shared_ptr<Endpoint>> tasks_;      // by port
  std::map<int, std::shared_ptr<Endpoint>> endpoints_;  // by descriptor
  std::thread thread_;
};

struct Tally {
  std::map<std::string, std::uint64_t> served;  ///< answers 200 by version
  std::uint64_t failed = 0;                     ///< other answers, and connections that ended
  std::string first_failure;
  std::uint64_t requests() const {
    std::uint64_t sum = failed;
    for (const auto& [version, count] : served) sum += count;
    return sum;
  }
};

/// Keep-alive users. A rate of 0 asks as fast as answers come.
class Users {
 public:
  explicit Users(int port) : port_(port) {
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < kConnections; ++i) open(static_cast<std::size_t>(i));
  }
  ~Users() {
    for (const User& user : users_) {
      if (user.fd >= 0) close(user.fd);
    }
    close(epoll_);
  }

  /// Asks for `length`, then waits for the answers under way.
  void ask(Clock::duration length, double rate_per_s, const std::atomic<bool>& stop) {
    const auto begin = Clock::now();
    std::uint64_t sent = 0;
    std::vector<std::size_t> idle;
    for (std::size_t i = 0; i < users_.size(); ++i) idle.push_back(i);
    while (idle.size() < users_.size() || (Clock::now() - begin < length && !stop)) {
      const auto elapsed = Clock::now() - begin;
      const bool asking = elapsed < length && !stop;
      const double due = std::chrono::duration<double>(elapsed).count() * rate_per_s;
      while (asking && !idle.empty() && (rate_per_s == 0 || static_cast<double>(sent) < due)) {
        send_request(users_[idle.back()], sent++);
        idle.pop_back();
      }
      epoll_event events[kConnections];
      const int count = epoll_wait(epoll_, events, kConnections, idle.empty() ? 100 : 1);
      for (int i = 0; i < count; ++i) {
        const auto number = static_cast<std::size_t>(events[i].data.u32);
        if (read_answer(number)) idle.push_back(number);
      }
    }
  }

  const Tally& tally() const { return tally_; }

 private:
  struct User {
    int fd = -1;
    bool asked = false;
    std::string bytes;
  };

  void open(std::size_t number) {
    if (users_.size() <= number) users_.resize(number + 1);
    User& user = users_[number];
    user = {};
    user.fd = connect_to(port_);
    if (user.fd < 0) give_up("the gateway takes no connection");
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u32 = static_cast<std::uint32_t>(number);
    epoll_ctl(epoll_, EPOLL_CTL_ADD, user.fd, &event);
  }

  void send_request(User& user, std::uint64_t number) {
    static const std::string get = "GET /soak HTTP/1.1\r\nhost: soak\r\n\r\n";
    static const std::string post =
        fmt::format("POST /soak HTTP/1.1\r\nhost: soak\r\ncontent-length: {}\r\n\r\n{}",
                    kUploadBytes, std::string(kUploadBytes, 'u'));
    const std::string& request = number % 8 == 0 ? post : get;
    user.asked = true;
    (void)send(user.fd, request.data(), request.size(), MSG_NOSIGNAL);
  }

  // True when a user is free again.
  bool read_answer(std::size_t number) {
    User& user = users_[number];
    char piece[16384];
    const ssize_t n = recv(user.fd, piece, sizeof piece, 0);
    if (n <= 0) {
      const bool asked = user.asked;
      if (asked) fail("a connection ended without an answer");
      close(user.fd);
      open(number);
      return asked;
    }
    user.bytes.append(piece, static_cast<std::size_t>(n));
    const std::size_t size = whole_message(user.bytes);
    if (size == 0) return false;
    count(std::string_view(user.bytes).substr(0, size));
    user.bytes.erase(0, size);
    user.asked = false;
    return true;
  }

  void count(std::string_view answer) {
    constexpr std::string_view kName = "x-served-version: ";
    const std::size_t at = answer.find(kName);
    if (!answer.starts_with("HTTP/1.1 200") || at == std::string_view::npos) {
      fail(std::string(answer.substr(0, answer.find("\r\n\r\n"))));
      return;
    }
    const std::size_t from = at + kName.size();
    ++tally_.served[std::string(answer.substr(from, answer.find("\r\n", from) - from))];
  }

  void fail(const std::string& what) {
    if (tally_.failed++ == 0) tally_.first_failure = what;
  }

  int port_;
  int epoll_ = -1;
  std::vector<User> users_;
  Tally tally_;
};

/// The gateway as a process of its own.
class GatewayProcess {
 public:
  GatewayProcess(const std::string& program, const std::string& routes) {
    int out[2];
    if (pipe2(out, O_CLOEXEC) != 0) give_up("no pipe");
    pid_ = fork();
    if (pid_ == 0) {
      dup2(out[1], STDOUT_FILENO);
      dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
      execl(program.c_str(), program.c_str(), "gateway", "--listen", "127.0.0.1:0", "--admin",
            "127.0.0.1:0", "--routes", routes.c_str(), nullptr);
      _exit(127);
    }
    close(out[1]);
    std::string line;
    char c = 0;
    while (read(out[0], &c, 1) == 1 && c != '\n') line += c;
    close(out[0]);
    port_ = port_after(line, " gateway=http://127.0.0.1:");
    admin_ = port_after(line, " admin=http://127.0.0.1:");
    if (port_ == 0 || admin_ == 0) give_up("the gateway did not start: " + line);
  }
  ~GatewayProcess() {
    kill(pid_, SIGTERM);
    waitpid(pid_, nullptr, 0);
  }
  int port() const { return port_; }
  void reload() const { kill(pid_, SIGHUP); }

  long resident_kb() const {
    std::ifstream status(fmt::format("/proc/{}/status", pid_));
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("VmRSS:")) return std::stol(line.substr(6));
    }
    return -1;
  }
  int descriptors() const {
    int count = 0;
    DIR* folder = opendir(fmt::format("/proc/{}/fd", pid_).c_str());
    if (folder == nullptr) return -1;
    while (readdir(folder) != nullptr) ++count;
    closedir(folder);
    return count - 3;  // ".", ".." and nothing of ours
  }
  std::string stats() const {
    const int fd = connect_to(admin_);
    if (fd < 0) give_up("the admin port takes no connection");
    const std::string request =
        "GET /stats HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    (void)send(fd, request.data(), request.size(), MSG_NOSIGNAL);
    std::string out;
    char piece[65536];
    for (ssize_t n = recv(fd, piece, sizeof piece, 0); n > 0;
         n = recv(fd, piece, sizeof piece, 0)) {
      out.append(piece, static_cast<std::size_t>(n));
    }
    close(fd);
    return out;
  }
  /// Sum of the values whose name begins and ends so.
  std::uint64_t sum(std::string_view begin, std::string_view end) const {
    std::istringstream lines(stats());
    std::uint64_t out = 0;
    for (std::string line; std::getline(lines, line);) {
      const std::size_t colon = line.rfind(": ");
      if (colon == std::string::npos) continue;
      const std::string_view name = std::string_view(line).substr(0, colon);
      if (name.starts_with(begin) && name.ends_with(end))
        out += std::stoull(line.substr(colon + 2));
    }
    return out;
  }
  /// Descriptors that are neither a client's nor an instance's connection. The two counts are read
  /// one after the other, and connections come and go in between: what is open at every look
  /// counts.
  int descriptors_beside_connections() const {
    int least = descriptors();
    for (int look = 0; look < kFdLooks; ++look) {
      if (look > 0) std::this_thread::sleep_for(std::chrono::milliseconds{100});
      const int open = descriptors();
      least =
          std::min(least, open - static_cast<int>(sum("listener.", ".downstream_cx_active") +
                                                  sum("cluster_manager.upstream_cx_active", "")));
    }
    return least;
  }

 private:
  static int port_after(const std::string& line, std::string_view mark) {
    const std::size_t at = line.find(mark);
    return at == std::string::npos ? 0 : std::atoi(line.c_str() + at + mark.size());
  }
  pid_t pid_ = -1;
  int port_ = 0;
  int admin_ = 0;
};

/// The table on disk, and what happens to it: weights change at every step, at every second one
/// a task is replaced by a new one first and ended later, as ECS does it.
class Churn {
 public:
  Churn(Tasks& tasks, std::string file) : tasks_(tasks), file_(std::move(file)) {
    for (const char* version : {"v1", "v2"}) {
      for (int i = 0; i < kTasksPerVersion; ++i) ports_[version].push_back(tasks_.start(version));
    }
    write();
  }

  void step(const GatewayProcess& gateway) {
    ++steps_;
    weight_ = static_cast<int>(steps_ * 37 % 101);
    if (steps_ % 2 == 0) replace(steps_ % 4 == 0 ? "v1" : "v2");
    write();
    gateway.reload();
    while (!leaving_.empty() && leaving_.front().second <= Clock::now()) {
      tasks_.stop(leaving_.front().first);
      leaving_.erase(leaving_.begin());
      ++replaced_;
    }
  }
  std::uint64_t changes() const { return steps_; }
  std::uint64_t replaced() const { return replaced_; }

 private:
  void replace(const std::string& version) {
    std::vector<int>& ports = ports_[version];
    leaving_.emplace_back(ports.front(), Clock::now() + kTaskLeaves);
    ports.erase(ports.begin());
    ports.push_back(tasks_.start(version));
  }

  std::string target(const std::string& version, int weight) const {
    std::string instances;
    for (const int port : ports_.at(version)) {
      instances += fmt::format("{}\"127.0.0.1:{}\"", instances.empty() ? "" : ",", port);
    }
    return fmt::format(R"({{"name":"{}","weight":{},"instances":[{}]}})", version, weight,
                       instances);
  }

  // Renamed into place: the gateway must never read half a table.
  void write() const {
    const std::string next = file_ + ".next";
    std::ofstream(next) << fmt::format(
        R"({{"version":{},"listeners":[{{"port":9080,"routes":[{{"name":"soak",)"
        R"("match":{{"prefix":"/"}},"targets":[{},{}]}}]}}]}})",
        steps_ + 1, target("v1", 100 - weight_), target("v2", weight_));
    if (std::rename(next.c_str(), file_.c_str()) != 0) give_up("cannot write " + file_);
  }

  Tasks& tasks_;
  std::string file_;
  std::map<std::string, std::vector<int>> ports_;
  std::vector<std::pair<int, Clock::time_point>> leaving_;
  std::uint64_t steps_ = 0;
  std::uint64_t replaced_ = 0;
  int weight_ = 1;
};

struct Folder {
  Folder() {
    char name[] = "/tmp/coalmine-soak-XXXXXX";
    if (mkdtemp(name) == nullptr) give_up("no temporary folder");
    path = name;
  }
  ~Folder() {
    unlink((path + "/routes.json").c_str());
    rmdir(path.c_str());
  }
  std::string path;
};

bool line(bool held, const char* what, const std::string& text) {
  std::printf("%s  %-12s %s\n", held ? "passed" : "FAILED", what, text.c_str());
  return held;
}

bool counts_agree(const GatewayProcess& gateway, const Tally& tally) {
  bool all = true;
  for (const auto& [version, served] : tally.served) {
    const std::uint64_t counted = gateway.sum("cluster.", "." + version + ".downstream_rq_total");
    const std::uint64_t attempts = gateway.sum("cluster.", "." + version + ".upstream_rq_total");
    all &=
        line(counted == served && attempts >= counted, "counts",
             fmt::format("{}: {} answers at the users, {} requests and {} attempts at the gateway",
                         version, served, counted, attempts));
  }
  return all;
}

int soak(const std::string& program, seconds length) {
  const Folder folder;
  Tasks tasks;
  Churn churn(tasks, folder.path + "/routes.json");
  const GatewayProcess gateway(program, folder.path + "/routes.json");
  const int early_fds = gateway.descriptors_beside_connections();
  Users users(gateway.port());
  std::atomic<bool> never{false};
  users.ask(kWarmUp, 0, never);
  const double maximum = static_cast<double>(users.tally().requests()) / kWarmUp.count();
  const double rate = maximum / 2;
  std::printf("maximum %.0f requests/s; %.0f/s for %lld s, changes every %lld ms\n", maximum, rate,
              static_cast<long long>(length.count()), static_cast<long long>(kChurnEvery.count()));
  std::fflush(stdout);

  std::atomic<bool> stop{false};
  std::thread asking([&] { users.ask(length, rate, stop); });
  const auto begin = Clock::now();
  long early_kb = 0;
  while (Clock::now() - begin < length) {
    std::this_thread::sleep_for(kChurnEvery);
    churn.step(gateway);
    if (early_kb == 0 && Clock::now() - begin > length / 5) {
      early_kb = gateway.resident_kb();
    }
  }
  stop = true;
  asking.join();
  const long late_kb = gateway.resident_kb();
  const int late_fds = gateway.descriptors_beside_connections();

  const Tally& tally = users.tally();
  bool all = line(tally.failed == 0, "requests",
                  fmt::format("{}, {} failed{}{}; {} weight changes, {} tasks replaced",
                              tally.requests(), tally.failed, tally.failed > 0 ? ": " : "",
                              tally.first_failure, churn.changes(), churn.replaced()));
  all &= counts_agree(gateway, tally);
  all &= line(late_kb - early_kb <= kMaxGrowthKb, "memory",
              fmt::format("{} KB at a fifth of the time, {} KB at the end", early_kb, late_kb));
  all &=
      line(late_fds - early_fds <= kMaxStrayFds, "descriptors",
           fmt::format("beside connections {} at the start, {} at the end", early_fds, late_fds));
  return all ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    std::fputs("usage: gateway_soak COALMINE [SECONDS]\n", stderr);
    return 2;
  }
  const int length = argc == 3 ? std::atoi(argv[2]) : 600;
  if (length < 5 || length > 86'400) {
    std::fputs("gateway_soak: SECONDS must be 5 to 86400\n", stderr);
    return 2;
  }
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  return soak(argv[1], seconds{length});
}
