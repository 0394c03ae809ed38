// How many handles and threads this process has: what tests of leaks count.
//
// GetProcessHandleCount would be the call for it, but Wine answers 0. So the system is asked for all that there are, by
// SystemExtendedHandleInformation, which Microsoft does not document, and which nothing but tests relies on.

#pragma once

#include <windows.h>

// After windows.h, which it needs.
#include <tlhelp32.h>
#include <winternl.h>

#include <cstdint>
#include <vector>

namespace lio {

/// -1 if the system does not tell.
inline int64_t HandlesOfProcess() {
  struct Handle {
    void* object;
    ULONG_PTR process;
    ULONG_PTR handle;
    ULONG access;
    USHORT trace;
    USHORT type;
    ULONG attributes;
    ULONG reserved;
  };
  constexpr auto kEveryHandle = static_cast<SYSTEM_INFORMATION_CLASS>(64);
  constexpr NTSTATUS kTooSmall = static_cast<NTSTATUS>(0xC0000004);

  std::vector<ULONG_PTR> room(1 << 16);
  NTSTATUS status = kTooSmall;
  while (true) {
    const ULONG bytes = static_cast<ULONG>(room.size() * sizeof room[0]);
    status = NtQuerySystemInformation(kEveryHandle, room.data(), bytes, nullptr);
    if (status != kTooSmall) break;
    room.resize(room.size() * 2);
  }
  if (status < 0) return -1;
  // Their number, a word that means nothing, and they themselves.
  const auto* handles = reinterpret_cast<const Handle*>(room.data() + 2);
  int64_t count = 0;
  for (ULONG_PTR i = 0; i < room[0]; i++) {
    if (handles[i].process == GetCurrentProcessId()) count++;
  }
  return count;
}

/// -1 if the system does not tell.
inline int64_t ThreadsOfProcess() {
  const HANDLE snapshot = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
  if (snapshot == INVALID_HANDLE_VALUE) return -1;
  int64_t count = 0;
  THREADENTRY32 thread = {};
  thread.dwSize = sizeof thread;
  for (BOOL is_one = Thread32First(snapshot, &thread); is_one; is_one = Thread32Next(snapshot, &thread)) {
    if (thread.th32OwnerProcessID == GetCurrentProcessId()) count++;
  }
  CloseHandle(snapshot);
  return count;
}

}  // namespace lio
