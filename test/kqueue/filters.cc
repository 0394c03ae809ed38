// EVFILT_READ, EVFILT_WRITE and EVFILT_EXCEPT over poll(2), ioctl(2) and getsockopt(2).
//
// Follows FreeBSD's kqueue(2), "The predefined system filters", and where that is silent the filters themselves:
// filt_soread and filt_sowrite in sys/kern/uipc_socket.c, pipe_kqfilter, filt_piperead and filt_pipewrite in
// sys/kern/sys_pipe.c. EVFILT_EXCEPT follows macOS's kqueue(2).
//
// Limits:
// - The error of a socket cannot be read on Linux without taking it away, so it is told from what else is known: on a
//   Unix socket it can only be ECONNRESET; on a TCP socket it is ECONNREFUSED if no round trip was ever measured, else
//   ECONNRESET. That names refusals and resets rightly, but not time-outs or a reset after the peer's FIN (EPIPE).
// - An urgent byte that was taken is no exception any more: Linux forgets it, where the others keep its mark until data
//   behind it is read.
// - A pipe goes one way, as Linux's, NetBSD's and macOS's; FreeBSD's, OpenBSD's and DragonFly's go both ways, so that
// there
//   also the read end is writable.
// - A Unix listener's backlog is told as 1: Linux does not tell its length.
// - The end of a regular file is looked at when kevent() is called: a blocked call does not see it grow.

#include "filters.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace kqueue_emulation {
namespace {

short Poll(int fd, short events) {
  pollfd one{fd, events, 0};
  return poll(&one, 1, 0) == 1 ? one.revents : 0;
}

int Option(int fd, int option) {
  int value = 0;
  socklen_t length = sizeof value;
  return getsockopt(fd, SOL_SOCKET, option, &value, &length) == 0 ? value : 0;
}

int Asked(int fd, unsigned long request, int otherwise) {
  int value = 0;
  return ioctl(fd, request, &value) == 0 ? value : otherwise;
}

bool IsTcp(const File& file) {
  return file.type == SOCK_STREAM && (file.domain == AF_INET || file.domain == AF_INET6);
}

tcp_info TcpInfo(int fd) {
  tcp_info info{};
  socklen_t length = sizeof info;
  getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length);
  return info;
}

uint32_t PendingError(int fd, const File& file) {
  if (file.domain == AF_UNIX) return ECONNRESET;
  if (IsTcp(file)) return TcpInfo(fd).tcpi_rtt == 0 ? ECONNREFUSED : ECONNRESET;
  return 0;
}

// "If the read direction of the socket has shutdown, then the filter also sets EV_EOF in flags, and returns the socket
// error (if any) in fflags."
void TellEnd(int fd, const File& file, short ready, Reading& reading) {
  reading.eof = true;
  reading.ready = true;
  if ((ready & POLLERR) != 0) reading.fflags = PendingError(fd, file);
}

// "Sockets which have previously been passed to listen return when there is an incoming connection pending. data
// contains the size of the listen backlog." As in soread, a socket may be made to listen after it was registered.
Reading Listener(int fd, const File& file) {
  Reading reading;
  reading.ready = (Poll(fd, POLLIN) & POLLIN) != 0;
  if (!reading.ready) return reading;
  // On a listening socket this field counts the connections that wait to be accepted.
  reading.data = IsTcp(file) ? std::max(1u, TcpInfo(fd).tcpi_unacked) : 1;
  return reading;
}

Reading SocketRead(int fd, const File& file, uint32_t fflags, int64_t data) {
  if (Option(fd, SO_ACCEPTCONN) != 0) return Listener(fd, file);
  short ready = Poll(fd, POLLIN | POLLRDHUP);
  Reading reading;
  reading.data = Asked(fd, FIONREAD, 0);
  if ((ready & POLLRDHUP) != 0) {
    TellEnd(fd, file, ready, reading);
    return reading;
  }
  // "This may be overridden with a per-filter low water mark at the time the filter is added by setting the NOTE_LOWAT
  // flag in fflags, and specifying the new low water mark in data."
  bool enough = (fflags & NOTE_LOWAT) != 0 ? reading.data >= data : (ready & POLLIN) != 0;
  reading.ready = enough || (ready & POLLERR) != 0;
  return reading;
}

/// Whether the write direction was shut down from this side, which poll(2) does not tell.
bool WriteIsShutDown(int fd, const File& file) {
  if (IsTcp(file)) {
    uint8_t state = TcpInfo(fd).tcpi_state;
    return state == TCP_FIN_WAIT1 || state == TCP_FIN_WAIT2 || state == TCP_CLOSING || state == TCP_LAST_ACK ||
           state == TCP_TIME_WAIT;
  }
  // Nothing is nothing on a stream; on other sockets it would be a message.
  return file.domain == AF_UNIX && file.type == SOCK_STREAM && send(fd, "", 0, MSG_DONTWAIT | MSG_NOSIGNAL) == -1 &&
         errno == EPIPE;
}

Reading SocketWrite(int fd, const File& file, uint32_t fflags, int64_t data) {
  short ready = Poll(fd, POLLOUT | POLLRDHUP);
  bool hung_up = (ready & POLLHUP) != 0;
  // Linux hangs up on a socket that was never connected; in sowrite it is just not ready, as one that listens.
  if (hung_up && (ready & POLLRDHUP) == 0) return {};
  Reading reading;
  reading.data = Option(fd, SO_SNDBUF) - Asked(fd, TIOCOUTQ, 0);
  if ((ready & POLLOUT) != 0) reading.data = std::max<int64_t>(reading.data, 1);
  reading.data = std::max<int64_t>(reading.data, 0);
  // "The filter will set EV_EOF when the reader disconnects", "socket error handling is identical to the EVFILT_READ
  // case".
  if (hung_up || WriteIsShutDown(fd, file)) {
    TellEnd(fd, file, ready, reading);
    return reading;
  }
  bool enough = (fflags & NOTE_LOWAT) != 0 ? reading.data >= data : (ready & POLLOUT) != 0;
  reading.ready = enough || (ready & POLLERR) != 0;
  return reading;
}

/// The bits by which poll(2) tells a pipe's end that the other one is closed: POLLHUP at the read end, POLLERR at the
/// write end. Both filters of both ends report that: in FreeBSD's filt_piperead and filt_pipewrite, to which the ends
/// are alike, and by the "neutered" filter in XNU's pipe_kqfilter. Those of a FIFO that was not opened for their
/// direction never fire in FreeBSD's pipe_kqfilter.
short EndOfPipe(const File& file, int filter) {
  if (file.kind == File::Kind::kPipe) return POLLHUP | POLLERR;
  return filter == EVFILT_READ ? POLLHUP : POLLERR;
}

// "Returns when there is data to read; data contains the number of bytes available. When the last writer disconnects,
// the filter will set EV_EOF in flags."
Reading PipeRead(int fd, const File& file) {
  short ready = Poll(fd, POLLIN);
  Reading reading;
  reading.eof = (ready & EndOfPipe(file, EVFILT_READ)) != 0;
  // At the write end Linux counts what the reader has left.
  if ((ready & POLLERR) == 0) reading.data = Asked(fd, FIONREAD, 0);
  reading.ready = reading.eof || (ready & POLLIN) != 0;
  return reading;
}

// "For sockets, pipes and fifos, data will contain the amount of space remaining in the write buffer. The filter will
// set EV_EOF when the reader disconnects". In filt_pipewrite data is 0 then, and in FreeBSD's pipeclose the knote
// becomes EV_ONESHOT: "make sure cleared knotes disappear soon" in knlist_cleardel.
Reading PipeWrite(int fd, const File& file) {
  short ready = Poll(fd, POLLOUT);
  Reading reading;
  reading.eof = (ready & EndOfPipe(file, EVFILT_WRITE)) != 0;
  if (reading.eof) {
    reading.ready = true;
#if !defined(KQUEUE_EMULATION_MACOS)
    reading.last = file.kind == File::Kind::kPipe;
#endif
    return reading;
  }
  reading.ready = (ready & POLLOUT) != 0;
  if (reading.ready) reading.data = std::max(1, fcntl(fd, F_GETPIPE_SZ) - Asked(fd, FIONREAD, 0));
  return reading;
}

// "Returns when the file pointer is not at the end of file. data contains the offset from current position to end of
// file, and may be negative." "This event can be triggered unconditionally by setting the NOTE_FILE_POLL flag".
Reading RegularRead(int fd, uint32_t fflags) {
  struct stat status;
  Reading reading;
  if (fstat(fd, &status) == -1) return reading;
  reading.data = status.st_size - lseek(fd, 0, SEEK_CUR);
  reading.ready = reading.data != 0;
#if defined(NOTE_FILE_POLL)
  if ((fflags & NOTE_FILE_POLL) != 0) reading.ready = true;
#else
  (void)fflags;
#endif
  return reading;
}

/// The counter of an eventfd, by /proc.
uint64_t Counter(int fd) {
  char text[512];
  snprintf(text, sizeof text, "/proc/self/fdinfo/%d", fd);
  int file = open(text, O_RDONLY | O_CLOEXEC);
  if (file == -1) return 0;
  ssize_t length = read(file, text, sizeof text - 1);
  // Not by close(), which in what this is linked into is the queues' own, and they are locked.
  syscall(SYS_close, file);
  text[std::max<ssize_t>(length, 0)] = '\0';
  const char* counter = strstr(text, "eventfd-count:");
  return counter == nullptr ? 0 : strtoull(counter + strlen("eventfd-count:"), nullptr, 16);
}

// "Returns when the counter is greater than 0; data contains the counter value, which must be cast to uint64_t." "For
// eventfds, data will contain the maximum value that can be added to the counter without blocking."
Reading EventCounter(int fd, int filter) {
  short wanted = filter == EVFILT_READ ? POLLIN : POLLOUT;
  Reading reading;
  reading.ready = (Poll(fd, wanted) & wanted) != 0;
  if (!reading.ready) return reading;
  uint64_t counter = Counter(fd);
  reading.data = static_cast<int64_t>(filter == EVFILT_READ ? counter : UINT64_MAX - 1 - counter);
  return reading;
}

/// Terminals, and whatever else can be polled. Of a queue only whether it is readable.
Reading Other(int fd, int filter) {
  bool reads = filter == EVFILT_READ;
  short wanted = reads ? POLLIN : POLLOUT;
  short ready = Poll(fd, wanted);
  Reading reading;
  reading.eof = (ready & POLLHUP) != 0;
  reading.ready = (ready & (wanted | POLLHUP | POLLERR)) != 0;
  if (reads) reading.data = Asked(fd, FIONREAD, 0);
  if ((ready & wanted) != 0 && !reading.eof) reading.data = std::max<int64_t>(reading.data, 1);
  return reading;
}

#if defined(EVFILT_EXCEPT)
// "Returns whenever one of the specified exceptional conditions has occurred on the descriptor", and "if the read
// direction of the socket has shutdown, then the filter also sets EV_EOF in flags".
Reading SocketExcept(int fd, const File& file, uint32_t fflags) {
  short ready = Poll(fd, POLLPRI | POLLRDHUP);
  Reading reading;
  if ((fflags & NOTE_OOB) != 0 && (ready & POLLPRI) != 0) {
    reading.ready = true;
    reading.fflags = NOTE_OOB;
    reading.data = Asked(fd, FIONREAD, 0);
    return reading;
  }
  if ((ready & POLLRDHUP) != 0) TellEnd(fd, file, ready, reading);
  return reading;
}
#endif

File::Kind KindOf(int fd, mode_t mode) {
  if (S_ISSOCK(mode)) return File::Kind::kSocket;
  if (S_ISREG(mode)) return File::Kind::kRegular;
  if (S_ISCHR(mode)) return isatty(fd) ? File::Kind::kTerminal : File::Kind::kDevice;
  if (S_ISFIFO(mode)) {
    struct statfs system;
    bool named = fstatfs(fd, &system) == 0 && system.f_type != PIPEFS_MAGIC;
    return named ? File::Kind::kFifo : File::Kind::kPipe;
  }
  char path[64], target[64] = "";
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  if (readlink(path, target, sizeof target - 1) == -1) return File::Kind::kOther;
  if (strcmp(target, "anon_inode:[eventfd]") == 0) return File::Kind::kEventCounter;
  if (strcmp(target, "anon_inode:[eventpoll]") == 0) return File::Kind::kQueue;
  return File::Kind::kOther;
}

}  // namespace

File Examine(int fd) {
  struct stat status;
  File file;
  if (fstat(fd, &status) == -1) return file;
  file.kind = KindOf(fd, status.st_mode);
  file.device = status.st_dev;
  file.inode = status.st_ino;
  if (file.kind == File::Kind::kSocket) {
    file.domain = Option(fd, SO_DOMAIN);
    file.type = Option(fd, SO_TYPE);
  }
  return file;
}

int Attachable([[maybe_unused]] int fd, const File& file, int filter) {
#if defined(EVFILT_EXCEPT)
  if (filter == EVFILT_EXCEPT) return file.kind == File::Kind::kSocket ? 0 : EINVAL;
#endif
  if (filter == EVFILT_READ) return 0;
  // "Note that this filter is not supported for vnodes."
  if (file.kind == File::Kind::kRegular) return EINVAL;
  // In kqueue_kqfilter a queue takes EVFILT_READ alone.
  if (file.kind == File::Kind::kQueue) return EINVAL;
#if !defined(KQUEUE_EMULATION_MACOS)
  // In FreeBSD's pipe_kqfilter, "other end of pipe has been closed"; NetBSD says EBADF, OpenBSD and macOS attach it. A
  // FIFO's reader may come back: it attaches and says EV_EOF.
  if (file.kind == File::Kind::kPipe && PipeWrite(fd, file).eof) return EPIPE;
#endif
  return 0;
}

Reading Run(int fd, const File& file, int filter, uint32_t fflags, int64_t data) {
#if defined(EVFILT_EXCEPT)
  if (filter == EVFILT_EXCEPT) return SocketExcept(fd, file, fflags);
#endif
  bool reads = filter == EVFILT_READ;
  switch (file.kind) {
    case File::Kind::kSocket:
      return reads ? SocketRead(fd, file, fflags, data) : SocketWrite(fd, file, fflags, data);
    case File::Kind::kPipe:
    case File::Kind::kFifo:
      return reads ? PipeRead(fd, file) : PipeWrite(fd, file);
    case File::Kind::kRegular:
      return RegularRead(fd, fflags);
    case File::Kind::kEventCounter:
      return EventCounter(fd, filter);
    default:
      return Other(fd, filter);
  }
}

}  // namespace kqueue_emulation
