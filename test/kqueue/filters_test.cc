// What the filters of the test-only kqueue say of sockets, pipes, terminals, files and users' events.

#include "testing.h"

namespace {

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

TEST("A pipe whose reader disconnects sets EV_EOF with no room, and takes EVFILT_WRITE along") {
  Fd kq = Kqueue();
  Pair pipe = Pipe();
  Fill(pipe.second);
  EQUAL(Apply(kq, pipe.second, EVFILT_WRITE, EV_ADD), 0);
  pipe.first.Close();
  struct kevent event = One(kq);
  EQUAL(event.flags & EV_EOF, EV_EOF);
  EQUAL(event.data, 0);
#if defined(KQUEUE_EMULATION_MACOS)
  EQUAL(event.flags, EV_EOF);
  EQUAL(One(kq).flags, EV_EOF);
  EQUAL(Apply(kq, pipe.second, EVFILT_WRITE, EV_DELETE), 0);
  // Nor is it refused: "it will break libdispatch" in pipe_kqfilter.
  EQUAL(Apply(kq, pipe.second, EVFILT_WRITE, EV_ADD), 0);
  EQUAL(One(kq).flags, EV_EOF);
#else
  // Its last event.
  EQUAL(event.flags, EV_EOF | EV_ONESHOT);
  EQUAL(Count(kq), 0);
  EQUAL(Apply(kq, pipe.second, EVFILT_WRITE, EV_DELETE), ENOENT);
  EQUAL(Apply(kq, pipe.second, EVFILT_WRITE, EV_ADD), EPIPE);
  EQUAL(Apply(kq, pipe.second, EVFILT_WRITE, EV_DELETE), ENOENT);
  // The refused one has left nothing behind, and disturbs no other filter.
#endif
  EQUAL(Apply(kq, pipe.second, EVFILT_READ, EV_ADD), 0);
  CHECK(Count(kq) > 0);
}

TEST("A filter for the direction that a pipe's end lacks waits for the end alone") {
  Fd kq = Kqueue();
  Pair pipe = Pipe(), other = Pipe();
  EQUAL(Apply(kq, pipe.second, EVFILT_READ, EV_ADD | EV_CLEAR), 0);
  EQUAL(Apply(kq, other.first, EVFILT_WRITE, EV_ADD | EV_CLEAR), 0);
  Write(pipe.second, 1);
  Write(other.second, 1);
  EQUAL(Count(kq), 0);
  pipe.first.Close();
  struct kevent event = One(kq);
  EQUAL(event.flags, EV_EOF | EV_CLEAR);
  EQUAL(event.data, 0);
  other.second.Close();
  EQUAL(One(kq).flags & EV_EOF, EV_EOF);
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

}  // namespace
