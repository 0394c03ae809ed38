// wit/kqueue.wit for macOS and the BSDs: one call of kevent(2) per function, or one per 512 changes.
//
// Relies on kqueue(2) with EV_RECEIPT and EV_DISPATCH, which all of them have, and on EVFILT_USER for notifiers, or a
// pipe where there is none. The systems give the fields of `struct kevent` different types, and FreeBSD's has one
// more: so it is zeroed first, and then filled field by field with conversions to whatever the type is.

#if defined(__has_include)
#if __has_include(<sys/event.h>)
#define LIO_HAS_KQUEUE
#endif
#endif

#if defined(LIO_HAS_KQUEUE)

#include <fcntl.h>
#include <napi.h>
// Some systems' <sys/event.h> does not include what it needs.
#include <sys/event.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <memory>
#include <unordered_map>

#include "../addon.h"
#include "../clock.h"
#include "../descriptor_kernel.h"
#include "../loop.h"
#include "../notifiers.h"

namespace lio {
namespace {

/// In a call. With more, kernels that copy them in one piece may find no memory for it.
constexpr uint32_t kMaxChanges = 512;
constexpr uint32_t kMaxEvents = 2048;

// What the canonical ABI lays out in the component's memory.
struct Change {
  int32_t fd;
  uint32_t generation;
  uint8_t filter;
  uint8_t actions;
  uint8_t padding[2];
};
static_assert(sizeof(Change) == 12, "the canonical ABI's layout");

struct Event {
  int32_t fd;
  uint32_t generation;
  uint8_t filter;
  uint8_t end;
  uint8_t last;
  uint8_t padding;
  uint8_t has_error;
  uint8_t more_padding[3];
  ErrorCode error;
  uint64_t amount;
};
static_assert(sizeof(Event) == 32 && offsetof(Event, error) == 16, "the canonical ABI's layout");

// `filter` in wit/kqueue.wit.
enum Filter : uint8_t { kRead, kWrite, kExcept, kUser };

// The `actions`, bit by bit.
constexpr int kActions[] = {EV_ADD, EV_DELETE, EV_ENABLE, EV_DISABLE, EV_CLEAR, EV_DISPATCH};

template <typename T, typename From>
void Assign(T& field, From value) {
  field = static_cast<T>(value);
}

// NetBSD before 10 keeps a number where the others keep a pointer.
[[maybe_unused]] void Assign(void*& field, uintptr_t value) {
  field = reinterpret_cast<void*>(value);
}

[[maybe_unused]] uintptr_t Number(const void* udata) {
  return reinterpret_cast<uintptr_t>(udata);
}

[[maybe_unused]] uintptr_t Number(intptr_t udata) {
  return static_cast<uintptr_t>(udata);
}

struct kevent Kevent(uintptr_t ident, int filter, int flags, unsigned int fflags, uintptr_t udata) {
  struct kevent event {};
  Assign(event.ident, ident);
  Assign(event.filter, filter);
  Assign(event.flags, flags);
  Assign(event.fflags, fflags);
  Assign(event.udata, udata);
  return event;
}

/// Makes one change, and waits for nothing. Errno, or 0.
int ChangeOne(int kqueue, struct kevent change) {
  const timespec now{};
  return kevent(kqueue, &change, 1, nullptr, 0, &now) == -1 ? errno : 0;
}

// Notifiers -----------------------------------------------------------------------------------------------------------

#if defined(EVFILT_USER)

/// What wakes a kqueue: a user event of its own.
class Wakeup {
 public:
  static int Make(Wakeup&) { return 0; }

  int Attach(int kqueue) {
    kqueue_ = kqueue;
    return ChangeOne(kqueue, Kevent(0, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_FFNOP, 0));
  }

  /// The descriptor that its kqueue watches: none.
  int Watched() const { return -1; }

  /// -1 if it is attached to none.
  int Kqueue() const { return kqueue_; }

  /// What `Wake` needs. -1 leads to EBADF and to nothing else.
  intptr_t Handle() const { return kqueue_; }

  static void Wake(intptr_t kqueue) { ChangeOne(static_cast<int>(kqueue), Kevent(0, EVFILT_USER, 0, NOTE_TRIGGER, 0)); }

  void Detach() { kqueue_ = -1; }
  void Close() { kqueue_ = -1; }

  static bool Takes(const struct kevent& event) { return event.filter == EVFILT_USER; }

 private:
  int kqueue_ = -1;
};

#else

/// What wakes a kqueue: a pipe that it watches. Notifications that the pipe has no room for are told by those in it.
class Wakeup {
 public:
  static int Make(Wakeup& wakeup) {
    if (pipe2(wakeup.ends_, O_CLOEXEC | O_NONBLOCK) == -1) return errno;
    for (int& end : wakeup.ends_) end = RaiseNumber(end);
    return 0;
  }

  int Attach(int kqueue) {
    kqueue_ = kqueue;
    return ChangeOne(kqueue, Kevent(ends_[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, Mark()));
  }

  /// The descriptor that its kqueue watches.
  int Watched() const { return ends_[0]; }

  /// -1 if it is attached to none.
  int Kqueue() const { return kqueue_; }

  intptr_t Handle() const { return ends_[1]; }

  static void Wake(intptr_t end) {
    const char byte = 0;
    while (write(static_cast<int>(end), &byte, 1) == -1 && errno == EINTR) continue;
  }

  void Detach() { kqueue_ = -1; }

  void Close() {
    for (int& end : ends_) {
      if (end != -1) close(end);
      end = -1;
    }
    kqueue_ = -1;
  }

  /// Whether an event is a notification, which then is taken out of the pipe.
  static bool Takes(const struct kevent& event) {
    if (event.filter != EVFILT_READ || Number(event.udata) != Mark()) return false;
    char bytes[512];
    while (read(static_cast<int>(event.ident), bytes, sizeof bytes) > 0) continue;
    return true;
  }

 private:
  /// No registration is known by this: generations have 32 bits, and count from 1.
  static uintptr_t Mark() { return sizeof(uintptr_t) > 4 ? ~static_cast<uintptr_t>(0) : 0; }

  int kqueue_ = -1;
  int ends_[2] = {-1, -1};
};

#endif

/// The notifiers of one component instance by handle, each with the name by which other threads know it.
class Notifiers {
 public:
  Notifiers() = default;
  ~Notifiers() { CloseAll(); }
  Notifiers(const Notifiers&) = delete;
  Notifiers& operator=(const Notifiers&) = delete;

  NumberResult Create() {
    Notifier notifier;
    int number = Wakeup::Make(notifier.wakeup);
    if (number != 0) return Refused(number);
    notifier.name = RegisterNotifier(Wakeup::Wake, -1);
    watched_.Add(notifier.wakeup.Watched());
    return Succeeded(table_.Insert(notifier));
  }

  int Attach(uint32_t handle, int kqueue) {
    Notifier* notifier = table_.Find(handle);
    if (notifier == nullptr || kqueue == -1) return EBADF;
    Detach(handle, *notifier);
    int number = notifier->wakeup.Attach(kqueue);
    attached_.emplace(kqueue, handle);
    MoveNotifier(notifier->name, number == 0 ? notifier->wakeup.Handle() : -1);
    return number;
  }

  /// Whether a descriptor is one of theirs that is watched. A program can name it only by the number of a file that it
  /// has closed.
  bool Has(int descriptor) const { return watched_.Has(descriptor); }

  /// A kqueue is about to be closed: from here on no thread wakes it.
  void DetachFrom(int kqueue) {
    for (auto found = attached_.find(kqueue); found != attached_.end(); found = attached_.find(kqueue)) {
      Detach(found->second, *table_.Find(found->second));
    }
  }

  /// 0 for a handle that is not given out.
  uint64_t Name(uint32_t handle) const {
    const Notifier* notifier = table_.Find(handle);
    return notifier == nullptr ? 0 : notifier->name;
  }

  void Close(uint32_t handle) {
    Notifier* notifier = table_.Find(handle);
    if (notifier == nullptr) return;
    // First the name: another thread may be about to use it.
    ForgetNotifier(notifier->name);
    Detach(handle, *notifier);
    watched_.Remove(notifier->wakeup.Watched());
    notifier->wakeup.Close();
    table_.Take(handle);
  }

  void CloseAll() {
    for (uint32_t handle = 0; handle < table_.Size(); handle++) Close(handle);
  }

 private:
  struct Notifier {
    uint64_t name = 0;
    Wakeup wakeup;
  };

  /// From the kqueue that it is attached to, if there is one.
  void Detach(uint32_t handle, Notifier& notifier) {
    auto [from, to] = attached_.equal_range(notifier.wakeup.Kqueue());
    for (auto place = from; place != to; ++place) {
      if (place->second != handle) continue;
      attached_.erase(place);
      break;
    }
    MoveNotifier(notifier.name, -1);
    notifier.wakeup.Detach();
  }

  Table<Notifier> table_;
  /// Which are attached to a kqueue: one, as a rule.
  std::unordered_multimap<int, uint32_t> attached_;
  Numbers watched_;
};

/// libuv adds it with the same filter and flags, and adding twice is adding once: see uv__io_poll in its
/// src/unix/kqueue.c. A loop that is no kqueue, as in tests, says EBADF, and sees to it by itself.
int Enlist(int backend, int descriptor) {
  const int number = ChangeOne(backend, Kevent(static_cast<uintptr_t>(descriptor), EVFILT_READ, EV_ADD, 0, 0));
  return number == EBADF ? 0 : number;
}

/// All that one component instance holds.
struct Tables {
  Descriptors objects;
  Notifiers notifiers;
  /// Where events land before they are written to the component: too many for a stack.
  std::unique_ptr<struct kevent[]> landing{new struct kevent[kMaxEvents]};

  void Close(uint32_t handle) {
    int kqueue = objects.Find(handle);
    if (kqueue == -1) return;
    notifiers.DetachFrom(kqueue);
    objects.Close(handle);
  }

  Napi::Value Deliver(Napi::Env env, uint32_t handle, Napi::Function wake, bool in_loop) {
    return DeliverDescriptor(env, objects.Find(handle), wake, in_loop, Enlist);
  }

  void CloseAll() {
    notifiers.CloseAll();
    objects.CloseAll();
  }
};

using KqueueBinding = Binding<Tables>;

// Changes -------------------------------------------------------------------------------------------------------------

/// What a change is for kevent(2). Errno if it cannot be one, or 0.
int Translate(const Change& change, int more_flags, const Notifiers& notifiers, struct kevent& event) {
  if (change.fd < 0 || notifiers.Has(change.fd)) return EBADF;
  int flags = more_flags;
  for (size_t bit = 0; bit < std::size(kActions); bit++) {
    if (change.actions & 1 << bit) flags |= kActions[bit];
  }
  unsigned int fflags = 0;
  int filter;
  switch (change.filter) {
    case kRead:
      filter = EVFILT_READ;
      break;
    case kWrite:
      filter = EVFILT_WRITE;
      break;
    case kExcept:
#if defined(EVFILT_EXCEPT)
      filter = EVFILT_EXCEPT;
      fflags = NOTE_OOB;
      break;
#else
      return ENOTSUP;
#endif
    default:
      return EINVAL;
  }
  event = Kevent(static_cast<uintptr_t>(change.fd), filter, flags, fflags, change.generation);
  return 0;
}

/// Changes that are on their way to the kernel, with their places in the component's list.
class Batch {
 public:
  Batch(int more_flags, const Notifiers& notifiers) : more_flags_(more_flags), notifiers_(notifiers) {}

  bool IsFull() const { return count_ == kMaxChanges; }
  uint32_t Count() const { return count_; }
  const struct kevent* Changes() const { return changes_; }
  uint32_t Place(uint32_t index) const { return places_[index]; }
  void Clear() { count_ = 0; }

  /// Errno if the change never reaches the kernel, or 0.
  int Add(const Change& change, uint32_t place) {
    int number = Translate(change, more_flags_, notifiers_, changes_[count_]);
    if (number == 0) places_[count_++] = place;
    return number;
  }

 private:
  const int more_flags_;
  const Notifiers& notifiers_;
  uint32_t count_ = 0;
  struct kevent changes_[kMaxChanges];
  uint32_t places_[kMaxChanges];
};

/// What the kernel's error says of a change. FreeBSD looks first whether the number names the kqueue itself, and says
/// EINVAL; the others say that there is no such filter, which is so: nothing but EV_ADD makes one.
int MeaningOf(const struct kevent& change, int number) {
  return number == EINVAL && (change.flags & EV_ADD) == 0 ? ENOENT : number;
}

/// Sends a batch whose every change is answered by a receipt. False, and an exception, if there is no memory for
/// failures.
bool Send(napi_env env, int kqueue, Batch& batch, uint32_t length, Failures& failures) {
  struct kevent receipts[kMaxChanges];
  const timespec now{};
  const int count = static_cast<int>(batch.Count());
  const int received = kevent(kqueue, batch.Changes(), count, receipts, count, &now);
  // A signal comes after the changes were made.
  const int whole = received == -1 && errno != EINTR ? errno : 0;
  for (int i = 0; i < count; i++) {
    const int number = i < received ? MeaningOf(batch.Changes()[i], static_cast<int>(receipts[i].data)) : whole;
    if (number != 0 && !failures.Add(env, batch.Place(i), number, length)) return false;
  }
  batch.Clear();
  return true;
}

/// Makes the changes; false, and an exception, if they cannot be looked at or their verdicts not be kept.
bool Control(napi_env env, const Memory& memory, const Tables& tables, int kqueue, uint32_t pointer, uint32_t length,
             Failures& failures) {
  const uint8_t* changes = memory.At(env, pointer, length, sizeof(Change));
  if (changes == nullptr) return false;
  Batch batch(EV_RECEIPT, tables.notifiers);
  for (uint32_t index = 0; index < length; index++) {
    Change change;
    memcpy(&change, changes + index * sizeof change, sizeof change);
    int number = kqueue == -1 ? EBADF : batch.Add(change, index);
    if (number != 0 && !failures.Add(env, index, number, length)) return false;
    if (batch.IsFull() && !Send(env, kqueue, batch, length, failures)) return false;
  }
  return batch.Count() == 0 || Send(env, kqueue, batch, length, failures);
}

// The functions -------------------------------------------------------------------------------------------------------
//
// In all of them the area for the result is checked first, so that a bad pointer leaves nothing done.

int Open() {
  // Only this process's own exec could take it along in between: a child of fork(2) does not inherit it, says
  // kqueue(2).
  int descriptor = kqueue();
  if (descriptor != -1) fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  return RaiseNumber(descriptor);
}

napi_value Create(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  KqueueBinding& binding = arguments.Bound<KqueueBinding>();
  uint8_t* area = binding.guest.Look(env).At(env, arguments.U32(0), 1, sizeof(NumberResult));
  if (area != nullptr) Write(area, Created(Open(), binding.tables->objects));
  return nullptr;
}

/// What an event is for the component. False if it is none of its filters': such a one was never asked for.
bool Tell(const struct kevent& raw, Event& event) {
  event = {};
  if (Wakeup::Takes(raw)) {
    event.filter = kUser;
    return true;
  }
  if (raw.filter == EVFILT_READ) {
    event.filter = kRead;
  } else if (raw.filter == EVFILT_WRITE) {
    event.filter = kWrite;
#if defined(EVFILT_EXCEPT)
  } else if (raw.filter == EVFILT_EXCEPT) {
    event.filter = kExcept;
#endif
  } else {
    return false;
  }
  event.fd = static_cast<int32_t>(raw.ident);
  event.generation = static_cast<uint32_t>(Number(raw.udata));
  event.end = (raw.flags & EV_EOF) != 0;
  event.last = (raw.flags & EV_ONESHOT) != 0;
  if (event.end && event.filter != kExcept && raw.fflags != 0) {
    event.has_error = 1;
    event.error = ErrorCodeOf(static_cast<int>(raw.fflags));
  }
  event.amount = raw.data > 0 ? static_cast<uint64_t>(raw.data) : 0;
  return true;
}

/// Gives the kernel's events to the component; false if it had no room for them.
bool WriteEvents(napi_env env, const Guest& guest, Memory& memory, const struct kevent* ready, int count, List& list) {
  uint8_t* room = MakeRoom(env, guest, memory, count, sizeof(Event), list);
  if (room == nullptr) return count == 0;
  list.length = 0;
  for (int i = 0; i < count; i++) {
    Event event;
    if (Tell(ready[i], event)) Write(room + list.length++ * sizeof event, event);
  }
  return true;
}

/// Notes the changes that were refused, of whose errors events tell, in order.
bool NoteRefused(napi_env env, const Batch& batch, const struct kevent* errors, int count, Failures& failures) {
  uint32_t index = 0;
  for (int i = 0; i < count; i++) {
    const struct kevent& error = errors[i];
    if ((error.flags & EV_ERROR) == 0) continue;
    while (index < batch.Count() &&
           (batch.Changes()[index].ident != error.ident || batch.Changes()[index].filter != error.filter)) {
      index++;
    }
    if (index == batch.Count()) break;
    const int number = MeaningOf(batch.Changes()[index], static_cast<int>(error.data));
    if (!failures.Add(env, batch.Place(index++), number, batch.Count())) return false;
  }
  return true;
}

/// The wait, once its changes are in a batch. False if there is an exception.
bool Wait(napi_env env, KqueueBinding& binding, Memory& memory, int kqueue, const Batch& batch, uint32_t capacity,
          const timespec* timeout, WaitResult& result) {
  struct kevent* landing = binding.tables->landing.get();
  // An error for which there is no room would end the call before the other changes are made.
  const int room = static_cast<int>(std::max(capacity, batch.Count()));
  int count = kevent(kqueue, batch.Changes(), static_cast<int>(batch.Count()), landing, room, timeout);
  // A signal ends it without events, after the changes were made.
  if (count == -1 && errno == EINTR) count = 0;
  if (count == -1) {
    result.tag = kError;
    result.error.tag = kKernelRefused;
    result.error.kernel = ErrorCodeOf(errno);
    return true;
  }
  Failures failures;
  if (batch.Count() > 0 && !NoteRefused(env, batch, landing, count, failures)) return false;
  if (failures.Count() == 0) {
    if (timeout != nullptr) result.waited.moment = Now();
    return WriteEvents(env, binding.guest, memory, landing, count, result.waited.events);
  }
  result.tag = kError;
  result.error.tag = kChangesRefused;
  return failures.Write(env, binding.guest, memory, result.error.changes);
}

napi_value WaitFunction(napi_env env, napi_callback_info info) {
  Arguments<7> arguments(env, info);
  KqueueBinding& binding = arguments.Bound<KqueueBinding>();
  Memory memory = binding.guest.Look(env);
  if (WaitArea(env, memory, arguments.U32(6)) == nullptr) return nullptr;
  const uint32_t length = arguments.U32(2);
  const uint32_t capacity = arguments.U32(3);
  const uint8_t* changes = memory.At(env, arguments.U32(1), length, sizeof(Change));
  if (changes == nullptr) return nullptr;

  const int kqueue = binding.tables->objects.Find(arguments.U32(0));
  WaitResult result{};
  if (capacity == 0 || capacity > kMaxEvents || length > kMaxChanges) {
    result.tag = kError;
    result.error.tag = kKernelRefused;
    result.error.kernel = ErrorCodeOf(EINVAL);
  } else {
    Batch batch(0, binding.tables->notifiers);
    bool can_be_made = true;
    for (uint32_t index = 0; index < length && can_be_made; index++) {
      Change change;
      memcpy(&change, changes + index * sizeof change, sizeof change);
      can_be_made = batch.Add(change, index) == 0;
    }
    if (can_be_made) {
      const timespec timeout = Timespec(arguments.U64(5));
      const timespec* limit = arguments.U32(4) == 0 ? nullptr : &timeout;
      if (!Wait(env, binding, memory, kqueue, batch, capacity, limit, result)) return nullptr;
    } else {
      Failures failures;
      if (!Control(env, memory, *binding.tables, kqueue, arguments.U32(1), length, failures)) return nullptr;
      result.tag = kError;
      result.error.tag = kChangesRefused;
      if (!failures.Write(env, binding.guest, memory, result.error.changes)) return nullptr;
    }
  }

  uint8_t* area = WaitArea(env, memory, arguments.U32(6));
  if (area != nullptr) Write(area, result);
  return nullptr;
}

napi_value CreateNotifier(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  KqueueBinding& binding = arguments.Bound<KqueueBinding>();
  uint8_t* area = binding.guest.Look(env).At(env, arguments.U32(0), 1, sizeof(NumberResult));
  if (area != nullptr) Write(area, binding.tables->notifiers.Create());
  return nullptr;
}

napi_value AttachNotifier(napi_env env, napi_callback_info info) {
  Arguments<3> arguments(env, info);
  KqueueBinding& binding = arguments.Bound<KqueueBinding>();
  uint8_t* area = binding.guest.Look(env).At(env, arguments.U32(2), 1, sizeof(NumberResult));
  if (area == nullptr) return nullptr;
  int kqueue = binding.tables->objects.Find(arguments.U32(1));
  int number = binding.tables->notifiers.Attach(arguments.U32(0), kqueue);
  Write(area, number == 0 ? NumberResult{} : Refused(number));
  return nullptr;
}

napi_value Notify(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  NotifyByName(arguments.Bound<KqueueBinding>().tables->notifiers.Name(arguments.U32(0)));
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

const Kernel registered("kqueue", KernelObject<Tables, kFunctions>::Define);

}  // namespace
}  // namespace lio

#endif  // LIO_HAS_KQUEUE
