// What the tests of the test-only kqueue are written in: sentences, checks, descriptors and short forms of kevent().

#ifndef LIO_POLLER_TEST_KQUEUE_TESTING_H_
#define LIO_POLLER_TEST_KQUEUE_TESTING_H_

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/event.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

// ---- A test is a sentence and a function; a check that fails is printed and counted.

struct Test {
  const char* sentence;
  void (*run)();
};

inline std::vector<Test>& Tests() {
  static std::vector<Test> tests;
  return tests;
}

inline int failures = 0;

inline void Check(bool holds, const char* what, int line) {
  if (holds) return;
  failures++;
  printf("    line %d: not so: %s\n", line, what);
}

inline void CheckEqual(long long actual, long long expected, const char* what, int line) {
  if (actual == expected) return;
  failures++;
  printf("    line %d: %s is %lld (0x%llx), not %lld (0x%llx)\n", line, what, actual, actual, expected, expected);
}

#define CHECK(condition) Check((condition), #condition, __LINE__)
#define EQUAL(actual, expected) \
  CheckEqual(static_cast<long long>(actual), static_cast<long long>(expected), #actual, __LINE__)

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define TEST(sentence)                                                                                   \
  static void JOIN(Test, __LINE__)();                                                                    \
  static const bool JOIN(added, __LINE__) = (Tests().push_back({sentence, JOIN(Test, __LINE__)}), true); \
  static void JOIN(Test, __LINE__)()

// ---- Descriptors.

/// Closes a number as others would: the emulation is not told.
inline int ForeignClose(int fd) {
  return static_cast<int>(syscall(SYS_close, fd));
}

class Fd {
 public:
  explicit Fd(int number) : number_(number) { CHECK(number >= 0); }
  Fd(Fd&& other) : number_(std::exchange(other.number_, -1)) {}
  ~Fd() { Close(); }
  operator int() const { return number_; }
  void Close() {
    if (number_ != -1) close(std::exchange(number_, -1));
  }
  void CloseForeign() { ForeignClose(std::exchange(number_, -1)); }

 private:
  int number_;
};

struct Pair {
  Fd first, second;
};

inline Pair Made(int made, int (&fds)[2]) {
  CHECK(made == 0);
  return {Fd(fds[0]), Fd(fds[1])};
}

inline Pair UnixPair(int type = SOCK_STREAM) {
  int fds[2];
  return Made(socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), fds);
}

/// The read end and the write end.
inline Pair Pipe() {
  int fds[2];
  return Made(pipe2(fds, O_NONBLOCK | O_CLOEXEC), fds);
}

inline Fd Kqueue() {
  return Fd(kqueue());
}

inline sockaddr_in Loopback() {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

struct Listener {
  Fd fd{socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  sockaddr_in address = Loopback();

  Listener() {
    socklen_t length = sizeof address;
    CHECK(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    CHECK(listen(fd, 16) == 0);
    CHECK(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0);
  }

  Fd Connect() {
    Fd client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    CHECK(connect(client, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    CHECK(fcntl(client, F_SETFL, O_NONBLOCK) == 0);
    return client;
  }

  Fd Accept() { return Fd(accept4(fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)); }

  Pair Connection() {
    Fd client = Connect();
    return {std::move(client), Accept()};
  }
};

inline Pair StreamPair(bool tcp) {
  return tcp ? Listener().Connection() : UnixPair();
}

inline void Reset(Fd& fd) {
  linger now{1, 0};
  CHECK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0);
  fd.Close();
}

inline void Write(int fd, size_t count) {
  std::string bytes(count, 'x');
  EQUAL(write(fd, bytes.data(), count), count);
}

inline void Read(int fd, size_t count) {
  std::string bytes(count, '\0');
  EQUAL(read(fd, bytes.data(), count), count);
}

inline void Fill(int fd) {
  char bytes[4096] = {};
  while (write(fd, bytes, sizeof bytes) > 0) continue;
  while (write(fd, bytes, 1) > 0) continue;
}

inline void Drain(int fd) {
  char bytes[4096];
  while (read(fd, bytes, sizeof bytes) > 0) continue;
}

inline bool Readable(int fd) {
  pollfd one{fd, POLLIN, 0};
  return poll(&one, 1, 0) == 1 && one.revents == POLLIN;
}

/// How many files an epoll holds.
inline int Registrations(int epoll) {
  std::string path = "/proc/self/fdinfo/" + std::to_string(epoll);
  FILE* info = fopen(path.c_str(), "re");
  char line[256];
  int count = 0;
  while (fgets(line, sizeof line, info) != nullptr) count += strncmp(line, "tfd:", 4) == 0;
  fclose(info);
  return count;
}

inline size_t OpenDescriptors() {
  size_t count = 0;
  DIR* folder = opendir("/proc/self/fd");
  while (readdir(folder) != nullptr) count++;
  closedir(folder);
  return count;
}

// ---- kevent().

constexpr timespec kNow{0, 0};
constexpr timespec kSecond{1, 0};
// What must not happen would happen at once: nothing is waited for.
constexpr timespec kTick{0, 5'000'000};

inline void* Key(uintptr_t key) {
  return reinterpret_cast<void*>(key);
}

inline struct kevent Change(uintptr_t ident, int filter, int flags, void* udata = nullptr, unsigned fflags = 0,
                            long data = 0) {
  struct kevent change;
  EV_SET(&change, ident, static_cast<short>(filter), static_cast<unsigned short>(flags), fflags, data, udata);
  return change;
}

/// Makes one change: 0, or the error's number.
inline int Apply(int kq, struct kevent change) {
  return kevent(kq, &change, 1, nullptr, 0, nullptr) == 0 ? 0 : errno;
}

inline int Apply(int kq, uintptr_t ident, int filter, int flags, void* udata = nullptr, unsigned fflags = 0,
                 long data = 0) {
  return Apply(kq, Change(ident, filter, flags, udata, fflags, data));
}

inline std::vector<struct kevent> Wait(int kq, int room = 16, timespec timeout = kNow) {
  std::vector<struct kevent> events(room);
  int count = kevent(kq, nullptr, 0, events.data(), room, &timeout);
  CHECK(count >= 0);
  events.resize(std::max(count, 0));
  return events;
}

/// The one event that there must be.
inline struct kevent One(int kq) {
  std::vector<struct kevent> events = Wait(kq, 16, kSecond);
  EQUAL(events.size(), 1);
  return events.empty() ? Change(0, 0, 0) : events[0];
}

inline size_t Count(int kq) {
  return Wait(kq).size();
}

#endif
