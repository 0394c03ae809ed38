// The memory of one request, to which the kernel writes while the request is under way.
//
// With LIO_POLLER_GUARD_REQUESTS, for tests, each has pages of its own, which nobody can read or write for a long time
// once it was freed: a kernel that still does, or a program, fails at once and not by chance.

#pragma once

#include <windows.h>

#include <atomic>
#include <cstddef>
#include <new>

namespace lio {

template <typename T>
class RequestMemory {
 public:
  RequestMemory() = default;
  RequestMemory(const RequestMemory&) = delete;
  RequestMemory& operator=(const RequestMemory&) = delete;

  T& operator*() const { return *memory_; }
  T* operator->() const { return memory_; }

#if defined(LIO_POLLER_GUARD_REQUESTS)

  bool Allocate() {
    pages_ = static_cast<char*>(VirtualAlloc(nullptr, kBytes, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE));
    if (pages_ == nullptr) return false;
    DWORD before;
    VirtualProtect(pages_ + kPage, kPage, PAGE_NOACCESS, &before);
    // It ends where the page does.
    memory_ = new (pages_ + kPage - kSize) T();
    return true;
  }

  ~RequestMemory() {
    if (pages_ == nullptr) return;
    VirtualFree(pages_, kBytes, MEM_DECOMMIT);
    // There are only so many mappings: the oldest of the freed ones becomes free for others.
    static std::atomic<char*> freed[kFreed];
    static std::atomic<size_t> count{0};
    char* oldest = freed[count++ % kFreed].exchange(pages_);
    if (oldest != nullptr) VirtualFree(oldest, 0, MEM_RELEASE);
  }

 private:
  static constexpr size_t kFreed = 4096;
  static constexpr size_t kPage = 4096;
  static constexpr size_t kBytes = 2 * kPage;
  static constexpr size_t kSize = (sizeof(T) + alignof(T) - 1) / alignof(T) * alignof(T);
  static_assert(kSize <= kPage, "one page is enough");

  char* pages_ = nullptr;

#else

  bool Allocate() {
    memory_ = new (std::nothrow) T();
    return memory_ != nullptr;
  }

  ~RequestMemory() {
    delete memory_;
  }

 private:
#endif

  T* memory_ = nullptr;
};

}  // namespace lio
