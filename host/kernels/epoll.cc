// wit/epoll.wit for Linux: one system call per function, or one loop over a batch.
//
// Relies on epoll(7), and on epoll_pwait2(2) for timeouts below a millisecond where the kernel has it (since 5.11) and
// no sandbox forbids it; else on ppoll(2) over the epoll descriptor, which takes nanoseconds too.

#include <napi.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <ctime>
#include <memory>
#include <new>
#include <vector>

#include "../addon.h"
#include "../error_code.h"
#include "../guest.h"
#include "../notifiers.h"

namespace lio {
namespace {

constexpr uint32_t kMaxEvents = 1024;

// What the canonical ABI lays out in the component's memory. Both ends are little-endian: Node runs on no other Linux
// that has a WebAssembly of its own byte order.
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

struct Failure {
  uint32_t index;
  ErrorCode error;
};
static_assert(sizeof(Failure) == 12, "the canonical ABI's layout");

struct List {
  uint32_t pointer;
  uint32_t length;
};

/// result<u32, error-code>
struct NumberResult {
  uint32_t tag;
  union {
    uint32_t value;
    ErrorCode error;
  };
};
static_assert(sizeof(NumberResult) == 12, "the canonical ABI's layout");

/// result<list<event>, wait-error>
struct WaitResult {
  uint32_t tag;
  union {
    List events;
    struct {
      uint32_t tag;
      union {
        List changes;
        ErrorCode kernel;
      };
    } error;
  };
};
static_assert(sizeof(WaitResult) == 16, "the canonical ABI's layout");

constexpr uint32_t kOk = 0;
constexpr uint32_t kError = 1;
constexpr uint32_t kChangesRefused = 0;
constexpr uint32_t kKernelRefused = 1;

/// Descriptors by handle. A closed one leaves its place to the next.
class Table {
 public:
  Table() = default;
  ~Table() { CloseAll(); }
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;

  /// -1 for a handle that was not given out, which every system call answers with EBADF.
  int Descriptor(uint32_t handle) const { return handle < descriptors_.size() ? descriptors_[handle] : -1; }

  uint32_t Insert(int descriptor) {
    auto place = std::find(descriptors_.begin(), descriptors_.end(), -1);
    if (place == descriptors_.end()) place = descriptors_.insert(place, -1);
    *place = descriptor;
    return static_cast<uint32_t>(place - descriptors_.begin());
  }

  void Close(uint32_t handle) {
    int descriptor = Descriptor(handle);
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

/// The notifiers of one component instance, by handle: eventfds, each with the name by which other threads know it.
class Notifiers {
 public:
  Notifiers() = default;
  ~Notifiers() { CloseAll(); }
  Notifiers(const Notifiers&) = delete;
  Notifiers& operator=(const Notifiers&) = delete;

  int Descriptor(uint32_t handle) const { return descriptors_.Descriptor(handle); }

  /// 0 for a handle that was not given out.
  uint64_t Name(uint32_t handle) const { return Descriptor(handle) == -1 ? 0 : names_[handle]; }

  uint32_t Insert(int descriptor) {
    uint32_t handle = descriptors_.Insert(descriptor);
    if (handle >= names_.size()) names_.resize(handle + 1);
    names_[handle] = RegisterNotifier(Wake, descriptor);
    return handle;
  }

  void Close(uint32_t handle) {
    // First the name: another thread may be about to use it.
    ForgetNotifier(Name(handle));
    descriptors_.Close(handle);
  }

  void CloseAll() {
    for (uint32_t handle = 0; handle < names_.size(); handle++) Close(handle);
  }

  /// Fails only if the counter is full, after 2^64 - 2 notifications, or the descriptor is -1: nothing to tell.
  static void Wake(intptr_t descriptor) { eventfd_write(static_cast<int>(descriptor), 1); }

 private:
  Table descriptors_;
  std::vector<uint64_t> names_;
};

/// All that one component instance holds.
struct Tables {
  Table epolls;
  Notifiers notifiers;
};

/// What a core function works on.
struct Binding {
  std::shared_ptr<Tables> tables;
  Guest guest;
};

template <typename T>
void Write(uint8_t* at, const T& value) {
  memcpy(at, &value, sizeof value);
}

NumberResult Refused(int number) {
  NumberResult result{};
  result.tag = kError;
  result.error = ErrorCodeOf(number);
  return result;
}

/// Tells a descriptor that was just made, by its handle, or why it was not.
template <typename Holder>
NumberResult Created(int descriptor, Holder& table) {
  if (descriptor == -1) return Refused(errno);
  NumberResult result{};
  result.value = table.Insert(descriptor);
  return result;
}

// In all functions the area for the result is checked first, so that a bad pointer leaves nothing done.

napi_value Create(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  Binding& binding = arguments.Bound<Binding>();
  uint8_t* area = binding.guest.Look(env).At(env, arguments.U32(0), 1, sizeof(NumberResult));
  if (area != nullptr) Write(area, Created(epoll_create1(EPOLL_CLOEXEC), binding.tables->epolls));
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

/// The changes of a batch that failed. Takes memory only if there are any.
class Failures {
 public:
  /// Notes that a change failed; false if there is no memory for that.
  bool Add(uint32_t index, int number, uint32_t length) {
    if (count_ == 0) items_.reset(new (std::nothrow) Failure[length - index]);
    if (items_ == nullptr) return false;
    items_[count_++] = {index, ErrorCodeOf(number)};
    return true;
  }

  uint32_t Count() const { return count_; }

  /// Gives them to the component as a list; false if it had no room for them.
  bool Write(napi_env env, const Guest& guest, Memory& memory, List& list) const;

 private:
  std::unique_ptr<Failure[]> items_;
  uint32_t count_ = 0;
};

/// Makes the changes; false, and an exception, if they cannot be looked at or their verdicts not be kept.
bool Control(napi_env env, const Memory& memory, int epoll, uint32_t pointer, uint32_t length, Failures& failures) {
  const uint8_t* changes = memory.At(env, pointer, length, sizeof(Change));
  if (changes == nullptr) return false;
  for (uint32_t index = 0; index < length; index++) {
    Change change;
    memcpy(&change, changes + index * sizeof change, sizeof change);
    int number = ControlOne(epoll, change);
    if (number == 0 || failures.Add(index, number, length)) continue;
    napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "the component gave more changes than there is memory for");
    return false;
  }
  return true;
}

/// Room for a list in the component, or null if it is empty, or if the component's allocator or what it answered was no
/// good.
uint8_t* MakeRoom(napi_env env, const Guest& guest, Memory& memory, uint32_t count, size_t size, List& list) {
  list = {0, count};
  if (count == 0) return nullptr;
  list.pointer = guest.Allocate(env, count, size, memory);
  bool threw = false;
  napi_is_exception_pending(env, &threw);
  return threw ? nullptr : memory.At(env, list.pointer, count, size);
}

bool Failures::Write(napi_env env, const Guest& guest, Memory& memory, List& list) const {
  uint8_t* room = MakeRoom(env, guest, memory, count_, sizeof(Failure), list);
  if (room == nullptr) return count_ == 0;
  memcpy(room, items_.get(), count_ * sizeof(Failure));
  return true;
}

napi_value ControlFunction(napi_env env, napi_callback_info info) {
  Arguments<4> arguments(env, info);
  Binding& binding = arguments.Bound<Binding>();
  Memory memory = binding.guest.Look(env);
  uint8_t* area = memory.At(env, arguments.U32(3), 1, sizeof(List));
  if (area == nullptr) return nullptr;

  int epoll = binding.tables->epolls.Descriptor(arguments.U32(0));
  Failures failures;
  if (!Control(env, memory, epoll, arguments.U32(1), arguments.U32(2), failures)) return nullptr;

  List list{0, 0};
  if (failures.Count() > 0) {
    if (!failures.Write(env, binding.guest, memory, list)) return nullptr;
    area = memory.At(env, arguments.U32(3), 1, sizeof list);
  }
  if (area != nullptr) Write(area, list);
  return nullptr;
}

timespec Timespec(uint64_t nanoseconds) {
  timespec time;
  time.tv_sec = static_cast<time_t>(nanoseconds / 1'000'000'000);
  time.tv_nsec = static_cast<long>(nanoseconds % 1'000'000'000);
  return time;
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
  Binding& binding = arguments.Bound<Binding>();
  Memory memory = binding.guest.Look(env);
  if (memory.At(env, arguments.U32(6), 1, sizeof(WaitResult)) == nullptr) return nullptr;

  int epoll = binding.tables->epolls.Descriptor(arguments.U32(0));
  Failures failures;
  if (!Control(env, memory, epoll, arguments.U32(1), arguments.U32(2), failures)) return nullptr;

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
    if (count == -1) {
      result.tag = kError;
      result.error.tag = kKernelRefused;
      result.error.kernel = ErrorCodeOf(errno);
    } else if (!WriteEvents(env, binding.guest, memory, ready, count, result.events)) {
      return nullptr;
    }
  }

  uint8_t* area = memory.At(env, arguments.U32(6), 1, sizeof result);
  if (area != nullptr) Write(area, result);
  return nullptr;
}

napi_value DescriptorFunction(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  Binding& binding = arguments.Bound<Binding>();
  uint8_t* area = binding.guest.Look(env).At(env, arguments.U32(1), 1, sizeof(NumberResult));
  if (area == nullptr) return nullptr;
  int descriptor = binding.tables->epolls.Descriptor(arguments.U32(0));
  NumberResult result{};
  result.value = static_cast<uint32_t>(descriptor);
  Write(area, descriptor == -1 ? Refused(EBADF) : result);
  return nullptr;
}

napi_value CloseFunction(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  arguments.Bound<Binding>().tables->epolls.Close(arguments.U32(0));
  return nullptr;
}

napi_value CreateNotifier(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  Binding& binding = arguments.Bound<Binding>();
  uint8_t* area = binding.guest.Look(env).At(env, arguments.U32(0), 1, sizeof(NumberResult));
  if (area != nullptr) Write(area, Created(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), binding.tables->notifiers));
  return nullptr;
}

napi_value AttachNotifier(napi_env env, napi_callback_info info) {
  Arguments<5> arguments(env, info);
  Binding& binding = arguments.Bound<Binding>();
  uint8_t* area = binding.guest.Look(env).At(env, arguments.U32(4), 1, sizeof(NumberResult));
  if (area == nullptr) return nullptr;
  Change change{};
  change.fd = binding.tables->notifiers.Descriptor(arguments.U32(0));
  change.mask = EPOLLIN | EPOLLET;
  change.slot = arguments.U32(2);
  change.generation = arguments.U32(3);
  int number = ControlOne(binding.tables->epolls.Descriptor(arguments.U32(1)), change);
  Write(area, number == 0 ? NumberResult{} : Refused(number));
  return nullptr;
}

napi_value Identify(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  napi_value name;
  napi_create_bigint_uint64(env, arguments.Bound<Binding>().tables->notifiers.Name(arguments.U32(0)), &name);
  return name;
}

napi_value Notify(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  Notifiers::Wake(arguments.Bound<Binding>().tables->notifiers.Descriptor(arguments.U32(0)));
  return nullptr;
}

napi_value CloseNotifier(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  arguments.Bound<Binding>().tables->notifiers.Close(arguments.U32(0));
  return nullptr;
}

struct Function {
  const char* name;
  napi_callback callback;
};

constexpr Function kFunctions[] = {
    {"create", Create},
    {"control", ControlFunction},
    {"wait", WaitFunction},
    {"descriptor", DescriptorFunction},
    {"close", CloseFunction},
    {"createNotifier", CreateNotifier},
    {"attachNotifier", AttachNotifier},
    {"identify", Identify},
    {"notify", Notify},
    {"closeNotifier", CloseNotifier},
};

/// The JavaScript object that holds a table: `NativeKernel` in src/native.ts.
class Kernel : public Napi::ObjectWrap<Kernel> {
 public:
  explicit Kernel(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<Kernel>(info), tables_(std::make_shared<Tables>()) {}

  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "EpollKernel",
                       {InstanceAccessor<&Kernel::Functions>("functions"), InstanceMethod<&Kernel::Bind>("bind"),
                        InstanceMethod<&Kernel::Close>("close")});
  }

 private:
  Napi::Value Functions(const Napi::CallbackInfo& info) {
    Napi::Array names = Napi::Array::New(info.Env());
    for (const Function& function : kFunctions) names[names.Length()] = Napi::String::New(info.Env(), function.name);
    return names;
  }

  Napi::Value Bind(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    std::string name = info[0].ToString();
    for (const Function& function : kFunctions) {
      if (name != function.name) continue;
      // Functions whose types need none get neither memory nor allocator.
      napi_value memory = info[1].IsObject() ? static_cast<napi_value>(info[1]) : nullptr;
      napi_value realloc = info[2].IsFunction() ? static_cast<napi_value>(info[2]) : nullptr;
      std::unique_ptr<Binding> binding(new Binding{tables_, Guest(env, memory, realloc)});
      return Napi::Value(env, lio::Bind(env, function.name, function.callback, std::move(binding)));
    }
    Napi::TypeError::New(env, "epoll has no function " + name).ThrowAsJavaScriptException();
    return env.Undefined();
  }

  void Close(const Napi::CallbackInfo&) {
    tables_->epolls.CloseAll();
    tables_->notifiers.CloseAll();
  }

  std::shared_ptr<Tables> tables_;
};

}  // namespace

Napi::Function EpollKernel(Napi::Env env) {
  return Kernel::Define(env);
}

}  // namespace lio
