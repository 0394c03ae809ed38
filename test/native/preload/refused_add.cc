// Preloaded into a process: refuses the ADD by which an event loop begins to watch an epoll instance, and tells on
// standard error who asks the kernel for what about one. io_uring, by which libuv would ask too, is refused as well.
//
// libuv tries whether a descriptor can be watched by an ADD and a DEL. Only what comes after that is refused, with the
// number in the variable REFUSED, if it is set then.

#include <dlfcn.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

bool IsEpoll(int fd) {
  char path[64], file[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  const ssize_t length = readlink(path, file, sizeof file - 1);
  if (length < 0) return false;
  file[length] = 0;
  return strcmp(file, "anon_inode:[eventpoll]") == 0;
}

const char* Asker(void* address) {
  Dl_info info;
  if (dladdr(address, &info) == 0) return "?";
  const char* end = strrchr(info.dli_fname, '.');
  return end != nullptr && strcmp(end, ".node") == 0 ? "addon" : "loop";
}

template <typename Function>
Function* Next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" int epoll_ctl(int epoll, int operation, int fd, epoll_event* event) noexcept {
  static auto* next = Next<int(int, int, int, epoll_event*)>("epoll_ctl");
  static bool is_tried[4096];
  if (fd < 0 || fd >= 4096 || !IsEpoll(fd)) return next(epoll, operation, fd, event);

  const char* refused = getenv("REFUSED");
  int number = 0;
  if (operation == EPOLL_CTL_ADD && is_tried[fd] && refused != nullptr) {
    number = atoi(refused);
  } else if (next(epoll, operation, fd, event) == -1) {
    number = errno;
  }
  if (operation != EPOLL_CTL_DEL) is_tried[fd] = false;
  if (operation == EPOLL_CTL_DEL && number == 0) is_tried[fd] = true;
  static const char* const names[] = {"", "ADD", "DEL", "MOD"};
  char line[64];
  const int length =
      snprintf(line, sizeof line, "%s %s %d\n", Asker(__builtin_return_address(0)), names[operation], number);
  if (write(STDERR_FILENO, line, length) == -1) abort();
  errno = number;
  return number == 0 ? 0 : -1;
}

extern "C" long syscall(long number, ...) noexcept {
  static auto* next = Next<long(long, ...)>("syscall");
  long values[6];
  va_list list;
  va_start(list, number);
  for (long& value : values) value = va_arg(list, long);
  va_end(list);
#if defined(SYS_io_uring_setup)
  if (number == SYS_io_uring_setup) {
    errno = ENOSYS;
    return -1;
  }
#endif
  return next(number, values[0], values[1], values[2], values[3], values[4], values[5]);
}
