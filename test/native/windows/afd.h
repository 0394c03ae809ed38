// The least that asks AFD whether a socket is ready, for programs that show what the kernel says. No other of the
// project's code is in them, so that what they show is the kernel's doing.

#pragma once

#include <winsock2.h>
#include <winternl.h>
#include <ws2tcpip.h>

#include <cstdint>
#include <cstdio>
#include <memory>

extern "C" NTSTATUS NTAPI NtCancelIoFileEx(HANDLE, PIO_STATUS_BLOCK, PIO_STATUS_BLOCK);

namespace afd {

constexpr ULONG kReceive = 0x1, kExpedited = 0x2, kSend = 0x4, kDisconnect = 0x8, kAbort = 0x10, kLocalClose = 0x20;
constexpr ULONG kAccept = 0x80, kConnectFail = 0x100;
constexpr ULONG kAll = kReceive | kExpedited | kSend | kDisconnect | kAbort | kLocalClose | kAccept | kConnectFail;

constexpr ULONG kIoctlPoll = 0x00012024;
constexpr NTSTATUS kPending = 0x103;
constexpr NTSTATUS kCancelled = static_cast<NTSTATUS>(0xC0000120);

struct PollInfo {
  LARGE_INTEGER timeout;
  ULONG count;
  ULONG exclusive;
  HANDLE handle;
  ULONG events;
  NTSTATUS status;
};

// A request, which has to live until its completion has come.
struct Request {
  IO_STATUS_BLOCK block = {};
  PollInfo info = {};
};

// What came of a request.
struct Answer {
  bool came;
  NTSTATUS status;
  ULONG events;
  NTSTATUS socket_status;
};

// A port, and a handle of AFD that completes to it.
class Poll {
 public:
  Poll() : port_(CreateIoCompletionPort(INVALID_HANDLE_VALUE, nullptr, 0, 1)) {
    wchar_t name[] = L"\\Device\\Afd\\lio-poller-test";
    UNICODE_STRING string = {sizeof(name) - sizeof(wchar_t), sizeof(name), name};
    OBJECT_ATTRIBUTES attributes;
    InitializeObjectAttributes(&attributes, &string, 0, nullptr, nullptr);
    IO_STATUS_BLOCK block;
    constexpr ULONG kShare = FILE_SHARE_READ | FILE_SHARE_WRITE;
    const NTSTATUS status =
        NtCreateFile(&afd_, SYNCHRONIZE, &attributes, &block, nullptr, 0, kShare, FILE_OPEN, 0, nullptr, 0);
    if (status != 0) std::printf("AFD cannot be opened: %#lx\n", static_cast<unsigned long>(status));
    CreateIoCompletionPort(afd_, port_, 0, 0);
    SetFileCompletionNotificationModes(afd_, FILE_SKIP_SET_EVENT_ON_HANDLE);
  }
  ~Poll() {
    CloseAfd();
    CloseHandle(port_);
  }
  Poll(const Poll&) = delete;
  Poll& operator=(const Poll&) = delete;

  NTSTATUS Arm(Request& request, SOCKET socket, ULONG events) {
    request.block.Status = kPending;
    request.info.timeout.QuadPart = INT64_MAX;
    request.info.count = 1;
    request.info.handle = reinterpret_cast<HANDLE>(socket);
    request.info.events = events;
    PollInfo* info = &request.info;
    constexpr ULONG kSize = sizeof(PollInfo);
    return NtDeviceIoControlFile(afd_, nullptr, nullptr, &request, &request.block, kIoctlPoll, info, kSize, info,
                                 kSize);
  }

  NTSTATUS Cancel(Request& request) {
    IO_STATUS_BLOCK block;
    return NtCancelIoFileEx(afd_, &request.block, &block);
  }

  // The next completion's request, or null.
  Request* Next(DWORD milliseconds) {
    OVERLAPPED_ENTRY entry;
    ULONG count = 0;
    if (!GetQueuedCompletionStatusEx(port_, &entry, 1, &count, milliseconds, FALSE) || count == 0) return nullptr;
    return reinterpret_cast<Request*>(entry.lpOverlapped);
  }

  // Arms one request and says what came of it. One that never comes is left behind.
  Answer Ask(SOCKET socket, ULONG events, DWORD milliseconds = 500) {
    auto request = std::make_unique<Request>();
    const NTSTATUS status = Arm(*request, socket, events);
    if (status != 0 && status != kPending) return {false, status, 0, 0};
    if (Next(milliseconds) == request.get()) {
      return {true, request->block.Status, request->info.events, request->info.status};
    }
    Cancel(*request);
    if (Next(milliseconds) != request.get()) request.release();
    return {false, kPending, 0, 0};
  }

  void CloseAfd() {
    if (afd_ != nullptr) CloseHandle(afd_);
    afd_ = nullptr;
  }

 private:
  HANDLE port_;
  HANDLE afd_ = nullptr;
};

// Starts Winsock, once.
inline void Start() {
  static WSADATA data;
  static const int failure = WSAStartup(MAKEWORD(2, 2), &data);
  if (failure != 0) std::printf("no Winsock: %d\n", failure);
}

inline sockaddr_in Loopback() {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

inline sockaddr_in AddressOf(SOCKET socket) {
  sockaddr_in address = {};
  int length = sizeof(address);
  getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length);
  return address;
}

inline SOCKET Bound(int type) {
  Start();
  const SOCKET opened = socket(AF_INET, type, 0);
  const sockaddr_in address = Loopback();
  bind(opened, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  return opened;
}

inline int Connect(SOCKET socket, const sockaddr_in& address) {
  return connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
}

inline void SetNonBlocking(SOCKET socket) {
  u_long on = 1;
  ioctlsocket(socket, FIONBIO, &on);
}

// Two TCP sockets that are connected.
struct Pair {
  SOCKET one, two;

  Pair() {
    const SOCKET listener = Bound(SOCK_STREAM);
    listen(listener, 1);
    one = socket(AF_INET, SOCK_STREAM, 0);
    Connect(one, AddressOf(listener));
    two = accept(listener, nullptr, nullptr);
    closesocket(listener);
  }
};

// Closes so that the peer is told of a reset instead of an end.
inline void Reset(SOCKET socket) {
  const linger now = {1, 0};
  setsockopt(socket, SOL_SOCKET, SO_LINGER, reinterpret_cast<const char*>(&now), sizeof(now));
  closesocket(socket);
}

inline int wrong = 0;

// Notes an answer that is not the one of Windows.
inline void Expect(const char* what, const Answer& answer, ULONG events) {
  const bool right = answer.came && answer.status == 0 && answer.events == events;
  if (right) return;
  wrong++;
  std::printf("%s: ", what);
  if (!answer.came) {
    std::printf("no completion (status %#lx), not events %#lx\n", static_cast<unsigned long>(answer.status), events);
  } else {
    std::printf("status %#lx, events %#lx, not %#lx\n", static_cast<unsigned long>(answer.status), answer.events,
                events);
  }
}

inline void Expect(const char* what, bool so) {
  if (so) return;
  wrong++;
  std::printf("%s: not so\n", what);
}

inline int Verdict() {
  std::printf("%d wrong\n", wrong);
  return wrong == 0 ? 0 : 1;
}

}  // namespace afd
