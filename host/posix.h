// What the kernels of POSIX systems share: descriptors by handle, the numbers that they have, and times.

#pragma once

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <ctime>
#include <optional>
#include <vector>

#include "canonical.h"
#include "table.h"

namespace lio {

/// Gives a descriptor that is ours, and was just made, a number that programs seldom have: the lowest from half of the
/// limit on, or from 512. Else it would take the number that a program has closed last, and what the program still says
/// about that number, such as to delete it, would be about ours. Stays where it is if that cannot be, and rather than
/// from 1024 on, which select(2) does not take.
inline int RaiseNumber(int descriptor) {
  constexpr int kFirst = 512;
  constexpr int kEnd = 1024;
  rlimit limit;
  if (descriptor == -1 || getrlimit(RLIMIT_NOFILE, &limit) == -1) return descriptor;
  const int first = static_cast<int>(std::min<rlim_t>(limit.rlim_cur / 2, kFirst));
  if (descriptor >= first) return descriptor;
  const int raised = fcntl(descriptor, F_DUPFD_CLOEXEC, first);
  if (raised == -1) return descriptor;
  const bool is_fit = raised < kEnd;
  close(is_fit ? descriptor : raised);
  return is_fit ? raised : descriptor;
}

/// Descriptors by handle.
class Descriptors {
 public:
  Descriptors() = default;
  ~Descriptors() { CloseAll(); }
  Descriptors(const Descriptors&) = delete;
  Descriptors& operator=(const Descriptors&) = delete;

  /// -1 for a handle that is not given out, which every system call answers with EBADF.
  int Find(uint32_t handle) const {
    const int* descriptor = table_.Find(handle);
    return descriptor == nullptr ? -1 : *descriptor;
  }

  uint32_t Insert(int descriptor) { return table_.Insert(descriptor); }

  void Close(uint32_t handle) {
    if (const std::optional<int> descriptor = table_.Take(handle)) close(*descriptor);
  }

  void CloseAll() {
    for (uint32_t handle = 0; handle < table_.Size(); handle++) Close(handle);
  }

 private:
  Table<int> table_;
};

/// A set of descriptors' numbers, in which none is searched for.
class Numbers {
 public:
  bool Has(int number) const { return number >= 0 && static_cast<size_t>(number) < has_.size() && has_[number]; }

  /// -1 is none.
  void Add(int number) {
    if (number < 0) return;
    if (static_cast<size_t>(number) >= has_.size()) has_.resize(number + 1);
    has_[number] = true;
  }

  void Remove(int number) {
    if (Has(number)) has_[number] = false;
  }

 private:
  std::vector<bool> has_;
};

/// Tells a descriptor that was just made, by its handle, or why it was not: errno.
template <typename Holder>
NumberResult Created(int descriptor, Holder& holder) {
  return descriptor == -1 ? Refused(errno) : Succeeded(holder.Insert(descriptor));
}

inline timespec Timespec(uint64_t nanoseconds) {
  timespec time;
  time.tv_sec = static_cast<time_t>(nanoseconds / 1'000'000'000);
  time.tv_nsec = static_cast<long>(nanoseconds % 1'000'000'000);
  return time;
}

}  // namespace lio
