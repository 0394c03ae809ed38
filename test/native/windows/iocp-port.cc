// What the port of host/kernels/iocp_port.h promises and JavaScript cannot reach: changes out of turn, two threads at
// one port, doorbells that outlive it, and requests that are under way when it is closed. Their memory is guarded here.

#define LIO_POLLER_GUARD_REQUESTS

#include <atomic>
#include <thread>
#include <vector>

#include "../../../host/errors_windows.cc"
#include "../../../host/handles_windows.h"
#include "../../../host/kernels/iocp_port.cc"
#include "afd.h"

using namespace lio;
using afd::Expect;
using afd::kAbort;
using afd::kDisconnect;
using afd::kReceive;
using afd::kSend;
using afd::Pair;
using afd::Verdict;

namespace {

constexpr uint32_t kReadable = kReceive | kDisconnect | kAbort | afd::kLocalClose;

/// The one completion that comes within some seconds; of slot 999 if there are none or several.
Completion Next(Port& port, DWORD milliseconds = 5000) {
  Completion completions[16] = {};
  const int count = port.Take(completions, 16, milliseconds);
  return count == 1 ? completions[0] : Completion{999, 0, 0, count};
}

bool Is(const Completion& completion, uint32_t slot, uint32_t generation, uint32_t events) {
  return completion.slot == slot && completion.generation == generation && completion.events == events &&
         completion.error == 0;
}

void ChangesOutOfTurnAreRefused() {
  Pair pair;
  auto port = Port::Open();
  Expect("a slot before the one below it", port->Add(1, 1, pair.one, 0, kReadable) == kEINVAL);
  Expect("a group before the one below it", port->Add(0, 1, pair.one, 1, kReadable) == kEINVAL);
  Expect("arming a slot that is none", port->Arm(5, 1, kReadable) == kEINVAL);
  Expect("cancelling a slot that is none", port->Cancel(5) == kEINVAL);
  Expect("removing a slot that is none", port->Remove(5) == kEINVAL);
  Expect("peeking at a slot that is none", port->Peek(5) == 0);
  Expect("what is not open", port->Add(0, 1, 0x7ffffff0, 0, kReadable) == kEBADF);
  Expect("this process", port->Add(0, 1, static_cast<SOCKET>(-1), 0, kReadable) == kEBADF);
  HANDLE event = CreateEventW(nullptr, FALSE, FALSE, nullptr);
  Expect("an event", port->Add(0, 1, reinterpret_cast<SOCKET>(event), 0, kReadable) == kENOTSOCK);
  CloseHandle(event);
  Expect("arming what watches nothing", port->Arm(0, 1, kReadable) == kENOENT);
  Expect("a socket after all that", port->Add(0, 1, pair.one, 0, kReadable) == 0);
  Expect("arming while a request is under way", port->Arm(0, 1, kReadable) == kEEXIST);
  Port::Close(std::move(port));
}

void ARequestIsOverWhenItIsTaken() {
  Pair pair;
  auto port = Port::Open();
  port->Add(0, 7, pair.one, 0, kReadable);
  Expect("cancelling what is under way", port->Cancel(0) == 0);
  Expect("arming before the completion is taken", port->Arm(0, 7, kReadable) == kEEXIST);
  Expect("the completion of what was cancelled", Is(Next(*port), 0, 7, 0));
  Expect("cancelling nothing", port->Cancel(0) == kENOENT);
  Expect("arming again", port->Arm(0, 8, kReadable | kSend) == 0);
  Expect("peeking at what has come", port->Peek(0) == kSend);
  Expect("cancelling what has come", port->Cancel(0) == kENOENT);
  Expect("peeking takes nothing", Is(Next(*port), 0, 8, kSend));
  closesocket(pair.one);
  Expect("a closed socket, peeked at", port->Peek(0) == afd::kLocalClose);
  Expect("a closed socket, armed", port->Arm(0, 8, kReadable) == kEBADF);
  Port::Close(std::move(port));
}

void ASocketThatIsClosedIsWatchedNoMore() {
  Pair pair;
  auto port = Port::Open();
  port->Add(0, 1, pair.one, 0, kReadable);
  closesocket(pair.one);
  Expect("peeking at a close", (port->Peek(0) & afd::kLocalClose) != 0);
  Expect("a close", Is(Next(*port), 0, 1, afd::kLocalClose));
  Expect("arming after a close", port->Arm(0, 1, kReadable) == kENOENT);
  Port::Close(std::move(port));
}

void WhatCameOfAnEarlierSocketIsNotPeekedAt() {
  Pair first, second;
  auto port = Port::Open();
  port->Add(0, 1, first.one, 0, kReadable);
  closesocket(first.one);
  Expect("adding another after a close", port->Add(0, 2, second.one, 0, 0) == 0);
  Expect("peeking at the other", port->Peek(0) == 0);
  Expect("the close of the first", Is(Next(*port), 0, 1, afd::kLocalClose));
  Port::Close(std::move(port));
}

void WhatIsRefusedLeavesNoGap() {
  Pair pair;
  auto port = Port::Open();
  Expect("what is not open, in the first group", port->Add(0, 1, 0x7ffffff0, 0, kReadable) == kEBADF);
  Expect("a socket in the next one", port->Add(1, 1, pair.one, 1, kReadable) == 0);
  Port::Close(std::move(port));
}

void AddingTakesTheSlotOver() {
  Pair first, second;
  auto port = Port::Open();
  port->Add(0, 1, first.one, 0, kReadable);
  Expect("adding another, unarmed", port->Add(0, 2, second.one, 0, 0) == 0);
  Expect("the end of the first one's request", Is(Next(*port), 0, 1, 0));
  Expect("arming the second", port->Arm(0, 2, kReadable) == 0);
  send(first.two, "x", 1, 0);
  Completion none;
  Expect("the first is not watched", port->Take(&none, 1, 20) == 0);
  send(second.two, "x", 1, 0);
  Expect("the second is", Is(Next(*port), 0, 2, kReceive));
  Port::Close(std::move(port));
}

void ADoorbellRingsOnceUntilItIsTaken() {
  auto port = Port::Open();
  auto other = Port::Open();
  auto doorbell = std::make_shared<Doorbell>();
  doorbell->Ring();
  Expect("attaching", port->Attach(doorbell, 40, 41) == 0);
  Expect("attaching again", other->Attach(doorbell, 40, 41) == kEEXIST);
  for (int i = 0; i < 100; i++) doorbell->Ring();
  Expect("ringing before and after attaching", Is(Next(*port), 40, 41, 0));
  Expect("once", port->Take(std::vector<Completion>(4).data(), 4, 10) == 0);
  doorbell->Ring();
  doorbell->Detach();
  Completion none;
  Expect("a detached one is not told", port->Take(&none, 1, 10) == 0);
  Port::Close(std::move(port));
  Port::Close(std::move(other));
  doorbell->Ring();
}

void ThreadsRingWhileThePortIsClosed() {
  for (int round = 0; round < 50; round++) {
    auto port = Port::Open();
    auto doorbell = std::make_shared<Doorbell>();
    port->Attach(doorbell, 1, 1);
    std::thread ringing([&] {
      for (int i = 0; i < 200; i++) doorbell->Ring();
    });
    Completion completion;
    port->Take(&completion, 1, 1);
    Port::Close(std::move(port));
    ringing.join();
  }
}

void AnotherThreadCollects() {
  std::vector<Pair> pairs(50);
  auto port = Port::Open();
  for (uint32_t i = 0; i < 50; i++) port->Add(i, i + 1, pairs[i].one, i / 32, kReadable);
  Expect("one thread may wait", port->BeginAwaiting() && !port->BeginAwaiting());
  bool ends = false;
  std::mutex mutex;
  std::thread collecting([&] {
    while (true) {
      port->Await(INFINITE);
      std::lock_guard<std::mutex> lock(mutex);
      if (ends) return;
    }
  });
  std::vector<bool> came(50);
  uint32_t count = 0;
  for (Pair& pair : pairs) send(pair.two, "x", 1, 0);
  while (count < 50) {
    Completion completions[7];
    const int taken = port->Take(completions, 7, 0);
    for (int i = 0; i < taken; i++) {
      const Completion& completion = completions[i];
      Expect("each once", completion.generation == completion.slot + 1 && !came[completion.slot]);
      came[completion.slot] = true;
      count++;
    }
  }
  {
    std::lock_guard<std::mutex> lock(mutex);
    ends = true;
  }
  port->Interrupt();
  collecting.join();
  port->EndAwaiting();
  Port::Close(std::move(port));
}

/// A thread in `Await`, which can be kept from taking what comes.
class Awaiting {
 public:
  explicit Awaiting(Port& port) : port_(port) {
    port.BeginAwaiting();
    thread_ = std::thread([this] {
      id_ = GetCurrentThreadId();
      port_.Await(INFINITE);
      is_over_ = true;
    });
    while (id_ == 0) Sleep(1);
    // It blocks by now. If not, what follows is easier for it.
    Sleep(100);
    handle_ = OpenThread(THREAD_SUSPEND_RESUME, FALSE, id_);
  }

  ~Awaiting() {
    port_.Interrupt();
    thread_.join();
    port_.EndAwaiting();
    CloseHandle(handle_);
  }

  void Suspend() { SuspendThread(handle_); }
  void Resume() { ResumeThread(handle_); }

  /// Whether it ends within some seconds.
  bool Ends() {
    const ULONGLONG deadline = GetTickCount64() + 5000;
    while (!is_over_ && GetTickCount64() < deadline) Sleep(1);
    return is_over_;
  }

 private:
  Port& port_;
  std::thread thread_;
  std::atomic<DWORD> id_{0};
  std::atomic<bool> is_over_{false};
  HANDLE handle_ = nullptr;
};

void WhatAnotherThreadDequeuesEndsAwait() {
  Pair pair;
  auto port = Port::Open();
  port->Add(0, 1, pair.one, 0, kReadable);
  {
    Awaiting awaiting(*port);
    awaiting.Suspend();
    send(pair.two, "x", 1, 0);
    while (port->Peek(0) == 0) Sleep(1);
    awaiting.Resume();
    Expect("dequeued by a look at it", awaiting.Ends());
  }
  Expect("which has taken nothing", Is(Next(*port), 0, 1, kReceive));
  Port::Close(std::move(port));
}

void WhatIsLeftBehindEndsAwait() {
  Pair one, other;
  auto port = Port::Open();
  port->Add(0, 1, one.one, 0, kReadable);
  port->Add(1, 1, other.one, 0, kReadable);
  send(one.two, "x", 1, 0);
  send(other.two, "x", 1, 0);
  while (port->Peek(0) == 0 || port->Peek(1) == 0) Sleep(1);
  Completion completion;
  {
    port->BeginAwaiting();
    // It blocks for nothing, or this hangs.
    port->Await(INFINITE);
    port->EndAwaiting();
  }
  Expect("one of two", port->Take(&completion, 1, 0) == 1);
  port->BeginAwaiting();
  port->Await(INFINITE);
  port->EndAwaiting();
  Expect("the other", port->Take(&completion, 1, 0) == 1);
  Port::Close(std::move(port));
}

void AnInterruptIsForTheThreadThatAwaits() {
  auto port = Port::Open();
  {
    Awaiting awaiting(*port);
    awaiting.Suspend();
    port->Interrupt();
    Completion none;
    for (int i = 0; i < 10; i++) Expect("nothing to take", port->Take(&none, 1, 0) == 0);
    awaiting.Resume();
    Expect("interrupted, whoever has dequeued that", awaiting.Ends());
  }
  port->BeginAwaiting();
  port->Interrupt();
  Completion none;
  for (int i = 0; i < 10; i++) port->Take(&none, 1, 0);
  // Before it is called: it does not block, or this hangs.
  port->Await(INFINITE);
  port->EndAwaiting();
  Port::Close(std::move(port));
}

void PortsAreClosedWithRequestsUnderWay() {
  std::vector<Pair> pairs(100);
  const auto use = [&](int round) {
    auto port = Port::Open();
    for (uint32_t i = 0; i < 100; i++)
      port->Add(i, 1, pairs[i].one, i / 32, i % 7 == 0 ? kReadable | kSend : kReadable);
    if (round % 2) port->Peek(0);
    for (uint32_t i = 0; i < 100; i += 3) port->Remove(i);
    Port::Close(std::move(port));
  };
  use(0);
  const int64_t before = HandlesOfProcess();
  Expect("handles are counted", before > 0);
  for (int round = 0; round < 100; round++) use(round);
  Expect("no handle is left", HandlesOfProcess() == before);
  Expect("no request is left", Port::Abandoned() == 0);
}

// The thread that made the requests is gone when the port is closed.
void RequestsOutliveTheirThread() {
  Pair pair, other;
  std::shared_ptr<Port> port;
  std::thread([&] {
    port = Port::Open();
    port->Add(0, 1, pair.one, 0, kReadable);
    port->Add(1, 1, other.one, 0, kReadable);
  }).join();
  Sleep(20);
  Port::Close(std::move(port));
  const ULONGLONG deadline = GetTickCount64() + 5000;
  while (Port::Abandoned() > 0 && GetTickCount64() < deadline) Port::Close(nullptr);
  Expect("the requests of a thread that ended come back", Port::Abandoned() == 0);
}

}  // namespace

int main() {
  afd::Start();
  ChangesOutOfTurnAreRefused();
  ARequestIsOverWhenItIsTaken();
  ASocketThatIsClosedIsWatchedNoMore();
  WhatCameOfAnEarlierSocketIsNotPeekedAt();
  WhatIsRefusedLeavesNoGap();
  AddingTakesTheSlotOver();
  ADoorbellRingsOnceUntilItIsTaken();
  ThreadsRingWhileThePortIsClosed();
  AnotherThreadCollects();
  WhatAnotherThreadDequeuesEndsAwait();
  WhatIsLeftBehindEndsAwait();
  AnInterruptIsForTheThreadThatAwaits();
  PortsAreClosedWithRequestsUnderWay();
  RequestsOutliveTheirThread();
  return Verdict();
}
