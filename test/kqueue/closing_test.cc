// What closing a descriptor does to the kevents that reference it, whoever closes it.

#include "testing.h"

namespace {

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

}  // namespace
