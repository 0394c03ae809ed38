// What the kernels of POSIX systems share: descriptors by handle, so that a component can touch only what was made for
// it, and times.

#pragma once

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <ctime>
#include <vector>

#include "canonical.h"

namespace lio {

/// Descriptors by handle. A closed one leaves its place to the next.
class Descriptors {
 public:
  Descriptors() = default;
  ~Descriptors() { CloseAll(); }
  Descriptors(const Descriptors&) = delete;
  Descriptors& operator=(const Descriptors&) = delete;

  /// -1 for a handle that was not given out, which every system call answers with EBADF.
  int Find(uint32_t handle) const { return handle < descriptors_.size() ? descriptors_[handle] : -1; }

  uint32_t Insert(int descriptor) {
    auto place = std::find(descriptors_.begin(), descriptors_.end(), -1);
    if (place == descriptors_.end()) place = descriptors_.insert(place, -1);
    *place = descriptor;
    return static_cast<uint32_t>(place - descriptors_.begin());
  }

  void Close(uint32_t handle) {
    int descriptor = Find(handle);
    if (descriptor == -1) return;
    descriptors_[handle] = -1;
    close(descriptor);
  }

  void CloseAll() {
    for (uint32_t handle = 0; handle < descriptors_.size(); handle++) Close(handle);
  }

 private:
  std::vector<int> descriptors_;
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
