// The system calls of the addon, by the linker's --wrap: counted, made to fail on demand, and kept from doing harm.
//
// Nothing blocks: timeouts are cut to zero, and descriptors stay non-blocking. Nothing leaves the program: no address
// is bound or connected to, and descriptors that the program was not given, such as the fuzzer's own, are EBADF.
// Whether what was opened is closed again is found out by who opened it.
//
// scripts/native.mjs finds the calls to wrap by the names in this file and those under kernels/.

#include "system.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <new>

namespace test_system {
namespace {

thread_local Caller caller = Caller::kNobody;
thread_local size_t calls = 0;
thread_local unsigned until_failure = 0;
thread_local int failure = 0;

std::set<int>& HeldSet() {
  thread_local std::set<int> held;
  return held;
}

std::set<int>& GivenSet() {
  thread_local std::set<int> given;
  return given;
}

int OpenedBoth(int result, const int pair[2]) {
  if (result == 0) {
    Opened(pair[0]);
    Opened(pair[1]);
  }
  return result;
}

/// Whether the caller may use a descriptor at all; else `errno` is EBADF.
bool MayUse(int descriptor) {
  if (caller != Caller::kIo || GivenSet().count(descriptor) > 0) return true;
  errno = EBADF;
  return false;
}

/// AddressSanitizer does not see what the kernel reads; this does.
void Touch(const void* bytes, size_t length) {
  volatile uint8_t seen = 0;
  for (size_t i = 0; i < length; i++) seen = static_cast<const uint8_t*>(bytes)[i];
  (void)seen;
}

}  // namespace

bool Fails() {
  if (caller == Caller::kNobody) return false;
  calls++;
  if (failure == 0 || until_failure-- > 0) return false;
  errno = failure;
  failure = 0;
  return true;
}

int Opened(int descriptor) {
  if (descriptor < 0) return descriptor;
  if (caller == Caller::kKernel) HeldSet().insert(descriptor);
  if (caller == Caller::kIo) GivenSet().insert(descriptor);
  return descriptor;
}

Calling::Calling(Caller which) : before_(caller) {
  caller = which;
}

Calling::~Calling() {
  caller = before_;
}

size_t Calls() {
  return calls;
}

void FailAfter(unsigned after, int number) {
  until_failure = after;
  failure = number;
}

void FailNoMore() {
  failure = 0;
}

bool MayFail() {
  return failure != 0;
}

const std::set<int>& Held() {
  return HeldSet();
}

const std::set<int>& Given() {
  return GivenSet();
}

void Give(int descriptor) {
  GivenSet().insert(descriptor);
}

void TakeAll() {
  const std::set<int> all = GivenSet();
  for (int descriptor : all) close(descriptor);
}

}  // namespace test_system

using namespace test_system;

// The allocations of the addon that may fail.
void* operator new[](size_t size, const std::nothrow_t&) noexcept {
  if (caller == Caller::kKernel && failure == ENOMEM && until_failure == 0) {
    failure = 0;
    return nullptr;
  }
  return ::operator new[](size);
}

extern "C" {

#define REAL(name) __real_##name

int REAL(close)(int);
int __wrap_close(int descriptor) {
  if (!MayUse(descriptor)) return -1;
  HeldSet().erase(descriptor);
  GivenSet().erase(descriptor);
  const int result = REAL(close)(descriptor);
  return Fails() ? -1 : result;
}

// epoll.

int REAL(epoll_create1)(int);
int __wrap_epoll_create1(int flags) {
  return Fails() ? -1 : Opened(REAL(epoll_create1)(flags));
}

int REAL(epoll_ctl)(int, int, int, epoll_event*);
int __wrap_epoll_ctl(int epoll, int operation, int fd, epoll_event* event) {
  Touch(event, sizeof *event);
  return Fails() ? -1 : REAL(epoll_ctl)(epoll, operation, fd, event);
}

int REAL(epoll_wait)(int, epoll_event*, int, int);
int __wrap_epoll_wait(int epoll, epoll_event* events, int capacity, int timeout) {
  if (caller == Caller::kNobody) return REAL(epoll_wait)(epoll, events, capacity, timeout);
  if (capacity > 0) memset(static_cast<void*>(events), 0, sizeof *events * capacity);
  return Fails() ? -1 : REAL(epoll_wait)(epoll, events, capacity, 0);
}

int REAL(ppoll)(pollfd*, nfds_t, const timespec*, const sigset_t*);
int __wrap_ppoll(pollfd* fds, nfds_t count, const timespec* timeout, const sigset_t* mask) {
  if (caller == Caller::kNobody) return REAL(ppoll)(fds, count, timeout, mask);
  const timespec now{0, 0};
  return Fails() ? -1 : REAL(ppoll)(fds, count, &now, mask);
}

long REAL(syscall)(long, ...);
// Takes more arguments than most calls give, as the C library does.
__attribute__((no_sanitize("address"))) long __wrap_syscall(long number, ...) {
  long values[6];
  va_list list;
  va_start(list, number);
  for (long& value : values) value = va_arg(list, long);
  va_end(list);
  if (caller == Caller::kNobody || number != SYS_epoll_pwait2) {
    return REAL(syscall)(number, values[0], values[1], values[2], values[3], values[4], values[5]);
  }
  auto* timeout = reinterpret_cast<timespec*>(values[3]);
  // The kernel would refuse these.
  if (timeout->tv_sec < 0 || timeout->tv_nsec < 0 || timeout->tv_nsec > 999'999'999) abort();
  *timeout = {0, 0};
  if (static_cast<int>(values[2]) > 0) {
    memset(reinterpret_cast<void*>(values[1]), 0, sizeof(epoll_event) * static_cast<size_t>(values[2]));
  }
  if (!Fails()) return REAL(syscall)(number, values[0], values[1], values[2], values[3], values[4], values[5]);
  // The addon takes these two as the kernel's last word, for the whole process.
  if ((errno == ENOSYS || errno == EPERM) && getenv("WITHOUT_PWAIT2") == nullptr) errno = EINVAL;
  return -1;
}

// What opens descriptors.

int REAL(eventfd)(unsigned, int);
int __wrap_eventfd(unsigned initial, int flags) {
  return Fails() ? -1 : Opened(REAL(eventfd)(initial, flags));
}

int REAL(eventfd_write)(int, eventfd_t);
int __wrap_eventfd_write(int descriptor, eventfd_t value) {
  return Fails() ? -1 : REAL(eventfd_write)(descriptor, value);
}

int REAL(pipe2)(int*, int);
int __wrap_pipe2(int* pair, int flags) {
  return Fails() ? -1 : OpenedBoth(REAL(pipe2)(pair, flags), pair);
}

int REAL(socketpair)(int, int, int, int*);
int __wrap_socketpair(int domain, int type, int protocol, int* pair) {
  return Fails() ? -1 : OpenedBoth(REAL(socketpair)(domain, type, protocol, pair), pair);
}

int REAL(socket)(int, int, int);
int __wrap_socket(int domain, int type, int protocol) {
  return Fails() ? -1 : Opened(REAL(socket)(domain, type, protocol));
}

int REAL(accept4)(int, sockaddr*, socklen_t*, int);
int __wrap_accept4(int descriptor, sockaddr* address, socklen_t* length, int flags) {
  if (!MayUse(descriptor)) return -1;
  return Fails() ? -1 : Opened(REAL(accept4)(descriptor, address, length, flags));
}

int REAL(dup3)(int, int, int);
int __wrap_dup3(int from, int onto, int flags) {
  // Onto a descriptor of somebody else's it would close that.
  if (!MayUse(from) || (caller == Caller::kIo && !MayUse(onto) && fcntl(onto, F_GETFD) != -1)) return -1;
  return Fails() ? -1 : Opened(REAL(dup3)(from, onto, flags));
}

int REAL(fcntl)(int, int, ...);
int __wrap_fcntl(int descriptor, int command, ...) {
  va_list list;
  va_start(list, command);
  long value = va_arg(list, long);
  va_end(list);
  if (caller != Caller::kIo) return REAL(fcntl)(descriptor, command, value);
  if (!MayUse(descriptor) || Fails()) return -1;
  if (command == F_SETFL) return REAL(fcntl)(descriptor, F_SETFL, value | O_NONBLOCK);
  const int result = REAL(fcntl)(descriptor, command, value);
  return command == F_DUPFD_CLOEXEC ? Opened(result) : result;
}

// Addresses, which nobody is to reach.

static int Address(int descriptor, const sockaddr* address, socklen_t length) {
  if (!MayUse(descriptor) && HeldSet().count(descriptor) == 0) return -1;
  Touch(address, length);
  return Fails() ? -1 : 0;
}

int __wrap_bind(int descriptor, const sockaddr* address, socklen_t length) {
  return Address(descriptor, address, length);
}

int __wrap_connect(int descriptor, const sockaddr* address, socklen_t length) {
  return Address(descriptor, address, length);
}

int __wrap_listen(int descriptor, int) {
  return !MayUse(descriptor) || Fails() ? -1 : 0;
}

int REAL(getsockname)(int, sockaddr*, socklen_t*);
int __wrap_getsockname(int descriptor, sockaddr* address, socklen_t* length) {
  return !MayUse(descriptor) || Fails() ? -1 : REAL(getsockname)(descriptor, address, length);
}

int REAL(getsockopt)(int, int, int, void*, socklen_t*);
int __wrap_getsockopt(int descriptor, int level, int name, void* value, socklen_t* length) {
  return !MayUse(descriptor) || Fails() ? -1 : REAL(getsockopt)(descriptor, level, name, value, length);
}

int REAL(setsockopt)(int, int, int, const void*, socklen_t);
int __wrap_setsockopt(int descriptor, int level, int name, const void* value, socklen_t length) {
  return !MayUse(descriptor) || Fails() ? -1 : REAL(setsockopt)(descriptor, level, name, value, length);
}

int REAL(shutdown)(int, int);
int __wrap_shutdown(int descriptor, int how) {
  return !MayUse(descriptor) || Fails() ? -1 : REAL(shutdown)(descriptor, how);
}

// Bytes.

ssize_t REAL(read)(int, void*, size_t);
ssize_t __wrap_read(int descriptor, void* bytes, size_t length) {
  if (caller == Caller::kNobody) return REAL(read)(descriptor, bytes, length);
  if (!MayUse(descriptor) || Fails()) return -1;
  // As if the kernel filled all of it.
  memset(bytes, 0, length);
  return REAL(read)(descriptor, bytes, length);
}

ssize_t REAL(write)(int, const void*, size_t);
ssize_t __wrap_write(int descriptor, const void* bytes, size_t length) {
  if (caller == Caller::kNobody) return REAL(write)(descriptor, bytes, length);
  Touch(bytes, length);
  return !MayUse(descriptor) || Fails() ? -1 : REAL(write)(descriptor, bytes, length);
}

ssize_t REAL(send)(int, const void*, size_t, int);
ssize_t __wrap_send(int descriptor, const void* bytes, size_t length, int flags) {
  Touch(bytes, length);
  return !MayUse(descriptor) || Fails() ? -1 : REAL(send)(descriptor, bytes, length, flags);
}

}  // extern "C"
