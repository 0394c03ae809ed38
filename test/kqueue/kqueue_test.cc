// What the test-only kqueue promises, on real pipes and sockets. Each test says the sentence of a manual that it holds.
// Run by `npm run test:kqueue-emulation`, once for every flavour.

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

#include "emulation.h"

namespace {

// ---- A test is a sentence and a function; a check that fails is printed and counted.

struct Test {
  const char* sentence;
  void (*run)();
};

std::vector<Test>& Tests() {
  static std::vector<Test> tests;
  return tests;
}

int failures = 0;

void Check(bool holds, const char* what, int line) {
  if (holds) return;
  failures++;
  printf("    line %d: not so: %s\n", line, what);
}

void CheckEqual(long long actual, long long expected, const char* what, int line) {
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
int ForeignClose(int fd) {
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

Pair Made(int made, int (&fds)[2]) {
  CHECK(made == 0);
  return {Fd(fds[0]), Fd(fds[1])};
}

Pair UnixPair(int type = SOCK_STREAM) {
  int fds[2];
  return Made(socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), fds);
}

/// The read end and the write end.
Pair Pipe() {
  int fds[2];
  return Made(pipe2(fds, O_NONBLOCK | O_CLOEXEC), fds);
}

Fd Kqueue() {
  return Fd(kqueue());
}

sockaddr_in Loopback() {
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

Pair StreamPair(bool tcp) {
  return tcp ? Listener().Connection() : UnixPair();
}

void Reset(Fd& fd) {
  linger now{1, 0};
  CHECK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0);
  fd.Close();
}

void Write(int fd, size_t count) {
  std::string bytes(count, 'x');
  EQUAL(write(fd, bytes.data(), count), count);
}

void Read(int fd, size_t count) {
  std::string bytes(count, '\0');
  EQUAL(read(fd, bytes.data(), count), count);
}

void Fill(int fd) {
  char bytes[4096] = {};
  while (write(fd, bytes, sizeof bytes) > 0) continue;
  while (write(fd, bytes, 1) > 0) continue;
}

void Drain(int fd) {
  char bytes[4096];
  while (read(fd, bytes, sizeof bytes) > 0) continue;
}

bool Readable(int fd) {
  pollfd one{fd, POLLIN, 0};
  return poll(&one, 1, 0) == 1 && one.revents == POLLIN;
}

/// How many files an epoll holds.
int Registrations(int epoll) {
  std::string path = "/proc/self/fdinfo/" + std::to_string(epoll);
  FILE* info = fopen(path.c_str(), "re");
  char line[256];
  int count = 0;
  while (fgets(line, sizeof line, info) != nullptr) count += strncmp(line, "tfd:", 4) == 0;
  fclose(info);
  return count;
}

size_t OpenDescriptors() {
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

void* Key(uintptr_t key) {
  return reinterpret_cast<void*>(key);
}

struct kevent Change(uintptr_t ident, int filter, int flags, void* udata = nullptr, unsigned fflags = 0,
                     long data = 0) {
  struct kevent change;
  EV_SET(&change, ident, static_cast<short>(filter), static_cast<unsigned short>(flags), fflags, data, udata);
  return change;
}

/// Makes one change: 0, or the error's number.
int Apply(int kq, struct kevent change) {
  return kevent(kq, &change, 1, nullptr, 0, nullptr) == 0 ? 0 : errno;
}

int Apply(int kq, uintptr_t ident, int filter, int flags, void* udata = nullptr, unsigned fflags = 0, long data = 0) {
  return Apply(kq, Change(ident, filter, flags, udata, fflags, data));
}

std::vector<struct kevent> Wait(int kq, int room = 16, timespec timeout = kNow) {
  std::vector<struct kevent> events(room);
  int count = kevent(kq, nullptr, 0, events.data(), room, &timeout);
  CHECK(count >= 0);
  events.resize(std::max(count, 0));
  return events;
}

/// The one event that there must be.
struct kevent One(int kq) {
  std::vector<struct kevent> events = Wait(kq, 16, kSecond);
  EQUAL(events.size(), 1);
  return events.empty() ? Change(0, 0, 0) : events[0];
}

size_t Count(int kq) {
  return Wait(kq).size();
}

// ---- The queue itself.

TEST("kqueue(): creates a queue whose close leaves nothing open, also if others close it") {
  size_t before = OpenDescriptors();
  {
    Fd kq = Kqueue();
    Pair pair = UnixPair();
    EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ADD), 0);
    EQUAL(Apply(kq, pair.first, EVFILT_WRITE, EV_ADD), 0);
    EQUAL(Apply(kq, 1, EVFILT_USER, EV_ADD), 0);
    EQUAL(OpenDescriptors(), before + 3);
  }
  EQUAL(OpenDescriptors(), before);
  Fd kq = Kqueue();
  EQUAL(Apply(kq, 1, EVFILT_USER, EV_ADD), 0);
  kq.CloseForeign();
  EQUAL(OpenDescriptors(), before);
}

TEST("EBADF: what is not a queue, was one, or is another file by now") {
  struct kevent event;
  EQUAL(kevent(-1, nullptr, 0, &event, 1, &kNow), -1);
  EQUAL(errno, EBADF);
  Fd counter(eventfd(0, 0));
  EQUAL(Apply(counter, 1, EVFILT_USER, EV_ADD), EBADF);
  Fd other(epoll_create1(0));
  EQUAL(Apply(other, 1, EVFILT_USER, EV_ADD), EBADF);

  int number = kqueue();
  EQUAL(Apply(number, 1, EVFILT_USER, EV_ADD), 0);
  close(number);
  EQUAL(Apply(number, 1, EVFILT_USER, EV_ADD), EBADF);
  for (int (*make)() : {+[] { return eventfd(0, 0); }, +[] { return epoll_create1(0); }}) {
    int closed = kqueue();
    ForeignClose(closed);
    Fd reused(make());
    EQUAL(reused, closed);
    EQUAL(Apply(reused, 1, EVFILT_USER, EV_ADD), EBADF);
    // And it is left as it was.
    EQUAL(Registrations(reused), 0);
  }
}

TEST("Another epoll on the number of a queue that others closed is left alone") {
  Pair pair = UnixPair();
  int number = kqueue();
  EQUAL(Apply(number, pair.first, EVFILT_READ, EV_ADD), 0);
  ForeignClose(number);
  Fd epoll(epoll_create1(EPOLL_CLOEXEC));
  EQUAL(epoll, number);
  epoll_event event{EPOLLIN, {}};
  EQUAL(epoll_ctl(epoll, EPOLL_CTL_ADD, pair.first, &event), 0);
  EQUAL(Apply(number, pair.first, EVFILT_READ, EV_DELETE), EBADF);
  Write(pair.second, 1);
  EQUAL(epoll_wait(epoll, &event, 1, 0), 1);
}

TEST("A queue on the number of one that others closed starts empty") {
  Pair pair = UnixPair();
  int number = kqueue();
  EQUAL(Apply(number, pair.first, EVFILT_WRITE, EV_ADD), 0);
  ForeignClose(number);
  Fd kq = Kqueue();
  EQUAL(kq, number);
  EQUAL(Count(kq), 0);
  EQUAL(Apply(kq, pair.first, EVFILT_WRITE, EV_DELETE), ENOENT);
}

TEST("kqueue() fails with EMFILE if the descriptor table is full, and leaves nothing") {
  size_t before = OpenDescriptors();
  rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  rlimit low = limit;
  Fd last(eventfd(0, 0));
  low.rlim_cur = static_cast<rlim_t>(static_cast<int>(last)) + 1;
  setrlimit(RLIMIT_NOFILE, &low);
  EQUAL(kqueue(), -1);
  EQUAL(errno, EMFILE);
  setrlimit(RLIMIT_NOFILE, &limit);
  EQUAL(OpenDescriptors(), before + 1);
}

TEST("Adding needs no descriptor, whatever the filter") {
  Fd kq = Kqueue();
  Pair pair = UnixPair();
  rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  rlimit low = limit;
  low.rlim_cur = 3;
  setrlimit(RLIMIT_NOFILE, &low);
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ADD), 0);
  EQUAL(Apply(kq, pair.first, EVFILT_WRITE, EV_ADD), 0);
  EQUAL(Apply(kq, 1, EVFILT_USER, EV_ADD, nullptr, NOTE_TRIGGER), 0);
  size_t count = Count(kq);
  setrlimit(RLIMIT_NOFILE, &limit);
  EQUAL(count, 2);
}

#if !defined(KQUEUE_EMULATION_MACOS)
TEST("kqueue1() and kqueuex() make a queue that is closed on execve, kqueue() does not") {
  Fd plain = Kqueue(), one(kqueue1(0)), closing(kqueue1(O_CLOEXEC)), closingx(kqueuex(KQUEUE_CLOEXEC));
  EQUAL(fcntl(plain, F_GETFD), 0);
  EQUAL(fcntl(one, F_GETFD), 0);
  EQUAL(fcntl(closing, F_GETFD), FD_CLOEXEC);
  EQUAL(fcntl(closingx, F_GETFD), FD_CLOEXEC);
  EQUAL(kqueue1(O_APPEND), -1);
  EQUAL(errno, EINVAL);
  EQUAL(kqueuex(4), -1);
  EQUAL(errno, EINVAL);
}
#endif

TEST("The queue is not inherited by a child created with fork, and lives on in the parent") {
  Fd kq = Kqueue();
  Pair pair = UnixPair();
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ADD), 0);
  EQUAL(Apply(kq, pair.first, EVFILT_WRITE, EV_ADD | EV_CLEAR), 0);
  pid_t child = fork();
  if (child == 0) {
    bool gone = fcntl(kq, F_GETFD) == -1 && errno == EBADF;
    int own = kqueue();
    bool works = Apply(own, pair.second, EVFILT_WRITE, EV_ADD) == 0 && Count(own) == 1;
    _exit(gone && works ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EQUAL(status, 0);
  Write(pair.second, 1);
  EQUAL(Count(kq), 2);
}

// ---- The call.

TEST("All changes contained in the changelist are applied before any pending events are read") {
  Fd kq = Kqueue();
  Pair a = UnixPair(), b = UnixPair();
  Write(a.second, 1);
  Write(b.second, 1);
  EQUAL(Apply(kq, a.first, EVFILT_READ, EV_ADD), 0);
  struct kevent changes[] = {Change(a.first, EVFILT_READ, EV_DELETE), Change(b.first, EVFILT_READ, EV_ADD, Key(2))};
  struct kevent events[4];
  EQUAL(kevent(kq, changes, 2, events, 4, &kNow), 1);
  CHECK(events[0].udata == Key(2));
}

TEST("When nevents is zero, kevent returns immediately even if there is a timeout") {
  Fd kq = Kqueue();
  Pair pair = UnixPair();
  EQUAL(Apply(kq, pair.first, EVFILT_WRITE, EV_ADD), 0);
  EQUAL(kevent(kq, nullptr, 0, nullptr, 0, nullptr), 0);
  timespec invalid{-1, 0};
  EQUAL(kevent(kq, nullptr, 0, nullptr, 0, &invalid), 0);
}

TEST("EINVAL: an invalid time limit, after the changes were applied; a negative length, before") {
  Fd kq = Kqueue();
  struct kevent event, change = Change(1, EVFILT_USER, EV_ADD);
  for (timespec invalid : {timespec{-1, 0}, timespec{0, -1}, timespec{0, 1'000'000'000}}) {
    EQUAL(kevent(kq, nullptr, 0, &event, 1, &invalid), -1);
    EQUAL(errno, EINVAL);
  }
  timespec invalid{-1, 0};
  EQUAL(kevent(kq, &change, 1, &event, -1, &kNow), -1);
  EQUAL(errno, EINVAL);
  EQUAL(kevent(kq, &change, -1, &event, 1, &kNow), -1);
  EQUAL(errno, EINVAL);
  EQUAL(Apply(kq, 1, EVFILT_USER, EV_DELETE), ENOENT);
  EQUAL(kevent(kq, &change, 1, &event, 1, &invalid), -1);
  EQUAL(Apply(kq, 1, EVFILT_USER, EV_DELETE), 0);
}

TEST("EFAULT: no array where there must be one") {
  Fd kq = Kqueue();
  EQUAL(kevent(kq, nullptr, 1, nullptr, 0, nullptr), -1);
  EQUAL(errno, EFAULT);
  EQUAL(kevent(kq, nullptr, 0, nullptr, 1, &kNow), -1);
  EQUAL(errno, EFAULT);
}

long long Nanoseconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

TEST("If the time limit expires, kevent returns 0, and never earlier") {
  Fd kq = Kqueue();
  for (long nanoseconds : {100'000L, 3'100'000L, 20'000'000L}) {
    timespec timeout{0, nanoseconds};
    struct kevent event;
    long long began = Nanoseconds();
    EQUAL(kevent(kq, nullptr, 0, &event, 1, &timeout), 0);
    CHECK(Nanoseconds() - began >= nanoseconds);
  }
}

TEST("A null timeout, and a huge one, wait until something happens") {
  Fd kq = Kqueue();
  EQUAL(Apply(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR), 0);
  timespec huge{INT64_MAX, 999'999'999};
  for (const timespec* timeout : {static_cast<const timespec*>(nullptr), static_cast<const timespec*>(&huge)}) {
    std::thread other([&] {
      usleep(5000);
      EQUAL(Apply(kq, 1, EVFILT_USER, 0, nullptr, NOTE_TRIGGER), 0);
    });
    struct kevent event;
    EQUAL(kevent(kq, nullptr, 0, &event, 1, timeout), 1);
    other.join();
  }
}

TEST("EINTR: a signal ends a wait, though it restarts others; all changes have been applied") {
  struct sigaction action {
  }, before;
  action.sa_handler = [](int) {};
  action.sa_flags = SA_RESTART;
  sigaction(SIGALRM, &action, &before);
  Fd kq = Kqueue();
  itimerval soon{{0, 0}, {0, 10'000}};
  setitimer(ITIMER_REAL, &soon, nullptr);
  struct kevent event, change = Change(1, EVFILT_USER, EV_ADD);
  EQUAL(kevent(kq, &change, 1, &event, 1, &kSecond), -1);
  EQUAL(errno, EINTR);
  EQUAL(Apply(kq, 1, EVFILT_USER, EV_DELETE), 0);
  sigaction(SIGALRM, &before, nullptr);
}

TEST("EINVAL: the filter is invalid, and a filter of 0 is passed over") {
  Fd kq = Kqueue();
  Pair pair = UnixPair();
  for (int filter : {-7, -100, 1, 300}) EQUAL(Apply(kq, pair.first, filter, EV_ADD), EINVAL);
  EQUAL(Apply(kq, pair.first, 0, EV_ADD), 0);
}

#if !defined(KQUEUE_EMULATION_MACOS)
TEST("EINVAL: EV_ENABLE with EV_DISABLE, and EV_KEEPUDATA with EV_ADD") {
  Fd kq = Kqueue();
  EQUAL(Apply(kq, 1, EVFILT_USER, EV_ADD | EV_ENABLE | EV_DISABLE), EINVAL);
  EQUAL(Apply(kq, 1, EVFILT_USER, EV_ADD | EV_KEEPUDATA), EINVAL);
  EQUAL(Apply(kq, 1, EVFILT_USER, EV_DELETE), ENOENT);
}

TEST("EV_KEEPUDATA preserves the udata associated with an existing event") {
  Fd kq = Kqueue();
  EQUAL(Apply(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, Key(7)), 0);
  EQUAL(Apply(kq, 1, EVFILT_USER, EV_KEEPUDATA, Key(8), NOTE_TRIGGER), 0);
  CHECK(One(kq).udata == Key(7));
  EQUAL(Apply(kq, 1, EVFILT_USER, 0, Key(8), NOTE_TRIGGER), 0);
  CHECK(One(kq).udata == Key(8));
}

TEST("ext is passed through unchanged, EV_SET clears it") {
  Fd kq = Kqueue();
  struct kevent change = Change(1, EVFILT_USER, EV_ADD, nullptr, NOTE_TRIGGER);
  for (uint64_t ext : change.ext) EQUAL(ext, 0);
  for (int i = 0; i < 4; i++) change.ext[i] = UINT64_MAX - i;
  EQUAL(Apply(kq, change), 0);
  struct kevent event = One(kq);
  for (int i = 0; i < 4; i++) CHECK(event.ext[i] == UINT64_MAX - i);
}
#endif

// ---- Receipts and errors.

TEST("An error is an event with EV_ERROR and the number in data where there is room; later changes are applied") {
  Fd kq = Kqueue();
  Pair pair = UnixPair();
  struct kevent changes[] = {Change(999'999, EVFILT_READ, EV_ADD, Key(1)),
                             Change(pair.first, EVFILT_READ, EV_ADD, Key(2)),
                             Change(pair.first, EVFILT_WRITE, EV_DELETE, Key(3))};
  struct kevent events[3];
  EQUAL(kevent(kq, changes, 3, events, 3, nullptr), 2);
  EQUAL(events[0].ident, 999'999);
  EQUAL(events[0].filter, EVFILT_READ);
  EQUAL(events[0].data, EBADF);
  CHECK((events[0].flags & EV_ERROR) != 0 && events[0].udata == Key(1));
  EQUAL(events[1].data, ENOENT);
  CHECK((events[1].flags & EV_ERROR) != 0 && events[1].udata == Key(3));
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_DELETE), 0);
}

TEST("Without room an error is -1 and its number, and no later change is applied") {
  Fd kq = Kqueue();
  Pair pair = UnixPair();
  struct kevent changes[] = {Change(pair.first, EVFILT_WRITE, EV_ADD), Change(999'999, EVFILT_READ, EV_ADD),
                             Change(pair.first, EVFILT_READ, EV_ADD)};
  EQUAL(kevent(kq, changes, 3, nullptr, 0, nullptr), -1);
  EQUAL(errno, EBADF);
  EQUAL(Apply(kq, pair.first, EVFILT_WRITE, EV_DELETE), 0);
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_DELETE), ENOENT);
}

TEST("EV_RECEIPT forces EV_ERROR to always be returned, with 0 on success, and drains no pending events") {
  Fd kq = Kqueue();
  Pair pair = UnixPair();
  Write(pair.second, 1);
  struct kevent changes[] = {Change(pair.first, EVFILT_READ, EV_ADD | EV_RECEIPT, Key(1)),
                             Change(pair.first, EVFILT_WRITE, EV_DELETE | EV_RECEIPT, Key(2)),
                             Change(pair.first, EVFILT_WRITE, EV_ADD | EV_RECEIPT, Key(3))};
  struct kevent events[16];
  // There is room for events, and none comes.
  EQUAL(kevent(kq, changes, 3, events, 16, nullptr), 3);
  for (int i = 0; i < 3; i++) {
    CHECK((events[i].flags & EV_ERROR) != 0);
    EQUAL(events[i].data, i == 1 ? ENOENT : 0);
    EQUAL(events[i].ident, pair.first);
    EQUAL(events[i].filter, changes[i].filter);
    CHECK(events[i].udata == changes[i].udata);
#if defined(KQUEUE_EMULATION_MACOS)
    EQUAL(events[i].flags, changes[i].flags | EV_ERROR);
#else
    EQUAL(events[i].flags, EV_ERROR);
#endif
  }
  EQUAL(Count(kq), 2);
}

TEST("The same array may be used for the changelist and eventlist") {
  Fd kq = Kqueue();
  Pair pair = UnixPair();
  struct kevent both[] = {Change(pair.first, EVFILT_READ, EV_ADD | EV_RECEIPT, Key(1)),
                          Change(999'999, EVFILT_READ, EV_ADD | EV_RECEIPT, Key(2)),
                          Change(pair.first, EVFILT_WRITE, EV_ADD | EV_RECEIPT, Key(3))};
  EQUAL(kevent(kq, both, 3, both, 3, nullptr), 3);
  EQUAL(both[0].data, 0);
  EQUAL(both[1].data, EBADF);
  EQUAL(both[2].data, 0);
  CHECK(both[2].udata == Key(3));
}

TEST("If there is no space for a receipt, subsequent changes will not get processed") {
  Fd kq = Kqueue();
  Pair pair = UnixPair();
  struct kevent changes[] = {Change(1, EVFILT_USER, EV_ADD | EV_RECEIPT), Change(2, EVFILT_USER, EV_ADD | EV_RECEIPT),
                             Change(3, EVFILT_USER, EV_ADD | EV_RECEIPT)};
  struct kevent event;
  EQUAL(kevent(kq, changes, 3, &event, 1, nullptr), 0);
  EQUAL(Apply(kq, 1, EVFILT_USER, EV_DELETE), 0);
  EQUAL(Apply(kq, 2, EVFILT_USER, EV_DELETE), 0);
  EQUAL(Apply(kq, 3, EVFILT_USER, EV_DELETE), ENOENT);
}

TEST("ENOENT: what is not there can be neither modified nor deleted") {
  Fd kq = Kqueue();
  Pair pair = UnixPair();
  for (int flags : {EV_DELETE, EV_ENABLE, EV_DISABLE, 0}) {
    EQUAL(Apply(kq, pair.first, EVFILT_READ, flags), ENOENT);
    EQUAL(Apply(kq, 1, EVFILT_USER, flags), ENOENT);
  }
  // Of another filter, another ident, another queue.
  Fd other = Kqueue();
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ADD), 0);
  EQUAL(Apply(kq, pair.first, EVFILT_WRITE, EV_DELETE), ENOENT);
  EQUAL(Apply(kq, pair.second, EVFILT_READ, EV_DELETE), ENOENT);
  EQUAL(Apply(other, pair.first, EVFILT_READ, EV_DELETE), ENOENT);
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_DELETE), 0);
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_DELETE), ENOENT);
}

TEST("EBADF: a descriptor that is closed, negative or too large, whatever is asked") {
  Fd kq = Kqueue();
  int closed = dup(kq);
  close(closed);
  for (uintptr_t ident : {static_cast<uintptr_t>(closed), UINTPTR_MAX, (uintptr_t{1} << 32) + static_cast<int>(kq)}) {
    for (int flags : {EV_ADD, EV_DELETE, EV_ENABLE}) EQUAL(Apply(kq, ident, EVFILT_READ, flags), EBADF);
  }
}

// ---- Adding, modifying, deleting.

TEST("There may only be one kevent for each (ident, filter): re-adding modifies it") {
  Fd kq = Kqueue();
  Pair pair = UnixPair();
  Write(pair.second, 1);
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ADD, Key(1)), 0);
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ADD, Key(2)), 0);
  CHECK(One(kq).udata == Key(2));
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_DELETE), 0);
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_DELETE), ENOENT);
}

TEST("Re-adding keeps EV_CLEAR, EV_ONESHOT and EV_DISPATCH as they were") {
  Fd kq = Kqueue();
  Pair pair = UnixPair();
  Write(pair.second, 1);
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ADD), 0);
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ADD | EV_ONESHOT | EV_CLEAR), 0);
  EQUAL(Count(kq), 1);
  EQUAL(Count(kq), 1);
}

TEST("A filter is executed upon initial registration, so that what was there before is found") {
  Fd kq = Kqueue();
  Pair pair = UnixPair();
  Write(pair.second, 3);
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ADD | EV_CLEAR, Key(UINTPTR_MAX)), 0);
  struct kevent event = One(kq);
  EQUAL(event.ident, pair.first);
  EQUAL(event.filter, EVFILT_READ);
  EQUAL(event.flags, EV_CLEAR);
  EQUAL(event.fflags, 0);
  EQUAL(event.data, 3);
  CHECK(event.udata == Key(UINTPTR_MAX));
}

TEST("If the condition no longer holds, the kevent is removed from the queue and is not returned") {
  for (int flags : {0, EV_CLEAR, EV_ONESHOT, EV_DISPATCH}) {
    Fd kq = Kqueue();
    Pair pair = UnixPair();
    Write(pair.second, 1);
    EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ADD | flags), 0);
    CHECK(Readable(kq));
    Read(pair.first, 1);
    EQUAL(Count(kq), 0);
    CHECK(!Readable(kq));
    Write(pair.second, 1);
    EQUAL(Count(kq), 1);
  }
}

TEST("Multiple events do not result in multiple kevents") {
  Fd kq = Kqueue();
  Pair pair = UnixPair();
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ADD | EV_CLEAR), 0);
  for (int i = 0; i < 3; i++) Write(pair.second, 1);
  EQUAL(One(kq).data, 3);
  EQUAL(Count(kq), 0);
}

TEST("Both filters of a descriptor are two events of one call") {
  Fd kq = Kqueue();
  Pair pair = UnixPair();
  Write(pair.second, 2);
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ADD, Key(1)), 0);
  EQUAL(Apply(kq, pair.first, EVFILT_WRITE, EV_ADD, Key(2)), 0);
  std::vector<struct kevent> events = Wait(kq);
  EQUAL(events.size(), 2);
  EQUAL(events[0].filter, EVFILT_READ);
  EQUAL(events[1].filter, EVFILT_WRITE);
  CHECK(events[0].udata == Key(1) && events[1].udata == Key(2));
  CHECK(events[1].data > 0);
}

TEST("Without other flags a kevent is returned as long as its condition holds") {
  Fd kq = Kqueue();
  Pair pair = UnixPair();
  Write(pair.second, 2);
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ADD), 0);
  EQUAL(One(kq).data, 2);
  Read(pair.first, 1);
  EQUAL(One(kq).data, 1);
  Read(pair.first, 1);
  EQUAL(Count(kq), 0);
}

TEST("EV_DELETE removes what is pending, and leaves the other filter") {
  Fd kq = Kqueue();
  Pair pair = UnixPair();
  Write(pair.second, 1);
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ADD), 0);
  EQUAL(Apply(kq, pair.first, EVFILT_WRITE, EV_ADD), 0);
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_DELETE), 0);
  EQUAL(One(kq).filter, EVFILT_WRITE);
  EQUAL(Apply(kq, pair.first, EVFILT_WRITE, EV_DELETE), 0);
  EQUAL(Count(kq), 0);
  CHECK(!Readable(kq));
}

// ---- EV_ENABLE, EV_DISABLE, EV_ONESHOT, EV_CLEAR, EV_DISPATCH.

TEST("EV_DISABLE keeps the kevent and does not return it, EV_ENABLE permits it again") {
  Fd kq = Kqueue();
  Pair pair = UnixPair();
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ADD, Key(1)), 0);
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_DISABLE, Key(2)), 0);
  Write(pair.second, 1);
  EQUAL(Count(kq), 0);
  CHECK(!Readable(kq));
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ENABLE, Key(3)), 0);
  CHECK(Readable(kq));
  CHECK(One(kq).udata == Key(3));
  // Disabled while it waits in the queue.
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_DISABLE), 0);
  EQUAL(Count(kq), 0);
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ENABLE), 0);
  EQUAL(Count(kq), 1);
}

TEST("EV_ADD with EV_DISABLE adds what is not returned; EV_ADD alone does not enable it") {
  Fd kq = Kqueue();
  Pair pair = UnixPair();
  Write(pair.second, 1);
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ADD | EV_DISABLE), 0);
  EQUAL(Count(kq), 0);
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ADD), 0);
  EQUAL(Count(kq), 0);
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ADD | EV_ENABLE), 0);
  EQUAL(Count(kq), 1);
}

TEST("What ended while a kevent was disabled is not returned when it is enabled") {
  Fd kq = Kqueue();
  Pair pair = UnixPair();
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ADD | EV_DISABLE | EV_CLEAR), 0);
  Write(pair.second, 1);
  EQUAL(Count(kq), 0);
  Read(pair.first, 1);
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ENABLE), 0);
  EQUAL(Count(kq), 0);
}

TEST("EV_ONESHOT: after the user retrieves the event, it is deleted") {
  Fd kq = Kqueue();
  Pair pair = UnixPair();
  Write(pair.second, 1);
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ADD | EV_ONESHOT), 0);
  EQUAL(Apply(kq, pair.first, EVFILT_WRITE, EV_ADD), 0);
  EQUAL(Count(kq), 2);
  EQUAL(Count(kq), 1);
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ENABLE), ENOENT);
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ADD | EV_ONESHOT), 0);
  EQUAL(Count(kq), 2);
}

TEST("EV_CLEAR: after the event is retrieved its state is reset, until something happens again") {
  Fd kq = Kqueue();
  Pair pair = UnixPair();
  Write(pair.second, 1);
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ADD | EV_CLEAR), 0);
  EQUAL(One(kq).data, 1);
  EQUAL(Wait(kq, 1, kTick).size(), 0);
  CHECK(!Readable(kq));
  Write(pair.second, 1);
  CHECK(Readable(kq));
  EQUAL(One(kq).data, 2);
  EQUAL(Count(kq), 0);
}

TEST("EV_CLEAR: what can be read does not report anew what can be written") {
  Fd kq = Kqueue();
  for (bool tcp : {false, true}) {
    Pair pair = StreamPair(tcp);
    EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ADD | EV_CLEAR), 0);
    EQUAL(Apply(kq, pair.first, EVFILT_WRITE, EV_ADD | EV_CLEAR), 0);
    EQUAL(One(kq).filter, EVFILT_WRITE);
    for (int i = 0; i < 3; i++) {
      Write(pair.second, 1);
      EQUAL(One(kq).filter, EVFILT_READ);
      EQUAL(Count(kq), 0);
    }
  }
}

TEST("EV_CLEAR: what was full and has room again is reported") {
  Fd kq = Kqueue();
  for (bool tcp : {false, true}) {
    Pair pair = StreamPair(tcp);
    EQUAL(Apply(kq, pair.first, EVFILT_WRITE, EV_ADD | EV_CLEAR), 0);
    EQUAL(Count(kq), 1);
    Fill(pair.first);
    EQUAL(Count(kq), 0);
    size_t count = 0;
    for (int i = 0; i < 100 && count == 0; i++) {
      Drain(pair.second);
      count = Wait(kq, 1, kTick).size();
    }
    EQUAL(count, 1);
    EQUAL(Apply(kq, pair.first, EVFILT_WRITE, EV_DELETE), 0);
  }
}

TEST("EV_CLEAR: EV_ENABLE, or adding again, runs the filter and reports what still holds") {
  Fd kq = Kqueue();
  Pair pair = UnixPair();
  Write(pair.second, 1);
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ADD | EV_CLEAR), 0);
  EQUAL(Count(kq), 1);
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ENABLE), 0);
  EQUAL(Count(kq), 1);
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ADD | EV_CLEAR), 0);
  EQUAL(Count(kq), 1);
  EQUAL(Count(kq), 0);
}

TEST("EV_DISPATCH disables the event source immediately after delivery, and keeps it") {
  for (int clear : {0, EV_CLEAR}) {
    Fd kq = Kqueue();
    Pair pair = UnixPair();
    Write(pair.second, 1);
    EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ADD | EV_DISPATCH | clear, Key(1)), 0);
    EQUAL(Count(kq), 1);
    Write(pair.second, 1);
    EQUAL(Wait(kq, 1, kTick).size(), 0);
    CHECK(!Readable(kq));
    // What is still there is reported, with EV_CLEAR too.
    EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ENABLE, Key(2)), 0);
    struct kevent event = One(kq);
    EQUAL(event.data, 2);
    CHECK(event.udata == Key(2));
    Drain(pair.first);
    EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ENABLE), 0);
    EQUAL(Count(kq), 0);
    Write(pair.second, 1);
    EQUAL(Count(kq), 1);
    EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_DELETE), 0);
  }
}

TEST("Enabling and waiting in one call delivers in that call") {
  Fd kq = Kqueue();
  Pair pair = UnixPair();
  Write(pair.second, 1);
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ADD | EV_DISPATCH), 0);
  EQUAL(Count(kq), 1);
  for (int i = 0; i < 3; i++) {
    struct kevent change = Change(pair.first, EVFILT_READ, EV_ENABLE), event;
    EQUAL(kevent(kq, &change, 1, &event, 1, &kSecond), 1);
  }
}

// ---- Order and room.

TEST("What has no room is returned by the following calls, and none starves") {
  for (int flags : {0, EV_CLEAR, EV_DISPATCH, EV_ONESHOT}) {
    Fd kq = Kqueue();
    std::vector<Pair> pairs;
    for (int i = 0; i < 10; i++) {
      pairs.push_back(UnixPair());
      EQUAL(Apply(kq, pairs[i].first, EVFILT_WRITE, EV_ADD | flags, Key(i)), 0);
    }
    std::set<void*> seen;
    for (int turn = 0; turn < 4; turn++) {
      CHECK(Readable(kq));
      std::vector<struct kevent> events = Wait(kq, 3);
      EQUAL(events.size(), flags == 0 || turn < 3 ? 3 : 1);
      for (const struct kevent& event : events) seen.insert(event.udata);
    }
    EQUAL(seen.size(), 10);
    EQUAL(Readable(kq), flags == 0);
  }
}

TEST("A kevent is returned at most once by a call, however much room there is") {
  Fd kq = Kqueue();
  Pair pair = UnixPair();
  EQUAL(Apply(kq, pair.first, EVFILT_WRITE, EV_ADD), 0);
  EQUAL(Wait(kq, 16).size(), 1);
}

TEST("Kevents are returned in the order in which they were activated") {
  Fd kq = Kqueue();
  Pair a = UnixPair(), b = UnixPair(), c = UnixPair();
  for (Pair* pair : {&a, &b, &c}) EQUAL(Apply(kq, pair->first, EVFILT_READ, EV_ADD), 0);
  for (Pair* pair : {&c, &a, &b}) Write(pair->second, 1);
  std::vector<struct kevent> events = Wait(kq);
  EQUAL(events.size(), 3);
  EQUAL(events[0].ident, c.first);
  EQUAL(events[1].ident, a.first);
  EQUAL(events[2].ident, b.first);
}

// ---- The queue's descriptor.

TEST("The queue's descriptor is readable while events are pending: for poll, epoll and another queue") {
  Fd kq = Kqueue(), outer = Kqueue(), epoll(epoll_create1(EPOLL_CLOEXEC));
  Pair pair = UnixPair();
  epoll_event event{EPOLLIN, {}};
  EQUAL(epoll_ctl(epoll, EPOLL_CTL_ADD, kq, &event), 0);
  EQUAL(Apply(outer, kq, EVFILT_READ, EV_ADD), 0);
  EQUAL(Apply(outer, kq, EVFILT_WRITE, EV_ADD), EINVAL);
  for (int flags : {0, EV_DISABLE}) EQUAL(Apply(kq, kq, EVFILT_READ, EV_ADD | flags), EINVAL);
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ADD | EV_CLEAR), 0);
  EQUAL(Apply(kq, 5, EVFILT_USER, EV_ADD | EV_CLEAR), 0);
  for (int turn = 0; turn < 3; turn++) {
    CHECK(!Readable(kq));
    EQUAL(epoll_wait(epoll, &event, 1, 0), 0);
    EQUAL(Count(outer), 0);
    Write(pair.second, 1);
    EQUAL(Apply(kq, 5, EVFILT_USER, 0, nullptr, NOTE_TRIGGER), 0);
    CHECK(Readable(kq));
    EQUAL(epoll_wait(epoll, &event, 1, 0), 1);
    EQUAL(One(outer).data, 2);
    EQUAL(Count(kq), 2);
  }
}

TEST("Something that happens wakes those who poll the queue's descriptor: reading, writing, triggering") {
  Fd kq = Kqueue();
  Pair pair = UnixPair();
  Fill(pair.first);
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ADD | EV_CLEAR), 0);
  EQUAL(Apply(kq, pair.first, EVFILT_WRITE, EV_ADD | EV_CLEAR), 0);
  EQUAL(Apply(kq, 5, EVFILT_USER, EV_ADD | EV_CLEAR), 0);
  void (*happenings[])(int, Pair&) = {[](int, Pair& p) { Write(p.second, 1); }, [](int, Pair& p) { Drain(p.second); },
                                      [](int queue, Pair&) { Apply(queue, 5, EVFILT_USER, 0, nullptr, NOTE_TRIGGER); }};
  int filters[] = {EVFILT_READ, EVFILT_WRITE, EVFILT_USER};
  for (int i = 0; i < 3; i++) {
    std::thread other([&] {
      usleep(5000);
      happenings[i](kq, pair);
    });
    pollfd one{kq, POLLIN, 0};
    EQUAL(poll(&one, 1, 1000), 1);
    other.join();
    EQUAL(One(kq).filter, filters[i]);
    CHECK(!Readable(kq));
  }
}

TEST("What is disabled, deleted or delivered does not make the queue's descriptor readable") {
  for (int how : {0, 1, 2}) {
    Fd kq = Kqueue();
    Pair pair = UnixPair();
    Fill(pair.first);
    for (int filter : {EVFILT_READ, EVFILT_WRITE}) {
      EQUAL(Apply(kq, pair.first, filter, EV_ADD | (how == 2 ? EV_DISPATCH : 0)), 0);
      if (how < 2) EQUAL(Apply(kq, pair.first, filter, how == 0 ? EV_DISABLE : EV_DELETE), 0);
    }
    CHECK(!Readable(kq));
    Write(pair.second, 1);
    Drain(pair.second);
    if (how == 2) EQUAL(Count(kq), 2);
    CHECK(!Readable(kq));
    if (how == 2) {
      Write(pair.second, 1);
      Fill(pair.first);
      Drain(pair.second);
    }
    CHECK(!Readable(kq));
    if (how == 1) continue;
    for (int filter : {EVFILT_READ, EVFILT_WRITE}) EQUAL(Apply(kq, pair.first, filter, EV_ENABLE), 0);
    EQUAL(Count(kq), 2);
  }
}

TEST("Deleting or disabling one filter for writing leaves the others, in this queue and in others") {
  Fd kq = Kqueue(), other = Kqueue();
  Pair a = UnixPair(), b = UnixPair();
  Fill(b.first);
  EQUAL(Apply(kq, a.first, EVFILT_WRITE, EV_ADD | EV_CLEAR), 0);
  EQUAL(Apply(kq, b.first, EVFILT_WRITE, EV_ADD | EV_CLEAR), 0);
  EQUAL(Apply(other, b.first, EVFILT_WRITE, EV_ADD | EV_CLEAR), 0);
  EQUAL(Apply(kq, a.first, EVFILT_WRITE, EV_DELETE), 0);
  EQUAL(Apply(kq, b.first, EVFILT_READ, EV_ADD | EV_DISABLE), 0);
  Drain(b.second);
  EQUAL(One(kq).ident, b.first);
  // That call has found it for the other queue too, whose pollers are to learn of it.
  CHECK(Readable(other));
  EQUAL(One(other).ident, b.first);
  Fill(b.first);
  EQUAL(Apply(other, b.first, EVFILT_WRITE, EV_DISABLE), 0);
  Drain(b.second);
  EQUAL(One(kq).ident, b.first);
  EQUAL(Count(other), 0);
}

TEST("Queues do not share kevents") {
  Fd a = Kqueue(), b = Kqueue();
  Pair pair = UnixPair();
  for (int filter : {EVFILT_READ, EVFILT_WRITE}) {
    EQUAL(Apply(a, pair.first, filter, EV_ADD | EV_CLEAR, Key(1)), 0);
    EQUAL(Apply(b, pair.first, filter, EV_ADD | EV_CLEAR, Key(2)), 0);
  }
  Write(pair.second, 1);
  EQUAL(Count(a), 2);
  EQUAL(Count(b), 2);
  EQUAL(Apply(a, pair.first, EVFILT_WRITE, EV_DELETE), 0);
  Fill(pair.first);
  Drain(pair.second);
  std::vector<struct kevent> events = Wait(b, 4, kSecond);
  EQUAL(events.size(), 1);
  EQUAL(events[0].filter, EVFILT_WRITE);
  CHECK(events[0].udata == Key(2));
  EQUAL(Count(a), 0);
  a.Close();
  Write(pair.second, 1);
  EQUAL(Count(b), 1);
}

// ---- Closing.

TEST("Calling close removes any kevents that reference the descriptor, whoever calls it and whatever duplicates live") {
  for (bool foreign : {false, true}) {
    for (bool duplicated : {false, true}) {
      Fd kq = Kqueue();
      Pair pair = UnixPair();
      Write(pair.second, 1);
      EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ADD), 0);
      EQUAL(Apply(kq, pair.first, EVFILT_WRITE, EV_ADD | EV_DISABLE), 0);
      Fd duplicate(duplicated ? dup(pair.first) : eventfd(0, 0));
      EQUAL(Count(kq), 1);
      int number = pair.first;
      foreign ? pair.first.CloseForeign() : pair.first.Close();
      EQUAL(Count(kq), 0);
      CHECK(!Readable(kq));
      EQUAL(Apply(kq, number, EVFILT_READ, EV_DELETE), EBADF);
      // What happens to the file afterwards neither is reported nor spins.
      if (duplicated) Write(pair.second, 1);
      EQUAL(Wait(kq, 1, kTick).size(), 0);
      CHECK(!Readable(kq));
    }
  }
}

TEST("A number that names something else by now has no kevents") {
  for (bool foreign : {false, true}) {
    for (bool duplicated : {false, true}) {
      Fd kq = Kqueue();
      Pair pair = UnixPair(), next = UnixPair();
      EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ADD, Key(1)), 0);
      EQUAL(Apply(kq, pair.first, EVFILT_WRITE, EV_ADD | EV_DISABLE, Key(2)), 0);
      Fd duplicate(duplicated ? dup(pair.first) : eventfd(0, 0));
      int number = pair.first;
      foreign ? pair.first.CloseForeign() : pair.first.Close();
      Fd reused(fcntl(next.first, F_DUPFD, number));
      EQUAL(reused, number);
      Write(next.second, 1);
      if (duplicated) Write(pair.second, 1);
      EQUAL(Count(kq), 0);
      EQUAL(Apply(kq, reused, EVFILT_READ, EV_ENABLE), ENOENT);
      EQUAL(Apply(kq, reused, EVFILT_WRITE, EV_ENABLE), ENOENT);
      EQUAL(Apply(kq, reused, EVFILT_READ, EV_ADD | EV_CLEAR, Key(3)), 0);
      struct kevent event = One(kq);
      CHECK(event.udata == Key(3));
      EQUAL(event.data, 1);
      // The old file still wakes nobody, and is not mistaken for the new one.
      if (duplicated) Write(pair.second, 1);
      EQUAL(Wait(kq, 1, kTick).size(), 0);
    }
  }
}

TEST("Closing a duplicate changes nothing") {
  Fd kq = Kqueue();
  Pair pair = UnixPair();
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ADD), 0);
  close(dup(pair.first));
  Write(pair.second, 1);
  EQUAL(Count(kq), 1);
}

TEST("Two numbers of one file are two idents") {
  Fd kq = Kqueue();
  Pair pair = UnixPair();
  Fd duplicate(dup(pair.first));
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ADD, Key(1)), 0);
  EQUAL(Apply(kq, duplicate, EVFILT_READ, EV_ADD, Key(2)), 0);
  Write(pair.second, 1);
  EQUAL(Count(kq), 2);
  duplicate.Close();
  CHECK(One(kq).udata == Key(1));
}

TEST("A file that comes back to the number it was closed under has no kevents") {
  Fd kq = Kqueue();
  Pair pair = UnixPair();
  Fd duplicate(dup(pair.first));
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ADD), 0);
  int number = pair.first;
  pair.first.Close();
  Fd back(fcntl(duplicate, F_DUPFD, number));
  EQUAL(back, number);
  EQUAL(Apply(kq, back, EVFILT_READ, EV_ENABLE), ENOENT);
  EQUAL(Apply(kq, back, EVFILT_READ, EV_ADD, Key(2)), 0);
  Write(pair.second, 1);
  CHECK(One(kq).udata == Key(2));
}

TEST("A file that comes back after another had its number, behind our back, can be added again") {
  Fd kq = Kqueue();
  Pair pair = UnixPair(), next = UnixPair();
  Fd duplicate(dup(pair.first));
  for (int filter : {EVFILT_READ, EVFILT_WRITE}) EQUAL(Apply(kq, pair.first, filter, EV_ADD | EV_CLEAR), 0);
  EQUAL(Count(kq), 1);
  int number = pair.first;
  pair.first.CloseForeign();
  Fd reused(fcntl(next.first, F_DUPFD, number));
  EQUAL(Apply(kq, number, EVFILT_READ, EV_ENABLE), ENOENT);
  reused.CloseForeign();
  Fd back(fcntl(duplicate, F_DUPFD, number));
  for (int filter : {EVFILT_READ, EVFILT_WRITE}) EQUAL(Apply(kq, back, filter, EV_ADD | EV_CLEAR, Key(2)), 0);
  CHECK(One(kq).udata == Key(2));
  Write(pair.second, 1);
  CHECK(One(kq).udata == Key(2));
  Fill(back);
  Drain(pair.second);
  EQUAL(One(kq).filter, EVFILT_WRITE);
}

TEST("dup2 and dup3 close what they replace, unless they fail") {
  for (bool three : {false, true}) {
    Fd kq = Kqueue();
    Pair pair = UnixPair(), next = UnixPair();
    auto replace = [&](int from, int onto) { return three ? dup3(from, onto, O_CLOEXEC) : dup2(from, onto); };
    EQUAL(Apply(kq, pair.first, EVFILT_WRITE, EV_ADD), 0);
    EQUAL(replace(-1, pair.first), -1);
    EQUAL(errno, EBADF);
    EQUAL(replace(next.first, -1), -1);
    EQUAL(errno, EBADF);
    EQUAL(replace(pair.first, pair.first), three ? -1 : static_cast<int>(pair.first));
    EQUAL(Count(kq), 1);
    EQUAL(replace(next.first, pair.first), pair.first);
    EQUAL(fcntl(pair.first, F_GETFD), three ? FD_CLOEXEC : 0);
    EQUAL(Count(kq), 0);
    EQUAL(Apply(kq, pair.first, EVFILT_WRITE, EV_DELETE), ENOENT);
    // Also if it is the same file again.
    EQUAL(Apply(kq, pair.first, EVFILT_WRITE, EV_ADD), 0);
    EQUAL(replace(next.first, pair.first), pair.first);
    EQUAL(Apply(kq, pair.first, EVFILT_WRITE, EV_DELETE), ENOENT);
  }
}

TEST("A wait that is under way does not report what is closed meanwhile") {
  Fd kq = Kqueue();
  Pair pair = UnixPair();
  Fd duplicate(dup(pair.first));
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ADD), 0);
  std::thread other([&] {
    usleep(5000);
    pair.first.Close();
    Write(pair.second, 1);
  });
  timespec timeout{0, 30'000'000};
  EQUAL(Wait(kq, 1, timeout).size(), 0);
  other.join();
}

// ---- EVFILT_READ and EVFILT_WRITE.

TEST("A listening socket is readable when a connection is pending, and data tells how many") {
  Fd kq = Kqueue();
  Listener listener;
  EQUAL(Apply(kq, listener.fd, EVFILT_READ, EV_ADD), 0);
  EQUAL(Apply(kq, listener.fd, EVFILT_WRITE, EV_ADD), 0);
  EQUAL(Count(kq), 0);
  Fd first = listener.Connect(), second = listener.Connect();
  struct kevent event = One(kq);
  EQUAL(event.filter, EVFILT_READ);
  EQUAL(event.data, 2);
  EQUAL(event.flags & EV_EOF, 0);
  Fd accepted = listener.Accept();
  EQUAL(One(kq).data, 1);
  Fd last = listener.Accept();
  EQUAL(Count(kq), 0);
}

TEST("A Unix listener is readable when a connection is pending") {
  Fd kq = Kqueue(), listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)),
     client(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socklen_t length = sizeof(sa_family_t);
  EQUAL(bind(listener, reinterpret_cast<sockaddr*>(&address), length), 0);
  length = sizeof address;
  EQUAL(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length), 0);
  // As with macOS and FreeBSD, listening may begin after the filter was added.
  EQUAL(Apply(kq, listener, EVFILT_READ, EV_ADD), 0);
  EQUAL(Count(kq), 0);
  EQUAL(listen(listener, 4), 0);
  EQUAL(connect(client, reinterpret_cast<sockaddr*>(&address), length), 0);
  EQUAL(One(kq).data, 1);
}

TEST("A socket that was never connected is neither readable nor writable") {
  Fd kq = Kqueue();
  for (int domain : {AF_INET, AF_UNIX}) {
    Fd fresh(socket(domain, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EQUAL(Apply(kq, fresh, EVFILT_READ, EV_ADD), 0);
    EQUAL(Apply(kq, fresh, EVFILT_WRITE, EV_ADD), 0);
    EQUAL(Count(kq), 0);
  }
}

TEST("A socket becomes writable when it is connected") {
  Fd kq = Kqueue(), client(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  Listener listener;
  EQUAL(Apply(kq, client, EVFILT_WRITE, EV_ADD | EV_CLEAR), 0);
  connect(client, reinterpret_cast<sockaddr*>(&listener.address), sizeof listener.address);
  EQUAL(One(kq).flags, EV_CLEAR);
}

TEST("Datagrams are read and written, also empty ones") {
  Fd kq = Kqueue();
  Pair pair = UnixPair(SOCK_DGRAM);
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ADD), 0);
  EQUAL(Count(kq), 0);
  EQUAL(send(pair.second, "", 0, 0), 0);
  EQUAL(One(kq).data, 0);
}

TEST("NOTE_LOWAT overrides the low water mark, for reading and for writing") {
  Fd kq = Kqueue();
  Pair pair = UnixPair();
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ADD, nullptr, NOTE_LOWAT, 3), 0);
  Write(pair.second, 2);
  EQUAL(Count(kq), 0);
  Write(pair.second, 1);
  EQUAL(One(kq).data, 3);
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_DELETE), 0);
  EQUAL(Apply(kq, pair.first, EVFILT_WRITE, EV_ADD, nullptr, NOTE_LOWAT, 1'000'000'000), 0);
  EQUAL(Count(kq), 0);
}

TEST("When the read direction has shut down EV_EOF is set, also while there is data, and nothing about writing") {
  for (bool tcp : {false, true}) {
    Pair pair = StreamPair(tcp);
    Fd kq = Kqueue();
    EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ADD), 0);
    EQUAL(Apply(kq, pair.first, EVFILT_WRITE, EV_ADD), 0);
    Write(pair.second, 2);
    EQUAL(shutdown(pair.second, SHUT_WR), 0);
    std::vector<struct kevent> events = Wait(kq, 4, kSecond);
    std::sort(events.begin(), events.end(), [](auto& a, auto& b) { return a.filter > b.filter; });
    EQUAL(events.size(), 2);
    EQUAL(events[0].flags, EV_EOF);
    EQUAL(events[0].fflags, 0);
    EQUAL(events[0].data, 2);
    EQUAL(events[1].filter, EVFILT_WRITE);
    EQUAL(events[1].flags, 0);
    Read(pair.first, 2);
    EQUAL(Wait(kq, 1).at(0).flags & EV_EOF ? 0 : 1, 1);
    EQUAL(Apply(kq, pair.first, EVFILT_WRITE, EV_DELETE), 0);
    EQUAL(One(kq).data, 0);
  }
}

TEST("When the peer has closed a Unix socket, both filters set EV_EOF") {
  Fd kq = Kqueue();
  Pair pair = UnixPair();
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ADD | EV_CLEAR), 0);
  EQUAL(Apply(kq, pair.first, EVFILT_WRITE, EV_ADD | EV_CLEAR), 0);
  EQUAL(Count(kq), 1);
  pair.second.Close();
  std::vector<struct kevent> events = Wait(kq, 4, kSecond);
  EQUAL(events.size(), 2);
  for (const struct kevent& event : events) {
    EQUAL(event.flags, EV_CLEAR | EV_EOF);
    EQUAL(event.fflags, 0);
  }
  EQUAL(Count(kq), 0);
}

TEST("When the own write direction is shut down, writing sets EV_EOF and reading does not") {
  for (bool tcp : {false, true}) {
    Pair pair = StreamPair(tcp);
    Fd kq = Kqueue();
    EQUAL(shutdown(pair.first, SHUT_WR), 0);
    EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ADD), 0);
    EQUAL(Apply(kq, pair.first, EVFILT_WRITE, EV_ADD), 0);
    struct kevent event = One(kq);
    EQUAL(event.filter, EVFILT_WRITE);
    EQUAL(event.flags, EV_EOF);
    // Looking whether it is so has written nothing.
    EQUAL(Apply(kq, pair.second, EVFILT_READ, EV_ADD), 0);
    struct kevent peer = Wait(kq, 4).back();
    EQUAL(peer.ident, pair.second);
    EQUAL(peer.data, 0);
  }
}

TEST("The socket error is returned in fflags and stays pending") {
  Listener listener;
  Pair unread = UnixPair(), reset = listener.Connection();
  Fd refused(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  Write(unread.first, 1);
  unread.second.Close();
  Reset(reset.second);
  listener.fd.Close();
  connect(refused, reinterpret_cast<sockaddr*>(&listener.address), sizeof listener.address);
  std::pair<int, int> cases[] = {{unread.first, ECONNRESET}, {reset.first, ECONNRESET}, {refused, ECONNREFUSED}};
  for (auto [fd, number] : cases) {
    Fd kq = Kqueue();
    EQUAL(Apply(kq, fd, EVFILT_READ, EV_ADD), 0);
    EQUAL(Apply(kq, fd, EVFILT_WRITE, EV_ADD), 0);
    std::vector<struct kevent> events = Wait(kq, 4, kSecond);
    EQUAL(events.size(), 2);
    for (const struct kevent& event : events) {
      EQUAL(event.flags, EV_EOF);
      EQUAL(event.fflags, number);
    }
    int pending = 0;
    socklen_t length = sizeof pending;
    EQUAL(getsockopt(fd, SOL_SOCKET, SO_ERROR, &pending, &length), 0);
    EQUAL(pending, number);
    for (const struct kevent& event : Wait(kq)) {
      EQUAL(event.flags, EV_EOF);
      EQUAL(event.fflags, 0);
    }
  }
}

TEST("A pipe tells its bytes and its room, and EV_EOF when the last writer disconnects") {
  Fd kq = Kqueue();
  Pair pipe = Pipe();
  EQUAL(Apply(kq, pipe.first, EVFILT_READ, EV_ADD | EV_CLEAR), 0);
  EQUAL(Count(kq), 0);
  Write(pipe.second, 5);
  EQUAL(One(kq).data, 5);
  EQUAL(Apply(kq, pipe.second, EVFILT_WRITE, EV_ADD | EV_ONESHOT), 0);
  EQUAL(One(kq).data, fcntl(pipe.second, F_GETPIPE_SZ) - 5);
  pipe.second.Close();
  struct kevent event = One(kq);
  EQUAL(event.data, 5);
  EQUAL(event.flags, EV_CLEAR | EV_EOF);
  EQUAL(Count(kq), 0);
}

TEST("A full pipe is not writable until it is read") {
  Fd kq = Kqueue();
  Pair pipe = Pipe();
  Fill(pipe.second);
  EQUAL(Apply(kq, pipe.second, EVFILT_WRITE, EV_ADD | EV_CLEAR), 0);
  EQUAL(Count(kq), 0);
  Drain(pipe.first);
  CHECK(One(kq).data > 0);
}

TEST("A pipe whose reader disconnects sets EV_EOF with no room; without reader EVFILT_WRITE is EPIPE") {
  Fd kq = Kqueue();
  Pair pipe = Pipe();
  Fill(pipe.second);
  EQUAL(Apply(kq, pipe.second, EVFILT_WRITE, EV_ADD), 0);
  pipe.first.Close();
  struct kevent event = One(kq);
  EQUAL(event.flags, EV_EOF);
  EQUAL(event.data, 0);
  EQUAL(Apply(kq, pipe.second, EVFILT_WRITE, EV_DELETE), 0);
  EQUAL(Apply(kq, pipe.second, EVFILT_WRITE, EV_ADD), EPIPE);
  EQUAL(Apply(kq, pipe.second, EVFILT_WRITE, EV_DELETE), ENOENT);
  // The refused one has left nothing behind, and disturbs no other filter.
  EQUAL(Apply(kq, pipe.second, EVFILT_READ, EV_ADD), 0);
  EQUAL(Count(kq), 0);
}

TEST("A filter for the direction that a pipe's end lacks can be added and never fires") {
  Fd kq = Kqueue();
  Pair pipe = Pipe();
  EQUAL(Apply(kq, pipe.second, EVFILT_READ, EV_ADD), 0);
  EQUAL(Apply(kq, pipe.first, EVFILT_WRITE, EV_ADD), 0);
  Write(pipe.second, 1);
  EQUAL(Count(kq), 0);
}

TEST("A FIFO's EV_EOF is cleared when a new writer or reader connects") {
  char folder[] = "/tmp/kqueue-XXXXXX";
  CHECK(mkdtemp(folder) != nullptr);
  std::string path = std::string(folder) + "/fifo";
  CHECK(mkfifo(path.c_str(), 0600) == 0);
  {
    Fd kq = Kqueue(), reader(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)),
       writer(open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
    EQUAL(Apply(kq, reader, EVFILT_READ, EV_ADD), 0);
    EQUAL(Count(kq), 0);
    writer.Close();
    EQUAL(One(kq).flags, EV_EOF);
    Fd next(open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
    EQUAL(Count(kq), 0);
    Write(next, 1);
    EQUAL(One(kq).flags, 0);
    reader.Close();
    EQUAL(Apply(kq, next, EVFILT_WRITE, EV_ADD), 0);
    EQUAL(One(kq).flags, EV_EOF);
    Fd back(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    EQUAL(One(kq).flags, 0);
  }
  unlink(path.c_str());
  rmdir(folder);
}

TEST("An eventfd tells its counter, and what can be added to it") {
  Fd kq = Kqueue(), counter(eventfd(7, EFD_NONBLOCK | EFD_CLOEXEC));
  EQUAL(Apply(kq, counter, EVFILT_READ, EV_ADD), 0);
  EQUAL(One(kq).data, 7);
  eventfd_t value;
  eventfd_read(counter, &value);
  EQUAL(Count(kq), 0);
  EQUAL(Apply(kq, counter, EVFILT_WRITE, EV_ADD), 0);
  CHECK(static_cast<uint64_t>(One(kq).data) == UINT64_MAX - 1);
  eventfd_write(counter, UINT64_MAX - 1);
  EQUAL(One(kq).filter, EVFILT_READ);
}

TEST("A terminal is read and written, and sets EV_EOF when its master is closed") {
  Fd kq = Kqueue(), master(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  EQUAL(grantpt(master), 0);
  EQUAL(unlockpt(master), 0);
  char name[64];
  EQUAL(ptsname_r(master, name, sizeof name), 0);
  Fd terminal(open(name, O_RDWR | O_NOCTTY | O_CLOEXEC));
  EQUAL(Apply(kq, terminal, EVFILT_READ, EV_ADD), 0);
  EQUAL(Count(kq), 0);
  EQUAL(write(master, "hello\n", 6), 6);
  EQUAL(One(kq).data, 6);
  Read(terminal, 6);
  EQUAL(Apply(kq, terminal, EVFILT_WRITE, EV_ADD | EV_ONESHOT), 0);
  EQUAL(One(kq).filter, EVFILT_WRITE);
  master.Close();
  EQUAL(One(kq).flags, EV_EOF);
}

TEST("A regular file is readable when the file pointer is not at the end of file; EVFILT_WRITE is not supported") {
  char path[] = "/tmp/kqueue-XXXXXX";
  Fd kq = Kqueue(), file(mkostemp(path, O_CLOEXEC));
  unlink(path);
  EQUAL(Apply(kq, file, EVFILT_WRITE, EV_ADD), EINVAL);
  EQUAL(Apply(kq, file, EVFILT_WRITE, EV_DELETE), ENOENT);
  EQUAL(Apply(kq, file, EVFILT_READ, EV_ADD | EV_CLEAR), 0);
  EQUAL(Count(kq), 0);
  Write(file, 10);
  EQUAL(Count(kq), 0);
  EQUAL(lseek(file, 4, SEEK_SET), 4);
  EQUAL(One(kq).data, 6);
  EQUAL(lseek(file, 12, SEEK_SET), 12);
  EQUAL(One(kq).data, -2);
  EQUAL(lseek(file, 10, SEEK_SET), 10);
  EQUAL(Count(kq), 0);
  int number = file;
  file.CloseForeign();
  Fd reused(eventfd(1, 0));
  EQUAL(reused, number);
  EQUAL(Count(kq), 0);
  EQUAL(Apply(kq, reused, EVFILT_READ, EV_ENABLE), ENOENT);
}

TEST("What cannot be polled is ENODEV, and nothing is left behind") {
  Fd kq = Kqueue(), null(open("/dev/null", O_RDWR | O_CLOEXEC));
  for (int filter : {EVFILT_READ, EVFILT_WRITE}) {
    EQUAL(Apply(kq, null, filter, EV_ADD), ENODEV);
    EQUAL(Apply(kq, null, filter, EV_DELETE), ENOENT);
  }
  Pair pair = UnixPair();
  EQUAL(Apply(kq, pair.first, EVFILT_WRITE, EV_ADD), 0);
  EQUAL(Count(kq), 1);
}

// ---- EVFILT_EXCEPT.

#if defined(EVFILT_EXCEPT)
TEST("EVFILT_EXCEPT with NOTE_OOB monitors the arrival of out-of-band data, and EV_EOF") {
  Fd kq = Kqueue();
  Listener listener;
  Pair pair = listener.Connection();
  EQUAL(Apply(kq, pair.second, EVFILT_EXCEPT, EV_ADD, Key(1), NOTE_OOB), 0);
  Write(pair.first, 1);
  EQUAL(Wait(kq, 1, kTick).size(), 0);
  Read(pair.second, 1);
  EQUAL(send(pair.first, "!", 1, MSG_OOB), 1);
  struct kevent event = One(kq);
  EQUAL(event.filter, EVFILT_EXCEPT);
  EQUAL(event.fflags, NOTE_OOB);
  EQUAL(event.flags, 0);
  CHECK(event.udata == Key(1));
  char byte;
  EQUAL(recv(pair.second, &byte, 1, MSG_OOB), 1);
  EQUAL(Count(kq), 0);
  EQUAL(shutdown(pair.first, SHUT_WR), 0);
  event = One(kq);
  EQUAL(event.flags, EV_EOF);
  EQUAL(event.fflags, 0);
}

TEST("EVFILT_EXCEPT is a filter of its own, for sockets alone") {
  Fd kq = Kqueue();
  Pair pipe = Pipe(), pair = UnixPair();
  EQUAL(Apply(kq, pipe.first, EVFILT_EXCEPT, EV_ADD, nullptr, NOTE_OOB), EINVAL);
  EQUAL(Apply(kq, pair.first, EVFILT_EXCEPT, EV_ADD | EV_DISABLE, nullptr, NOTE_OOB), 0);
  EQUAL(Apply(kq, pair.first, EVFILT_READ, EV_ADD), 0);
  EQUAL(Apply(kq, pair.first, EVFILT_EXCEPT, EV_DELETE), 0);
  Write(pair.second, 1);
  EQUAL(One(kq).filter, EVFILT_READ);
}
#endif

// ---- EVFILT_USER.

TEST("A user event is triggered by NOTE_TRIGGER, and stays so without EV_CLEAR") {
  Fd kq = Kqueue();
  EQUAL(Apply(kq, UINTPTR_MAX, EVFILT_USER, EV_ADD, Key(1)), 0);
  EQUAL(Count(kq), 0);
  EQUAL(Apply(kq, UINTPTR_MAX, EVFILT_USER, 0, Key(1), NOTE_TRIGGER, 42), 0);
  for (int i = 0; i < 3; i++) {
    struct kevent event = One(kq);
    CHECK(event.ident == UINTPTR_MAX);
    EQUAL(event.filter, EVFILT_USER);
    EQUAL(event.data, 42);
    EQUAL(event.fflags, 0);
  }
  EQUAL(Apply(kq, UINTPTR_MAX, EVFILT_USER, EV_DELETE), 0);
  EQUAL(Count(kq), 0);
}

TEST("A user event with EV_CLEAR is returned once, however often it was triggered, also when added") {
  Fd kq = Kqueue();
  EQUAL(Apply(kq, 0, EVFILT_USER, EV_ADD | EV_CLEAR, nullptr, NOTE_TRIGGER), 0);
  EQUAL(One(kq).fflags, 0);
  EQUAL(Count(kq), 0);
  for (int i = 0; i < 3; i++) EQUAL(Apply(kq, 0, EVFILT_USER, 0, nullptr, NOTE_TRIGGER), 0);
  EQUAL(Count(kq), 1);
  EQUAL(Count(kq), 0);
  // Other changes do not bring it back.
  EQUAL(Apply(kq, 0, EVFILT_USER, EV_ENABLE), 0);
  EQUAL(Count(kq), 0);
}

#if !defined(KQUEUE_EMULATION_MACOS)
TEST("A change with EV_CLEAR takes a trigger back, its own as well") {
  Fd kq = Kqueue();
  EQUAL(Apply(kq, 0, EVFILT_USER, EV_ADD, nullptr, NOTE_TRIGGER), 0);
  EQUAL(Count(kq), 1);
  EQUAL(Apply(kq, 0, EVFILT_USER, EV_CLEAR), 0);
  EQUAL(Count(kq), 0);
  EQUAL(Apply(kq, 0, EVFILT_USER, EV_CLEAR, nullptr, NOTE_TRIGGER), 0);
  EQUAL(Count(kq), 0);
}
#endif

TEST("The lower 24 bits of fflags are the user's: ignored, and, or, copied") {
  Fd kq = Kqueue();
  EQUAL(Apply(kq, 0, EVFILT_USER, EV_ADD | EV_CLEAR, nullptr, 0xf), 0);
  std::pair<unsigned, unsigned> steps[] = {
      {NOTE_FFNOP | 0x3, 0xf}, {NOTE_FFAND | 0x3, 0x3}, {NOTE_FFOR | 0x30, 0x33}, {NOTE_FFCOPY | 0xffffff, 0xffffff}};
  for (auto [fflags, expected] : steps) {
    EQUAL(Apply(kq, 0, EVFILT_USER, 0, nullptr, fflags | NOTE_TRIGGER), 0);
    EQUAL(One(kq).fflags, expected);
  }
}

TEST("A user event may be disabled, dispatched, one-shot") {
  Fd kq = Kqueue();
  EQUAL(Apply(kq, 0, EVFILT_USER, EV_ADD | EV_DISABLE | EV_CLEAR, nullptr, NOTE_TRIGGER), 0);
  EQUAL(Count(kq), 0);
  EQUAL(Apply(kq, 0, EVFILT_USER, EV_ENABLE), 0);
  EQUAL(Count(kq), 1);
  EQUAL(Apply(kq, 1, EVFILT_USER, EV_ADD | EV_DISPATCH, nullptr, NOTE_TRIGGER), 0);
  EQUAL(Count(kq), 1);
  EQUAL(Count(kq), 0);
  EQUAL(Apply(kq, 1, EVFILT_USER, EV_ENABLE), 0);
  EQUAL(Count(kq), 1);
  EQUAL(Apply(kq, 2, EVFILT_USER, EV_ADD | EV_ONESHOT, nullptr, NOTE_TRIGGER), 0);
  EQUAL(Count(kq), 1);
  EQUAL(Apply(kq, 2, EVFILT_USER, EV_DELETE), ENOENT);
}

TEST("Threads trigger while others wait, and none is lost") {
  Fd kq = Kqueue();
  constexpr int kThreads = 4, kTimes = 500;
  for (int i = 0; i < kThreads; i++) EQUAL(Apply(kq, i, EVFILT_USER, EV_ADD | EV_CLEAR), 0);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; i++) {
    threads.emplace_back([&, i] {
      for (int n = 1; n <= kTimes; n++) Apply(kq, i, EVFILT_USER, 0, nullptr, NOTE_TRIGGER, n);
    });
  }
  std::set<uintptr_t> done;
  while (done.size() < kThreads) {
    std::vector<struct kevent> events = Wait(kq, 2, kSecond);
    CHECK(!events.empty());
    if (events.empty()) break;
    for (const struct kevent& event : events) {
      if (event.data == kTimes) done.insert(event.ident);
    }
  }
  for (std::thread& thread : threads) thread.join();
}

// ---- What tests may ask.

std::vector<std::string> traced;

TEST("Calls are counted and traced, also those that fail") {
  Fd kq = Kqueue();
  unsigned long before = kqueue_emulation_calls();
  kqueue_emulation_trace([](int, const struct kevent* changes, int nchanges, const struct kevent* events, int result) {
    char line[128];
    snprintf(line, sizeof line, "%d changes, first flags %x; result %d, first ident %d", nchanges,
             nchanges > 0 ? changes[0].flags : 0, result, result > 0 ? static_cast<int>(events[0].ident) : -1);
    traced.push_back(line);
    errno = 0;
  });
  struct kevent both = Change(7, EVFILT_USER, EV_ADD | EV_RECEIPT);
  EQUAL(kevent(kq, &both, 1, &both, 1, nullptr), 1);
  EQUAL(Apply(-1, 1, EVFILT_USER, EV_ADD), EBADF);
  kqueue_emulation_trace(nullptr);
  EQUAL(Count(kq), 0);
  EQUAL(kqueue_emulation_calls() - before, 3);
  EQUAL(traced.size(), 2);
  CHECK(traced.at(0) == "1 changes, first flags 41; result 1, first ident 7");
  CHECK(traced.at(1) == "1 changes, first flags 1; result -1, first ident -1");
}

// ---- Many. Not for speed: what is quadratic would take minutes.

TEST("Ten thousand descriptors are added, reported, enabled and deleted in batches") {
  constexpr int kMany = 10'000, kBatch = 512;
  rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  rlimit high = limit;
  high.rlim_cur = std::min<rlim_t>(limit.rlim_max, kMany + 100);
  setrlimit(RLIMIT_NOFILE, &high);
  {
    Fd kq = Kqueue();
    std::vector<Fd> fds;
    std::vector<struct kevent> changes;
    while (fds.size() < kMany) {
      int fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
      if (fd == -1) break;
      fds.emplace_back(fd);
    }
    EQUAL(fds.size(), kMany);
    auto apply = [&](int filter, int flags) {
      std::vector<struct kevent> batch;
      for (size_t i = 0; i < fds.size(); i++) {
        batch.push_back(Change(fds[i], filter, flags | EV_RECEIPT, Key(i)));
        if (batch.size() < kBatch && i + 1 < fds.size()) continue;
        int size = static_cast<int>(batch.size());
        EQUAL(kevent(kq, batch.data(), size, batch.data(), size, nullptr), size);
        for (const struct kevent& receipt : batch) EQUAL(receipt.data, 0);
        batch.clear();
      }
    };
    apply(EVFILT_READ, EV_ADD | EV_DISPATCH);
    apply(EVFILT_WRITE, EV_ADD | EV_DISPATCH);
    for (int turn = 0; turn < 2; turn++) {
      std::set<std::pair<uintptr_t, int>> seen;
      for (;;) {
        std::vector<struct kevent> events = Wait(kq, 1024);
        if (events.empty()) break;
        for (const struct kevent& event : events) seen.insert({event.ident, event.filter});
      }
      EQUAL(seen.size(), 2 * fds.size());
      apply(EVFILT_READ, EV_ENABLE);
      apply(EVFILT_WRITE, EV_ENABLE);
    }
    apply(EVFILT_READ, EV_DELETE);
    apply(EVFILT_WRITE, EV_DELETE);
    EQUAL(Count(kq), 0);
  }
  setrlimit(RLIMIT_NOFILE, &limit);
}

TEST("A storm of 1,024 re-armed events takes one call for each turn") {
  constexpr int kMany = 1024, kTurns = 20;
  Fd kq = Kqueue();
  std::vector<Fd> fds;
  std::vector<struct kevent> changes;
  for (int i = 0; i < kMany; i++) {
    fds.emplace_back(eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC));
    changes.push_back(Change(fds[i], EVFILT_READ, EV_ADD | EV_DISPATCH));
  }
  std::vector<struct kevent> events(kMany);
  unsigned long before = kqueue_emulation_calls();
  for (int turn = 0; turn < kTurns; turn++) {
    EQUAL(kevent(kq, changes.data(), kMany, events.data(), kMany, &kSecond), kMany);
    for (struct kevent& change : changes) change.flags = EV_ENABLE;
  }
  EQUAL(kqueue_emulation_calls() - before, kTurns);
}

TEST("Hundreds of queues watch one descriptor") {
  Pair pair = UnixPair();
  std::vector<Fd> queues;
  for (int i = 0; i < 300; i++) {
    queues.push_back(Kqueue());
    EQUAL(Apply(queues[i], pair.first, EVFILT_READ, EV_ADD | EV_CLEAR), 0);
    EQUAL(Apply(queues[i], pair.first, EVFILT_WRITE, EV_ADD | EV_CLEAR), 0);
    EQUAL(Count(queues[i]), 1);
  }
  Write(pair.second, 1);
  for (Fd& queue : queues) EQUAL(One(queue).filter, EVFILT_READ);
}

}  // namespace

/// Runs all tests, or those whose sentence contains the argument.
int main(int argc, char** argv) {
  int failed = 0, run = 0;
  for (const Test& test : Tests()) {
    if (argc > 1 && strstr(test.sentence, argv[1]) == nullptr) continue;
    failures = 0;
    size_t before = OpenDescriptors();
    test.run();
    EQUAL(OpenDescriptors(), before);
    run++;
    failed += failures > 0;
    printf("%s %s\n", failures > 0 ? "  NOT OK" : "  ok", test.sentence);
    fflush(stdout);
  }
  printf("%d of %d hold\n", run - failed, run);
  return failed > 0 || run == 0;
}
