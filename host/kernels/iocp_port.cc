// See iocp_port.h. Relies on ntdll's NtCreateFile, NtDeviceIoControlFile and NtCancelIoFileEx, the last of which no
// header declares, and on what AFD_POLL_INFO looks like, which no header declares either.

#if defined(_WIN32)

#include "iocp_port.h"

#include <mswsock.h>
#include <ws2tcpip.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "../errors_windows.h"
#include "request_memory.h"

extern "C" NTSTATUS NTAPI NtCancelIoFileEx(HANDLE file, PIO_STATUS_BLOCK request, PIO_STATUS_BLOCK status);

namespace lio {

/// The exclusive flag would end the polls of others.
struct AfdPollInfo {
  LARGE_INTEGER timeout;
  ULONG number_of_handles;
  ULONG exclusive;
  HANDLE handle;
  ULONG events;
  NTSTATUS status;
};
static_assert(sizeof(AfdPollInfo) == 32, "AFD's layout, whatever a handle's size");

/// What is known of a socket's names, which change once at most, from not known to known: when it is bound or
/// connected.
struct Names {
  bool is_open = false;
  ADDRESS_FAMILY family = 0;
  uint16_t local_port = 0;
  uint16_t peer_port = 0;
  uint8_t peer[16] = {};
};

namespace {

constexpr ULONG kIoctlAfdPoll = 0x00012024;
constexpr uint32_t kLocalClose = 0x20;
constexpr uint32_t kKnownEvents = 0x1bf;

constexpr NTSTATUS kStatusPending = 0x00000103;
constexpr NTSTATUS kStatusCancelled = static_cast<NTSTATUS>(0xC0000120);

constexpr uint32_t kMostAtOnce = 1024;
/// How long closing a port waits for its requests, in milliseconds. They come at once, but for a kernel that is busy.
constexpr ULONGLONG kPatience = 200;

int NumberOf(NTSTATUS status) {
  return ErrorNumberOf(static_cast<uint32_t>(status));
}

/// An error in the kernel's sense: the request was not accepted, and no completion comes.
bool IsError(NTSTATUS status) {
  return static_cast<uint32_t>(status) >> 30 == 3;
}

bool AskFor(SOCKET socket, DWORD code, SOCKET* answer) {
  DWORD bytes = 0;
  return WSAIoctl(socket, code, nullptr, 0, answer, sizeof *answer, &bytes, nullptr, nullptr) == 0;
}

/// The socket that AFD knows: below what other providers may have put around it. Some of those refuse the first
/// question, and answer one of the others.
SOCKET BaseSocket(SOCKET socket) {
  SOCKET base = INVALID_SOCKET;
  if (AskFor(socket, SIO_BASE_HANDLE, &base)) return base;
  const int error = WSAGetLastError();
  for (DWORD code : {SIO_BSP_HANDLE_SELECT, SIO_BSP_HANDLE_POLL, SIO_BSP_HANDLE}) {
    SOCKET provider = INVALID_SOCKET;
    if (!AskFor(socket, code, &provider) || provider == socket) continue;
    if (AskFor(provider, SIO_BASE_HANDLE, &base)) return base;
  }
  WSASetLastError(error);
  return INVALID_SOCKET;
}

/// The error number of why something is no socket that can be polled; 0 if it is one.
int Refusal(SOCKET socket) {
  // Handles that are open although their numbers say that they are none: this process, this thread.
  if (socket == 0 || static_cast<intptr_t>(socket) < 0) return kEBADF;
  int type = 0;
  int length = sizeof type;
  // Wine answers questions about providers for whatever is open, but not this one.
  if (getsockopt(socket, SOL_SOCKET, SO_TYPE, reinterpret_cast<char*>(&type), &length) == 0) return 0;
  if (WSAGetLastError() != WSAENOTSOCK) return ErrorNumberOf(static_cast<uint32_t>(WSAGetLastError()));
  DWORD flags = 0;
  return GetHandleInformation(reinterpret_cast<HANDLE>(socket), &flags) ? kENOTSOCK : kEBADF;
}

uint16_t PortOf(const sockaddr_storage& address) {
  // IPv4's and IPv6's addresses have it in the same place; others have none.
  const bool has_one = address.ss_family == AF_INET || address.ss_family == AF_INET6;
  return has_one ? reinterpret_cast<const sockaddr_in&>(address).sin_port : 0;
}

Names NamesOf(SOCKET socket) {
  Names names;
  sockaddr_storage local = {};
  sockaddr_storage peer = {};
  int length = sizeof local;
  // One that is not bound has none to tell.
  const bool has_name = getsockname(socket, reinterpret_cast<sockaddr*>(&local), &length) == 0;
  names.is_open = has_name || WSAGetLastError() != WSAENOTSOCK;
  names.family = local.ss_family;
  names.local_port = PortOf(local);
  length = sizeof peer;
  if (getpeername(socket, reinterpret_cast<sockaddr*>(&peer), &length) != 0) return names;
  names.peer_port = PortOf(peer);
  if (peer.ss_family == AF_INET) memcpy(names.peer, &reinterpret_cast<sockaddr_in&>(peer).sin_addr, 4);
  if (peer.ss_family == AF_INET6) memcpy(names.peer, &reinterpret_cast<sockaddr_in6&>(peer).sin6_addr, 16);
  return names;
}

/// Whether a number that had the first names and has the second is not the same socket any more.
bool IsAnother(const Names& before, const Names& now) {
  if (!now.is_open) return true;
  if (before.local_port == 0) return false;
  if (now.family != before.family || now.local_port != before.local_port) return true;
  // A connection that has ended may have lost its peer's.
  if (before.peer_port == 0 || now.peer_port == 0) return false;
  return now.peer_port != before.peer_port || memcmp(now.peer, before.peer, sizeof now.peer) != 0;
}

/// A handle of AFD whose requests complete at the port.
NTSTATUS OpenAfd(HANDLE port, HANDLE* afd) {
  static wchar_t name[] = L"\\Device\\Afd\\LioPoller";
  UNICODE_STRING path = {sizeof name - sizeof *name, sizeof name - sizeof *name, name};
  OBJECT_ATTRIBUTES attributes = {};
  attributes.Length = sizeof attributes;
  attributes.ObjectName = &path;
  IO_STATUS_BLOCK status = {};
  HANDLE file = nullptr;
  NTSTATUS result = NtCreateFile(&file, SYNCHRONIZE, &attributes, &status, nullptr, 0,
                                 FILE_SHARE_READ | FILE_SHARE_WRITE, FILE_OPEN, 0, nullptr, 0);
  if (result < 0) return result;
  if (CreateIoCompletionPort(file, port, 0, 0) == nullptr ||
      !SetFileCompletionNotificationModes(file, FILE_SKIP_SET_EVENT_ON_HANDLE)) {
    CloseHandle(file);
    // The only reason that there can be.
    return static_cast<NTSTATUS>(0xC000009A);
  }
  *afd = file;
  return 0;
}

/// Ports that were closed while requests of theirs had not come back. Never destroyed: the kernel may write to their
/// requests for as long as the process lives.
struct Graveyard {
  std::mutex mutex;
  std::vector<std::shared_ptr<Port>> ports;
};

Graveyard& Abandonment() {
  static Graveyard* graveyard = new Graveyard;
  return *graveyard;
}

}  // namespace

// Doorbell ------------------------------------------------------------------------------------------------------------

void Doorbell::Ring() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (is_rung_) return;
  is_rung_ = true;
  Post();
}

void Doorbell::Detach() {
  std::lock_guard<std::mutex> lock(mutex_);
  port_ = nullptr;
}

void Doorbell::Post() {
  // Not attached yet: `Port::Attach` sees that it was rung.
  if (port_ == nullptr) return;
  if (!PostQueuedCompletionStatus(port_, 0, reinterpret_cast<ULONG_PTR>(this), nullptr)) is_rung_ = false;
}

// Port ----------------------------------------------------------------------------------------------------------------

/// What the kernel writes to.
struct Port::Request {
  IO_STATUS_BLOCK status;
  AfdPollInfo info;
  HANDLE afd;
  uint32_t slot;
  uint32_t generation;
};

struct Port::Slot {
  enum State { kIdle, kPending, kQueued };

  /// AFD's; INVALID_SOCKET if nothing is watched.
  SOCKET socket = INVALID_SOCKET;
  HANDLE afd = nullptr;
  /// As it was given, when its names were these.
  SOCKET given = INVALID_SOCKET;
  Names names;
  /// Of what is watched.
  uint32_t generation = 0;
  State state = kIdle;
  RequestMemory<Request> request;
};

std::shared_ptr<Port> Port::Open() {
  Close(nullptr);
  HANDLE port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, nullptr, 0, 0);
  return port == nullptr ? nullptr : std::shared_ptr<Port>(new Port(port));
}

Port::Port(HANDLE port) : port_(port) {}

Port::~Port() {
#if defined(LIO_POLLER_GUARD_REQUESTS)
  // The kernel would write to what is freed here.
  if (in_flight_ != 0) std::abort();
#endif
  for (HANDLE group : groups_) CloseHandle(group);
  CloseHandle(port_);
}

int Port::Add(uint32_t index, uint32_t generation, SOCKET socket, uint32_t group, uint32_t events) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (index > slots_.size() || group > groups_.size()) return kEINVAL;
  if (index == slots_.size()) {
    std::unique_ptr<Slot> slot(new (std::nothrow) Slot);
    if (slot == nullptr || !slot->request.Allocate()) return kENOMEM;
    slots_.push_back(std::move(slot));
    MakeRoom(slots_.size() + doorbells_.size());
  }
  Slot& slot = *slots_[index];
  // Before anything is refused, so that those behind it find no gap.
  int error = 0;
  HANDLE afd = Group(group, &error);
  if (afd == nullptr) return error;
  if (int refusal = Refusal(socket)) return refusal;
  const SOCKET base = BaseSocket(socket);
  if (base == INVALID_SOCKET) return ErrorNumberOf(static_cast<uint32_t>(WSAGetLastError()));
  // What it asked of another socket, and could not be told any more.
  CancelRequest(slot);
  const SOCKET socket_before = std::exchange(slot.socket, base);
  const HANDLE afd_before = std::exchange(slot.afd, afd);
  if (events != 0) error = ArmSlot(slot, index, generation, events);
  if (error != 0) {
    slot.socket = socket_before;
    slot.afd = afd_before;
    return error;
  }
  slot.generation = generation;
  slot.given = socket;
  slot.names = NamesOf(socket);
  return 0;
}

int Port::Arm(uint32_t index, uint32_t generation, uint32_t events) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (index >= slots_.size()) return kEINVAL;
  Slot& slot = *slots_[index];
  if (slot.socket == INVALID_SOCKET) return kENOENT;
  // While it had no request, nothing told that it was closed, and its number is perhaps another's.
  const Names now = NamesOf(slot.given);
  if (IsAnother(slot.names, now)) return now.is_open ? kENOENT : kEBADF;
  if (int error = ArmSlot(slot, index, generation, events)) return error;
  slot.generation = generation;
  return 0;
}

int Port::ArmSlot(Slot& slot, uint32_t index, uint32_t generation, uint32_t events) {
  if (slot.state != Slot::kIdle) return kEEXIST;
  Request& request = *slot.request;
  request = {};
  request.status.Status = kStatusPending;
  request.info.timeout.QuadPart = INT64_MAX;
  request.info.number_of_handles = 1;
  request.info.handle = reinterpret_cast<HANDLE>(slot.socket);
  request.info.events = events & kKnownEvents;
  request.afd = slot.afd;
  request.slot = index;
  request.generation = generation;
  NTSTATUS status = NtDeviceIoControlFile(slot.afd, nullptr, nullptr, &request, &request.status, kIoctlAfdPoll,
                                          &request.info, sizeof request.info, &request.info, sizeof request.info);
  if (IsError(status)) return NumberOf(status);
  // Whether it is done or pending, its completion comes to the port.
  slot.state = Slot::kPending;
  in_flight_++;
  return 0;
}

int Port::Cancel(uint32_t index) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (index >= slots_.size()) return kEINVAL;
  return CancelRequest(*slots_[index]);
}

int Port::CancelRequest(Slot& slot) {
  if (slot.state != Slot::kPending) return kENOENT;
  IO_STATUS_BLOCK status = {};
  NTSTATUS result = NtCancelIoFileEx(slot.request->afd, &slot.request->status, &status);
  // Any error says that there is nothing to cancel: the completion has come to the port, or comes now.
  return result < 0 ? kENOENT : 0;
}

int Port::Remove(uint32_t index) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (index >= slots_.size()) return kEINVAL;
  slots_[index]->socket = INVALID_SOCKET;
  CancelRequest(*slots_[index]);
  return 0;
}

HANDLE Port::Group(uint32_t group, int* error) {
  if (group < groups_.size()) return groups_[group];
  HANDLE afd = nullptr;
  NTSTATUS status = OpenAfd(port_, &afd);
  if (status < 0) {
    *error = NumberOf(status);
    return nullptr;
  }
  groups_.push_back(afd);
  return afd;
}

int Port::Attach(std::shared_ptr<Doorbell> doorbell, uint32_t slot, uint32_t generation) {
  std::lock_guard<std::mutex> lock(mutex_);
  std::lock_guard<std::mutex> lock_doorbell(doorbell->mutex_);
  if (doorbell->port_ != nullptr) return kEEXIST;
  // Of one that is rung, a packet or a completion may be there still.
  auto is_over = [](const std::shared_ptr<Doorbell>& other) {
    std::lock_guard<std::mutex> lock_other(other->mutex_);
    return other->port_ == nullptr && !other->is_rung_;
  };
  doorbells_.erase(std::remove_if(doorbells_.begin(), doorbells_.end(), is_over), doorbells_.end());
  MakeRoom(slots_.size() + doorbells_.size() + 1);
  doorbell->port_ = port_;
  doorbell->slot_ = slot;
  doorbell->generation_ = generation;
  if (doorbell->is_rung_) doorbell->Post();
  doorbells_.push_back(std::move(doorbell));
  return 0;
}

int Port::Take(Completion* completions, uint32_t capacity, DWORD milliseconds) {
  size_t waiting;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    waiting = count_;
  }
  if (waiting < capacity) {
    const uint32_t room = capacity - static_cast<uint32_t>(waiting);
    if (int error = Collect(room, waiting == 0 ? milliseconds : 0)) return -error;
  }
  std::lock_guard<std::mutex> lock(mutex_);
  uint32_t count = static_cast<uint32_t>(std::min<size_t>(capacity, count_));
  for (uint32_t i = 0; i < count; i++) {
    Item& item = items_[first_];
    completions[i] = item.completion;
    if (item.slot != nullptr) item.slot->state = Slot::kIdle;
    if (item.doorbell != nullptr) {
      std::lock_guard<std::mutex> lock_doorbell(item.doorbell->mutex_);
      item.doorbell->is_rung_ = false;
    }
    first_ = (first_ + 1) % items_.size();
  }
  count_ -= count;
  TellAwaiting();
  return static_cast<int>(count);
}

uint32_t Port::Peek(uint32_t index) {
  Collect(kMostAtOnce, 0);
  std::lock_guard<std::mutex> lock(mutex_);
  TellAwaiting();
  if (index >= slots_.size()) return 0;
  const Slot& slot = *slots_[index];
  uint32_t events = IsAnother(slot.names, NamesOf(slot.given)) ? kLocalClose : 0;
  for (size_t i = 0; i < count_; i++) {
    const Item& item = items_[(first_ + i) % items_.size()];
    // One of an earlier request is about another socket, perhaps.
    if (item.slot == &slot && item.completion.generation == slot.generation) events |= item.completion.events;
  }
  return events;
}

bool Port::BeginAwaiting() {
  std::lock_guard<std::mutex> lock(mutex_);
  is_interrupted_ = false;
  return !std::exchange(may_await_, true);
}

void Port::EndAwaiting() {
  std::lock_guard<std::mutex> lock(mutex_);
  may_await_ = false;
}

bool Port::Await(DWORD milliseconds) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    const bool was_interrupted = std::exchange(is_interrupted_, false);
    if (count_ > 0 || was_interrupted) return count_ > 0;
    is_awaiting_ = true;
  }
  bool was_interrupted = false;
  Collect(kMostAtOnce, milliseconds, was_interrupted);
  std::lock_guard<std::mutex> lock(mutex_);
  is_awaiting_ = false;
  is_interrupted_ = false;
  return count_ > 0;
}

void Port::Interrupt() {
  std::lock_guard<std::mutex> lock(mutex_);
  is_interrupted_ = true;
  PostQueuedCompletionStatus(port_, 0, 0, nullptr);
}

void Port::TellAwaiting() {
  if (is_awaiting_ && count_ > 0) PostQueuedCompletionStatus(port_, 0, 0, nullptr);
}

int Port::Collect(uint32_t most, DWORD milliseconds) {
  bool was_interrupted = false;
  const int error = Collect(most, milliseconds, was_interrupted);
  std::lock_guard<std::mutex> lock(mutex_);
  // The packet was not meant for this thread.
  if (was_interrupted && is_awaiting_) PostQueuedCompletionStatus(port_, 0, 0, nullptr);
  return error;
}

int Port::Collect(uint32_t most, DWORD milliseconds, bool& was_interrupted) {
  OVERLAPPED_ENTRY entries[kMostAtOnce];
  ULONG count = 0;
  if (!GetQueuedCompletionStatusEx(port_, entries, std::min(most, kMostAtOnce), &count, milliseconds, FALSE)) {
    return GetLastError() == WAIT_TIMEOUT ? 0 : ErrorNumberOf(GetLastError());
  }
  std::lock_guard<std::mutex> lock(mutex_);
  for (ULONG i = 0; i < count; i++) {
    auto* request = reinterpret_cast<Request*>(entries[i].lpOverlapped);
    auto* doorbell = reinterpret_cast<Doorbell*>(entries[i].lpCompletionKey);
    if (request != nullptr)
      Complete(request);
    else if (doorbell != nullptr)
      Notified(doorbell);
    else
      was_interrupted = true;
  }
  return 0;
}

void Port::Complete(Request* request) {
  in_flight_--;
  Slot& slot = *slots_[request->slot];
  slot.state = Slot::kQueued;
  Completion completion = {request->slot, request->generation, 0, 0};
  const NTSTATUS status = request->status.Status;
  if (status < 0) {
    if (status != kStatusCancelled) completion.error = NumberOf(status);
  } else if (request->info.number_of_handles > 0) {
    completion.events = request->info.events & kKnownEvents;
    if (request->info.status < 0) completion.error = NumberOf(request->info.status);
  }
  // What the slot watches by now may be another socket, even of the same number.
  if (completion.events & kLocalClose && request->generation == slot.generation) slot.socket = INVALID_SOCKET;
  Push({completion, &slot, nullptr});
}

void Port::Notified(Doorbell* doorbell) {
  // One that was closed meanwhile is not among them.
  for (const std::shared_ptr<Doorbell>& attached : doorbells_) {
    if (attached.get() != doorbell) continue;
    std::lock_guard<std::mutex> lock(doorbell->mutex_);
    if (doorbell->port_ != nullptr)
      Push({{doorbell->slot_, doorbell->generation_, 0, 0}, nullptr, doorbell});
    else
      doorbell->is_rung_ = false;
    return;
  }
}

void Port::Push(const Item& item) {
  items_[(first_ + count_++) % items_.size()] = item;
}

void Port::MakeRoom(size_t items) {
  if (items <= items_.size()) return;
  std::vector<Item> larger(std::max<size_t>(32, items * 2));
  for (size_t i = 0; i < count_; i++) larger[i] = items_[(first_ + i) % items_.size()];
  items_.swap(larger);
  first_ = 0;
}

void Port::CancelAll() {
  std::lock_guard<std::mutex> lock(mutex_);
  for (const std::unique_ptr<Slot>& slot : slots_) CancelRequest(*slot);
  // From now on nobody rings.
  for (const std::shared_ptr<Doorbell>& doorbell : doorbells_) doorbell->Detach();
}

bool Port::Drain(ULONGLONG milliseconds) {
  const ULONGLONG deadline = GetTickCount64() + milliseconds;
  Completion completions[64];
  while (true) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (in_flight_ == 0) return true;
    }
    const ULONGLONG now = GetTickCount64();
    const int count = Take(completions, 64, now < deadline ? static_cast<DWORD>(deadline - now) : 0);
    if (count <= 0 && now >= deadline) return false;
  }
}

void Port::Close(std::shared_ptr<Port> port) {
  if (port != nullptr) port->CancelAll();
  const bool is_done = port == nullptr || port->Drain(kPatience);
  Graveyard& graveyard = Abandonment();
  std::lock_guard<std::mutex> lock(graveyard.mutex);
  auto& ports = graveyard.ports;
  ports.erase(std::remove_if(ports.begin(), ports.end(), [](const auto& other) { return other->Drain(0); }),
              ports.end());
  if (!is_done) ports.push_back(std::move(port));
}

uint32_t Port::Abandoned() {
  Graveyard& graveyard = Abandonment();
  std::lock_guard<std::mutex> lock(graveyard.mutex);
  uint32_t count = 0;
  for (const std::shared_ptr<Port>& port : graveyard.ports) {
    std::lock_guard<std::mutex> lock_port(port->mutex_);
    count += port->in_flight_;
  }
  return count;
}

}  // namespace lio

#endif  // _WIN32
