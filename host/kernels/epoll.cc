// wit/epoll.wit for Linux: one system call per function, or one loop over a batch.
//
// Relies on epoll(7), and on epoll_pwait2(2) for timeouts below a millisecond where the kernel has it (since 5.11) and
// no sandbox forbids it; else on ppoll(2) over the epoll descriptor, which takes nanoseconds too.

#if defined(__linux__)

#include <napi.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <vector>

#include "../addon.h"
#include "../clock.h"
#include "../descriptor_kernel.h"
#include "../loop.h"
#include "../notifiers.h"

namespace lio {
namespace {

constexpr uint32_t kMaxEvents = 1024;

// What the canonical ABI lays out in the component's memory.
struct Change {
  uint8_t operation;
  uint8_t padding[3];
  int32_t fd;
  uint32_t mask;
  uint32_t slot;
  uint32_t generation;
};
static_assert(sizeof(Change) == 20, "the canonical ABI's layout");

struct Event {
  uint32_t mask;
  uint32_t slot;
  uint32_t generation;
};
static_assert(sizeof(Event) == 12, "the canonical ABI's layout");

/// The notifiers of one component instance, by handle: eventfds, each with the name by which other threads know it.
class Notifiers {
 public:
  Notifiers() = default;
  ~Notifiers() { CloseAll(); }
  Notifiers(const Notifiers&) = delete;
  Notifiers& operator=(const Notifiers&) = delete;

  int Find(uint32_t handle) const { return descriptors_.Find(handle); }

  /// Whether a descriptor is one of them. A program can name it only by the number of a file that it has closed.
  bool Has(int descriptor) const { return numbers_.Has(descriptor); }

  /// 0 for a handle that was not given out.
  uint64_t Name(uint32_t handle) const { return Find(handle) == -1 ? 0 : names_[handle]; }

  uint32_t Insert(int descriptor) {
    uint32_t handle = descriptors_.Insert(descriptor);
    if (handle >= names_.size()) names_.resize(handle + 1);
    names_[handle] = RegisterNotifier(Wake, descriptor);
    numbers_.Add(descriptor);
    return handle;
  }

  void Close(uint32_t handle) {
    // First the name: another thread may be about to use it.
    ForgetNotifier(Name(handle));
    numbers_.Remove(Find(handle));
    descriptors_.Close(handle);
  }

  void CloseAll() {
    for (uint32_t handle = 0; handle < names_.size(); handle++) Close(handle);
  }

  /// Fails only if the counter is full, after 2^64 - 2 notifications, or the descriptor is -1: nothing to tell.
  static void Wake(intptr_t descriptor) { eventfd_write(static_cast<int>(descriptor), 1); }

 private:
  Descriptors descriptors_;
  std::vector<uint64_t> names_;
  Numbers numbers_;
};

/// libuv adds it with the same mask and data, and takes EEXIST for a reason to modify: see uv__io_poll in its
/// src/unix/linux.c.
int Enlist(int backend, int descriptor) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = descriptor;
  return epoll_ctl(backend, EPOLL_CTL_ADD, descriptor, &event) == 0 ? 0 : errno;
}

/// All that one component instance holds.
struct Tables {
  Descriptors objects;
  Notifiers notifiers;

  void Close(uint32_t handle) { objects.Close(handle); }

  Napi::Value Deliver(Napi::Env env, uint32_t handle, Napi::Function wake, bool in_loop) {
    return DeliverDescriptor(env, objects.Find(handle), wake, in_loop, Enlist);
  }

  void CloseAll() {
    objects.CloseAll();
    notifiers.CloseAll();
  }
};

using EpollBinding = Binding<Tables>;

// In all functions the area for the result is checked first, so that a bad pointer leaves nothing done.

napi_value Create(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  EpollBinding& binding = arguments.Bound<EpollBinding>();
  uint8_t* area = binding.guest.Look(env).At(env, arguments.U32(0), 1, sizeof(NumberResult));
  if (area != nullptr) Write(area, Created(RaiseNumber(epoll_create1(EPOLL_CLOEXEC)), binding.tables->objects));
  return nullptr;
}

int ControlOne(int epoll, const Change& change) {
  static constexpr int kOperations[] = {EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL};
  if (change.operation >= std::size(kOperations)) return EINVAL;
  epoll_event event{};
  event.events = change.mask;
  event.data.u64 = static_cast<uint64_t>(change.generation) << 32 | change.slot;
  return epoll_ctl(epoll, kOperations[change.operation], change.fd, &event) == 0 ? 0 : errno;
}

/// Makes the changes; false, and an exception, if they cannot be looked at or their verdicts not be kept.
bool Control(napi_env env, const Memory& memory, const Tables& tables, int epoll, uint32_t pointer, uint32_t length,
             Failures& failures) {
  const uint8_t* changes = memory.At(env, pointer, length, sizeof(Change));
  if (changes == nullptr) return false;
  for (uint32_t index = 0; index < length; index++) {
    Change change;
    memcpy(&change, changes + index * sizeof change, sizeof change);
    int number = tables.notifiers.Has(change.fd) ? EBADF : ControlOne(epoll, change);
    if (number != 0 && !failures.Add(env, index, number, length)) return false;
  }
  return true;
}

/// epoll_pwait2, or -1 with ENOSYS where there is none.
int PreciseWait(int epoll, epoll_event* events, int capacity, uint64_t nanoseconds) {
#if defined(SYS_epoll_pwait2)
  // By number, because the C library that this is built against may not know it yet. The kernel's timespec has 64 bits
  // everywhere for this call, as time_t has on every platform that Node supports.
  timespec time = Timespec(nanoseconds);
  return static_cast<int>(syscall(SYS_epoll_pwait2, epoll, events, capacity, &time, nullptr, 0));
#else
  (void)epoll, (void)events, (void)capacity, (void)nanoseconds;
  errno = ENOSYS;
  return -1;
#endif
}

int WaitWithoutPwait2(int epoll, epoll_event* events, int capacity, uint64_t nanoseconds) {
  pollfd readable{epoll, POLLIN, 0};
  timespec time = Timespec(nanoseconds);
  if (ppoll(&readable, 1, &time, nullptr) == -1) return -1;
  return epoll_wait(epoll, events, capacity, 0);
}

int Wait(int epoll, epoll_event* events, int capacity, const uint64_t* nanoseconds) {
  // An older kernel says ENOSYS; a seccomp filter that does not know the call says EPERM. Neither changes its mind.
  static std::atomic<bool> has_pwait2{true};

  if (nanoseconds == nullptr) return epoll_wait(epoll, events, capacity, -1);
  if (*nanoseconds == 0) return epoll_wait(epoll, events, capacity, 0);
  if (has_pwait2) {
    int count = PreciseWait(epoll, events, capacity, *nanoseconds);
    if (count != -1 || (errno != ENOSYS && errno != EPERM)) return count;
    has_pwait2 = false;
  }
  return WaitWithoutPwait2(epoll, events, capacity, *nanoseconds);
}

/// Gives the kernel's events to the component; false if it had no room for them.
bool WriteEvents(napi_env env, const Guest& guest, Memory& memory, const epoll_event* ready, int count, List& list) {
  uint8_t* room = MakeRoom(env, guest, memory, count, sizeof(Event), list);
  if (room == nullptr) return count == 0;
  for (int i = 0; i < count; i++) {
    uint64_t data = ready[i].data.u64;
    Write(room + i * sizeof(Event),
          Event{ready[i].events, static_cast<uint32_t>(data), static_cast<uint32_t>(data >> 32)});
  }
  return true;
}

napi_value WaitFunction(napi_env env, napi_callback_info info) {
  Arguments<7> arguments(env, info);
  EpollBinding& binding = arguments.Bound<EpollBinding>();
  Memory memory = binding.guest.Look(env);
  if (WaitArea(env, memory, arguments.U32(6)) == nullptr) return nullptr;

  int epoll = binding.tables->objects.Find(arguments.U32(0));
  Failures failures;
  if (!Control(env, memory, *binding.tables, epoll, arguments.U32(1), arguments.U32(2), failures)) return nullptr;

  WaitResult result{};
  if (failures.Count() > 0) {
    result.tag = kError;
    result.error.tag = kChangesRefused;
    if (!failures.Write(env, binding.guest, memory, result.error.changes)) return nullptr;
  } else {
    epoll_event ready[kMaxEvents];
    uint64_t nanoseconds = arguments.U64(5);
    int capacity = static_cast<int>(std::min(arguments.U32(3), kMaxEvents));
    int count = Wait(epoll, ready, capacity, arguments.U32(4) == 0 ? nullptr : &nanoseconds);
    // A signal ends it without events.
    if (count == -1 && errno == EINTR) count = 0;
    if (count == -1) {
      result.tag = kError;
      result.error.tag = kKernelRefused;
      result.error.kernel = ErrorCodeOf(errno);
    } else {
      if (arguments.U32(4) != 0) result.waited.moment = Now();
      if (!WriteEvents(env, binding.guest, memory, ready, count, result.waited.events)) return nullptr;
    }
  }

  uint8_t* area = WaitArea(env, memory, arguments.U32(6));
  if (area != nullptr) Write(area, result);
  return nullptr;
}

napi_value CreateNotifier(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  EpollBinding& binding = arguments.Bound<EpollBinding>();
  uint8_t* area = binding.guest.Look(env).At(env, arguments.U32(0), 1, sizeof(NumberResult));
  if (area == nullptr) return nullptr;
  const int descriptor = RaiseNumber(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  Write(area, Created(descriptor, binding.tables->notifiers));
  return nullptr;
}

napi_value AttachNotifier(napi_env env, napi_callback_info info) {
  Arguments<5> arguments(env, info);
  EpollBinding& binding = arguments.Bound<EpollBinding>();
  uint8_t* area = binding.guest.Look(env).At(env, arguments.U32(4), 1, sizeof(NumberResult));
  if (area == nullptr) return nullptr;
  Change change{};
  change.fd = binding.tables->notifiers.Find(arguments.U32(0));
  change.mask = EPOLLIN | EPOLLET;
  change.slot = arguments.U32(2);
  change.generation = arguments.U32(3);
  int number = ControlOne(binding.tables->objects.Find(arguments.U32(1)), change);
  Write(area, number == 0 ? NumberResult{} : Refused(number));
  return nullptr;
}

napi_value Notify(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  Notifiers::Wake(arguments.Bound<EpollBinding>().tables->notifiers.Find(arguments.U32(0)));
  return nullptr;
}

using Shared = DescriptorKernel<Tables, Control>;

constexpr Function kFunctions[] = {
    {"create", Create},
    {"control", Shared::ControlFunction},
    {"wait", WaitFunction},
    {"descriptor", Shared::Descriptor},
    {"close", Shared::Close},
    {"createNotifier", CreateNotifier},
    {"attachNotifier", AttachNotifier},
    {"identify", Shared::Identify},
    {"notify", Notify},
    {"closeNotifier", Shared::CloseNotifier},
    {},
};

const Kernel registered("epoll", KernelObject<Tables, kFunctions>::Define);

}  // namespace
}  // namespace lio

#endif  // __linux__
