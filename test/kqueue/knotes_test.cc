// Single kevents of the test-only kqueue: how they are added and changed, when and in which order they are returned.

#include "testing.h"

namespace {

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
  CHECK(!Readable(kq));
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

TEST("What another queue may write makes no queue readable that has no filter for writing any more") {
  Fd kq = Kqueue(), other = Kqueue();
  Pair a = UnixPair(), b = UnixPair();
  Fill(b.first);
  EQUAL(Apply(kq, a.first, EVFILT_WRITE, EV_ADD), 0);
  EQUAL(Apply(kq, a.first, EVFILT_WRITE, EV_DELETE), 0);
  EQUAL(Apply(other, b.first, EVFILT_WRITE, EV_ADD), 0);
  Drain(b.second);
  CHECK(!Readable(kq));
  EQUAL(Count(other), 1);
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

}  // namespace
