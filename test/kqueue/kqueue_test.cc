// What the test-only kqueue promises, on real pipes and sockets: the queue, the call, receipts and errors. Each test
// says the sentence of a manual that it holds. Run by `npm run test:kqueue-emulation`, once for every flavour.

#include "emulation.h"
#include "testing.h"

namespace {

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
