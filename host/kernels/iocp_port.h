// One completion port with AFD's requests for sockets: what iocp.cc does for a component, without JavaScript.
//
// AFD, the driver under Winsock, answers IOCTL_AFD_POLL, which Microsoft does not document. libuv, mio, wepoll and
// smol's polling rely on it as this file does: https://github.com/piscisaureus/wepoll, https://github.com/libuv/libuv.

#pragma once

#include <windows.h>
#include <winsock2.h>
#include <winternl.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace lio {

/// How a request ended, or that a notifier was notified.
struct Completion {
  uint32_t slot;
  uint32_t generation;
  uint32_t events;
  /// An error number, or 0.
  int error;
};

class Port;

/// A way to wake a port, from any thread. The port that it is attached to may be closed before it.
class Doorbell {
 public:
  Doorbell() = default;
  Doorbell(const Doorbell&) = delete;
  Doorbell& operator=(const Doorbell&) = delete;

  /// Has the port complete with the token, once until that is taken. Never blocks: it posts a packet at most.
  void Ring();

  /// Rings no port any more. What was rung before is not told.
  void Detach();

 private:
  friend class Port;

  void Post();

  std::mutex mutex_;
  HANDLE port_ = nullptr;
  bool is_rung_ = false;
  uint32_t slot_ = 0;
  uint32_t generation_ = 0;
};

/// Requests are made and taken by one thread; another may `Await` completions for it.
///
/// What the kernel writes to is given back only when it has said that it is done, by the request's completion. So a
/// port that is closed lives on until the last of its requests has come back, if need be until the process ends.
class Port {
 public:
  /// Null if there can be none: GetLastError tells why.
  static std::shared_ptr<Port> Open();

  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;
  ~Port();

  // The changes of wit/iocp.wit. 0, or an error number.

  int Add(uint32_t slot, uint32_t generation, SOCKET socket, uint32_t group, uint32_t events);
  int Arm(uint32_t slot, uint32_t generation, uint32_t events);
  int Cancel(uint32_t slot);
  int Remove(uint32_t slot);

  /// Takes at most so many completions, after waiting for so many milliseconds at most if there are none. How many, or
  /// a negative error number.
  int Take(Completion* completions, uint32_t capacity, DWORD milliseconds);

  /// The events of a slot's completion that has come and was not taken; LOCAL_CLOSE if it has no request and its socket
  /// is closed or another; else 0.
  uint32_t Peek(uint32_t slot);

  /// Lets one other thread call `Await` until `EndAwaiting`; false if there is one already. `Take` must not block
  /// meanwhile: what it waits for may go to that thread.
  bool BeginAwaiting();
  void EndAwaiting();

  /// Blocks until there is something to take, which it leaves to `Take`, but for so many milliseconds at most. Returns
  /// whether there is something. May return early.
  bool Await(DWORD milliseconds);

  /// Ends `Await`, the one that blocks or the next. Any thread.
  void Interrupt();

  /// 0, or an error number if it is attached already.
  int Attach(std::shared_ptr<Doorbell> doorbell, uint32_t slot, uint32_t generation);

  /// Cancels all requests and closes the port when they have come back. Those that take too long are seen to when ports
  /// are opened and closed later. Nothing else may be called then.
  static void Close(std::shared_ptr<Port> port);

  /// How many requests of ports that were closed have not come back.
  static uint32_t Abandoned();

 private:
  struct Request;
  struct Slot;
  /// A completion, and what becomes free when it is taken.
  struct Item {
    Completion completion;
    Slot* slot;
    Doorbell* doorbell;
  };

  explicit Port(HANDLE port);

  int ArmSlot(Slot& slot, uint32_t index, uint32_t generation, uint32_t events);
  int CancelRequest(Slot& slot);
  /// Null if it cannot be opened; then `error` tells why.
  HANDLE Group(uint32_t group, int* error);
  /// Puts what the kernel has, at most so much, where `Take` finds it, after waiting if there is nothing. 0, or an
  /// error number; `was_interrupted` tells of a packet that is for `Await`.
  int Collect(uint32_t most, DWORD milliseconds, bool& was_interrupted);
  /// The same, for whoever is not the thread in `Await`.
  int Collect(uint32_t most, DWORD milliseconds);
  /// Wakes the thread in `Await` if there is something to take that it knows nothing of.
  void TellAwaiting();
  void Complete(Request* request);
  void Notified(Doorbell* doorbell);
  void Push(const Item& item);
  void MakeRoom(size_t items);
  /// Whether all requests have come back, after waiting for so long at most.
  bool Drain(ULONGLONG milliseconds);
  void CancelAll();

  const HANDLE port_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::vector<HANDLE> groups_;
  std::vector<std::shared_ptr<Doorbell>> doorbells_;
  /// A ring with room for one completion of each slot and each doorbell, so that waiting takes no memory.
  std::vector<Item> items_;
  size_t first_ = 0;
  size_t count_ = 0;
  /// Requests whose completion has not been collected.
  uint32_t in_flight_ = 0;
  /// Another thread may call `Await`.
  bool may_await_ = false;
  /// It blocks there.
  bool is_awaiting_ = false;
  bool is_interrupted_ = false;
};

}  // namespace lio
