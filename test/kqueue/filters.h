// The filters of the test-only kqueue that look at a descriptor: what BSD's would say of it, asked of Linux.

#ifndef LIO_POLLER_TEST_KQUEUE_FILTERS_H_
#define LIO_POLLER_TEST_KQUEUE_FILTERS_H_

#include <sys/event.h>
#include <sys/stat.h>

#include <cstdint>

namespace kqueue_emulation {

/// What a descriptor is, as far as filters differ. It stays what it is as long as it is open.
struct File {
  enum class Kind { kSocket, kPipe, kFifo, kRegular, kEventCounter, kQueue, kTerminal, kDevice, kOther };

  Kind kind = Kind::kOther;
  int domain = 0;
  int type = 0;
  dev_t device = 0;
  ino_t inode = 0;
};

/// What a filter says of a descriptor now.
struct Reading {
  bool ready = false;
  bool eof = false;
  /// The knote becomes EV_ONESHOT.
  bool last = false;
  uint32_t fflags = 0;
  int64_t data = 0;
};

/// Looks what an open descriptor is.
File Examine(int fd);

/// Whether a filter can be attached to a descriptor: 0, or the error's number.
int Attachable(int fd, const File& file, int filter);

/// Runs a filter, to which `fflags` and `data` were given when it was added. Takes nothing from the descriptor: no
/// byte, no pending error.
Reading Run(int fd, const File& file, int filter, uint32_t fflags, int64_t data);

}  // namespace kqueue_emulation

#endif
