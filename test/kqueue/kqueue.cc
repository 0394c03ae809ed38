// kqueue(2) on Linux, for tests alone: what is written for the BSDs runs here, against real sockets and pipes.
//
// Written from the manuals; where they are silent or disagree, from FreeBSD's sys/kern/kern_event.c, whose structure
// this follows: knotes are activated by what happens to a descriptor (KNOTE), wait in a queue, and their filter is run
// again before they are reported (kqueue_scan). Quoted sentences are FreeBSD's kqueue(2) unless another system is
// named.
//
// How it is built on epoll(7):
// - A queue is an epoll descriptor, so that poll(2), epoll and libuv can wait for it. Nothing else belongs to one
//   queue, so that a plain close(2) of that number, by whomever, leaves nothing open. Two descriptors belong to the
//   process and are opened when this is loaded: the doorbell, an eventfd that is always readable, and the registry, an
//   epoll.
// - Descriptors are registered edge-triggered, as the source of KNOTE only, and only while a knote is enabled: those
//   to read in the queue's own epoll, those to write in the registry, which holds all others for nothing. Two
//   registrations, because one would let what can be read activate the filter for writing again, which EV_CLEAR would
//   show. A queue with filters for writing holds the registry.
// - The queue is readable while knotes wait in it: it holds the doorbell, armed as long.
// - "Calling close on a file descriptor will remove any kevents that reference the descriptor", whatever duplicates
//   there are, while epoll forgets a file with its last descriptor. close, dup2 and dup3 of what this is linked into
//   are therefore ours: hidden symbols, which shadow the C library's in this program or shared object alone and need
//   no flag of the linker's. What others close is noticed late but in time: before a change and before a report the
//   registry is asked whether the number still names the file that was registered (adding it again must say EEXIST,
//   which changes nothing; EPOLL_CTL_MOD would be an edge of its own). A file that was closed behind our back while a
//   duplicate lives keeps its registration, which nothing can remove; being edge-triggered it does not spin, and its
//   serial number tells that it is nobody's. So no epoll ever has to be replaced.
//
// Decided where manual and kernel differ:
// - EV_ADD of what exists does not enable it, nor change its EV_CLEAR, EV_ONESHOT and EV_DISPATCH: so in FreeBSD,
//   NetBSD, OpenBSD and macOS, though the manual says "adding an event automatically enables it". What runs there has
//   to cope.
// - EV_ONESHOT runs the filter again before it reports, as the manual says ("the filter is also run when the user
//   attempts to retrieve the kevent"), and as OpenBSD and macOS do, but not FreeBSD.
// - EV_DISPATCH with EV_CLEAR disables, as in FreeBSD; in NetBSD's kqueue_scan EV_CLEAR alone counts then.
// - NOTE_TRIGGER in the EV_ADD itself triggers, as in OpenBSD, DragonFly and macOS; FreeBSD and NetBSD overlook it.
//
// Limits:
// - EVFILT_TIMER, EVFILT_VNODE, EVFILT_PROC, EVFILT_SIGNAL and the rest are EINVAL. See filters.cc for the three
//   others.
// - If somebody else closes a number, and gives it back to the same file, the knotes are still there.
// - A change of a socket's state, such as the peer's FIN, activates both its filters: EV_CLEAR may report writable
//   again.
// - A queue's descriptor may look readable while another queue's filter for writing has fired.
// - A duplicate of a queue's descriptor is EBADF for kevent() unless what this is linked into has made it, by fcntl().
//   More than some 500 queues with filters for writing at once exceed what epoll allows of nesting, which is EINVAL.
// - A child does not inherit queues over fork(2), but does over vfork(2) and posix_spawn(3), unless they are
//   close-on-exec.

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/event.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdarg>
#include <ctime>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <unordered_map>
#include <vector>

#include "emulation.h"
#include "filters.h"

namespace kqueue_emulation {
namespace {

constexpr int kBatch = 256;
constexpr uint64_t kDoorbell = UINT64_MAX;
constexpr uint64_t kRegistry = UINT64_MAX - 1;
constexpr uint32_t kReadEdges = EPOLLIN | EPOLLPRI | EPOLLET;
constexpr uint32_t kWriteEdges = EPOLLOUT | EPOLLET;
constexpr uint32_t kNoEdges = EPOLLET;

/// One kevent that was added: its (ident, filter) in one queue.
struct Knote {
  /// What is reported: as the user gave it, with what the filter said when it ran last.
  struct kevent event;
  /// The fflags and data that the user gave to the filter.
  uint32_t fflags;
  int64_t data;
  /// What the filter said holds since it was last reported.
  bool active = false;
  /// Waits in the queue at `place`, whether or not it has been disabled since.
  bool queued = false;
  std::list<Knote*>::iterator place;
  bool disabled = false;
  /// EVFILT_USER: NOTE_TRIGGER was given.
  bool triggered = false;
};

enum Slot { kRead, kWrite, kExcept, kSlots };

/// The knotes of one descriptor number in one queue, by slot.
struct Knotes {
  std::array<std::unique_ptr<Knote>, kSlots> knotes;
  /// Whether the queue's epoll holds the descriptor.
  bool reads = false;
  /// Whether the registry is to tell this queue of what can be written.
  bool writes = false;

  bool Empty() const {
    return std::all_of(knotes.begin(), knotes.end(), [](auto& knote) { return knote == nullptr; });
  }
  bool Enabled(Slot slot) const { return knotes[slot] != nullptr && !knotes[slot]->disabled; }
};

struct Queue {
  explicit Queue(int descriptor) : fd(descriptor) {}

  int fd;
  std::list<Knote*> ready;
  bool doorbell_armed = false;
  /// How many descriptors it has whose `Knotes::writes` is set.
  int writers = 0;
  std::unordered_map<uintptr_t, Knote> users;
  /// The descriptor numbers with knotes here.
  std::set<int> numbers;
  /// Those that epoll does not take.
  std::set<int> regulars;
};

/// A descriptor number that knotes reference, and what it names.
struct Number {
  File file;
  /// Tells the registrations of what this number named before.
  uint32_t serial;
  bool registered = false;
  int writers = 0;
  std::map<Queue*, Knotes> knotes;
};

int SystemClose(int fd) {
  return static_cast<int>(syscall(SYS_close, fd));
}

int Control(int epoll, int operation, int fd, uint32_t events, uint64_t token) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = token;
  return epoll_ctl(epoll, operation, fd, &event) == 0 ? 0 : errno;
}

/// Registers a file, also if it still is because its number was closed behind our back and came back.
int Watch(int epoll, int fd, uint32_t events, uint64_t token) {
  int error = Control(epoll, EPOLL_CTL_ADD, fd, events, token);
  return error == EEXIST ? Control(epoll, EPOLL_CTL_MOD, fd, events, token) : error;
}

void Unwatch(int epoll, int fd) {
  Control(epoll, EPOLL_CTL_DEL, fd, 0, 0);
}

/// Whether the file that the number names now is registered. Changes nothing.
bool Watches(int epoll, int fd) {
  int error = Control(epoll, EPOLL_CTL_ADD, fd, 0, 0);
  if (error == 0) Unwatch(epoll, fd);
  return error == EEXIST;
}

int FileSlot(int filter) {
  if (filter == EVFILT_READ) return kRead;
  if (filter == EVFILT_WRITE) return kWrite;
#if defined(EVFILT_EXCEPT)
  if (filter == EVFILT_EXCEPT) return kExcept;
#endif
  return -1;
}

uint64_t Token(const Number& number, int fd) {
  return uint64_t{number.serial} << 32 | static_cast<uint32_t>(fd);
}

// kqueue_register: the parameters that a change gives to a new knote.
Knote Made(const struct kevent& change) {
  Knote knote{};
  knote.event = change;
  knote.event.flags &= ~(EV_ADD | EV_DELETE | EV_ENABLE | EV_DISABLE);
  knote.event.fflags = 0;
  knote.event.data = 0;
  knote.fflags = change.fflags;
  knote.data = change.data;
  knote.disabled = (change.flags & EV_DISABLE) != 0;
  return knote;
}

// kqueue_register: what a change does to a knote that exists, but for its filter's parameters. "EV_KEEPUDATA: preserve
// the udata associated with an existing event".
void Modify(Knote& knote, const struct kevent& change) {
  if ((change.flags & EV_ENABLE) != 0) knote.disabled = false;
  if ((change.flags & EV_DISABLE) != 0) knote.disabled = true;
#if defined(EV_KEEPUDATA)
  if ((change.flags & EV_KEEPUDATA) != 0) return;
#endif
  knote.event.udata = change.udata;
}

void Enqueue(Queue& queue, Knote& knote) {
  knote.queued = true;
  knote.place = queue.ready.insert(queue.ready.end(), &knote);
}

// KNOTE_ACTIVATE. A disabled knote is activated too ("The filter itself is not disabled") and waits for EV_ENABLE.
void Activate(Queue& queue, Knote& knote) {
  knote.active = true;
  if (!knote.queued && !knote.disabled) Enqueue(queue, knote);
}

void Dequeue(Queue& queue, Knote& knote) {
  if (knote.queued) queue.ready.erase(knote.place);
  knote.queued = false;
}

bool NothingLeft(const timespec& deadline, timespec& left) {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  left.tv_sec = deadline.tv_sec - now.tv_sec;
  left.tv_nsec = deadline.tv_nsec - now.tv_nsec;
  if (left.tv_nsec < 0) {
    left.tv_nsec += 1'000'000'000;
    left.tv_sec--;
  }
  return left.tv_sec < 0 || (left.tv_sec == 0 && left.tv_nsec == 0);
}

timespec After(const timespec& timeout) {
  timespec deadline;
  clock_gettime(CLOCK_MONOTONIC, &deadline);
  // Thirty years are as good as more, and cannot overflow.
  deadline.tv_sec += std::min<time_t>(timeout.tv_sec, 1'000'000'000);
  deadline.tv_nsec += timeout.tv_nsec;
  if (deadline.tv_nsec >= 1'000'000'000) {
    deadline.tv_nsec -= 1'000'000'000;
    deadline.tv_sec++;
  }
  return deadline;
}

/// All queues of the process. One lock guards all of it; nothing waits while it is held.
class Emulation {
 public:
  Emulation() { OpenShared(); }

  int Create(int flags);
  int Kevent(int kq, const struct kevent* changes, int nchanges, struct kevent* events, int nevents,
             const timespec* timeout);
  /// A number is about to be closed.
  void Closing(int fd);
  /// A number was duplicated.
  void Duplicated(int fd, int duplicate);

  void BeforeFork() { lock_.lock(); }
  void AfterForkInParent() { lock_.unlock(); }
  void AfterForkInChild();

 private:
  bool OpenShared();
  Queue* Find(int kq);
  void Destroy(int kq);
  void DestroyStale(int kq);

  bool StillNames(int fd, const Number& number);
  Number* Identify(int fd);
  void Forget(int fd);

  int Register(Queue& queue, const struct kevent& change);
  int RegisterUser(Queue& queue, const struct kevent& change);
  int RegisterFile(Queue& queue, const struct kevent& change);
  int Attach(Queue& queue, int fd, Number& number, int slot, const struct kevent& change);
  int Arrange(Queue& queue, int fd, Number& number);
  void Detach(Queue& queue, int fd, Number& number, int slot);
  void DetachAll(Queue& queue, int fd);

  bool Evaluate(Knote& knote);
  void Harvest(Queue& queue);
  void HarvestRegistry();
  void Touch(Queue& queue, Knotes& knotes, std::initializer_list<Slot> slots);
  int Scan(Queue& queue, struct kevent* events, int nevents);
  bool Report(Queue& queue, Knote& knote, struct kevent& event);
  void Rearrange(Queue& queue, const Knote& knote);
  void Drop(Queue& queue, Knote& knote);
  void RingDoorbell(Queue& queue);

  std::mutex lock_;
  int doorbell_ = -1;
  int registry_ = -1;
  uint32_t serial_ = 0;
  /// By every number that names one: duplicates share it.
  std::unordered_map<int, std::shared_ptr<Queue>> queues_;
  std::unordered_map<int, Number> numbers_;
};

bool Emulation::OpenShared() {
  if (doorbell_ == -1) doorbell_ = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
  if (registry_ == -1) registry_ = epoll_create1(EPOLL_CLOEXEC);
  return doorbell_ != -1 && registry_ != -1;
}

int Emulation::Create(int flags) {
  std::lock_guard guard(lock_);
  if (!OpenShared()) return -1;
  int fd = epoll_create1(flags);
  if (fd == -1) return -1;
  int error = Control(fd, EPOLL_CTL_ADD, doorbell_, 0, kDoorbell);
  if (error != 0) {
    SystemClose(fd);
    errno = error;
    return -1;
  }
  if (queues_.count(fd) > 0) DestroyStale(fd);
  queues_[fd] = std::make_shared<Queue>(fd);
  return fd;
}

// "The queue is not inherited by a child created with fork."
void Emulation::AfterForkInChild() {
  for (auto& [fd, queue] : queues_) SystemClose(fd);
  for (int* shared : {&doorbell_, &registry_}) {
    SystemClose(*shared);
    *shared = -1;
  }
  queues_.clear();
  numbers_.clear();
  lock_.unlock();
}

/// The queue that a descriptor is, or null. Whoever closed it may not have told us.
Queue* Emulation::Find(int kq) {
  auto found = queues_.find(kq);
  if (found == queues_.end()) return nullptr;
  if (Watches(kq, doorbell_)) return found->second.get();
  DestroyStale(kq);
  return nullptr;
}

void Emulation::Destroy(int kq) {
  std::shared_ptr<Queue> queue = std::move(queues_[kq]);
  queues_.erase(kq);
  for (auto& [number, other] : queues_) {
    if (other != queue) continue;
    queue->fd = number;
    return;
  }
  while (!queue->numbers.empty()) DetachAll(*queue, *queue->numbers.begin());
}

/// Destroys a queue whose number others have closed, and may have given to another epoll.
void Emulation::DestroyStale(int kq) {
  queues_[kq]->fd = -1;
  Destroy(kq);
}

bool Emulation::StillNames(int fd, const Number& number) {
  if (number.file.kind != File::Kind::kRegular) return Watches(registry_, fd);
  File now = Examine(fd);
  return now.kind == File::Kind::kRegular && now.device == number.file.device && now.inode == number.file.inode;
}

/// What is known of a number, or null if no knote references what it names.
Number* Emulation::Identify(int fd) {
  auto found = numbers_.find(fd);
  if (found == numbers_.end()) return nullptr;
  if (StillNames(fd, found->second)) return &found->second;
  Forget(fd);
  return nullptr;
}

// knote_fdclose.
void Emulation::Forget(int fd) {
  for (auto found = numbers_.find(fd); found != numbers_.end(); found = numbers_.find(fd)) {
    Queue& queue = *found->second.knotes.begin()->first;
    DetachAll(queue, fd);
    RingDoorbell(queue);
  }
}

void Emulation::Closing(int fd) {
  std::lock_guard guard(lock_);
  if (queues_.count(fd) > 0) Destroy(fd);
  Forget(fd);
}

void Emulation::Duplicated(int fd, int duplicate) {
  std::lock_guard guard(lock_);
  if (queues_.count(duplicate) > 0) DestroyStale(duplicate);
  if (Find(fd) != nullptr) queues_[duplicate] = queues_[fd];
}

int Emulation::Register(Queue& queue, const struct kevent& change) {
#if !defined(KQUEUE_EMULATION_MACOS)
  if ((change.flags & EV_ENABLE) != 0 && (change.flags & EV_DISABLE) != 0) return EINVAL;
  // "This flag may not be used with EV_ADD."
  if ((change.flags & EV_KEEPUDATA) != 0 && (change.flags & EV_ADD) != 0) return EINVAL;
#endif
  if (change.filter == EVFILT_USER) return RegisterUser(queue, change);
  // "EINVAL: The specified time limit or filter is invalid."
  return FileSlot(change.filter) == -1 ? EINVAL : RegisterFile(queue, change);
}

uint32_t Combined(uint32_t flags, uint32_t change) {
  uint32_t given = change & NOTE_FFLAGSMASK;
  switch (change & NOTE_FFCTRLMASK) {
    case NOTE_FFAND:
      return flags & given;
    case NOTE_FFOR:
      return flags | given;
    case NOTE_FFCOPY:
      return given;
    default:
      return flags;
  }
}

// filt_userattach, and filt_usertouch with EVENT_REGISTER.
int Emulation::RegisterUser(Queue& queue, const struct kevent& change) {
  auto found = queue.users.find(change.ident);
  bool fresh = found == queue.users.end();
  if (fresh) {
    if ((change.flags & EV_ADD) == 0) return ENOENT;
    found = queue.users.emplace(change.ident, Made(change)).first;
    found->second.fflags &= NOTE_FFLAGSMASK;
  } else if ((change.flags & EV_DELETE) != 0) {
    Dequeue(queue, found->second);
    queue.users.erase(found);
    return 0;
  }
  Knote& knote = found->second;
  if ((change.fflags & NOTE_TRIGGER) != 0) knote.triggered = true;
  if (!fresh) {
    Modify(knote, change);
    knote.fflags = Combined(knote.fflags, change.fflags);
    knote.data = change.data;
#if !defined(KQUEUE_EMULATION_MACOS)
    // Even together with NOTE_TRIGGER, which then does nothing; so in OpenBSD too.
    if ((change.flags & EV_CLEAR) != 0) knote.triggered = false;
#endif
  }
  if (knote.triggered) Activate(queue, knote);
  return 0;
}

int Emulation::RegisterFile(Queue& queue, const struct kevent& change) {
  // Before anything else, so that also a deletion is EBADF: "The specified descriptor is invalid."
  if (change.ident > INT_MAX) return EBADF;
  int fd = static_cast<int>(change.ident);
  if (fcntl(fd, F_GETFD) == -1) return EBADF;
  const auto itself = queues_.find(fd);
  if (itself != queues_.end() && itself->second.get() == &queue) return EINVAL;

  int slot = FileSlot(change.filter);
  Number* number = Identify(fd);
  Knote* knote = nullptr;
  if (number != nullptr) {
    auto knotes = number->knotes.find(&queue);
    if (knotes != number->knotes.end()) knote = knotes->second.knotes[slot].get();
  }

  if (knote == nullptr) {
    // "ENOENT: The event could not be found to be modified or deleted."
    if ((change.flags & EV_ADD) == 0) return ENOENT;
    File file = number == nullptr ? Examine(fd) : number->file;
    int error = Attachable(fd, file, change.filter);
    if (error != 0) return error;
    if (number == nullptr) number = &numbers_.emplace(fd, Number{file, ++serial_, false, 0, {}}).first->second;
    return Attach(queue, fd, *number, slot, change);
  }
  if ((change.flags & EV_DELETE) != 0) {
    Detach(queue, fd, *number, slot);
    return 0;
  }
  Modify(*knote, change);
  knote->fflags = change.fflags;
  knote->data = change.data;
  int error = Arrange(queue, fd, *number);
  if (error != 0) return error;
  // So that EV_ENABLE, or any change, of an EV_CLEAR knote reports anew what still holds.
  if (!knote->disabled && (knote->active || Evaluate(*knote))) Activate(queue, *knote);
  return 0;
}

int Emulation::Attach(Queue& queue, int fd, Number& number, int slot, const struct kevent& change) {
  auto& place = number.knotes[&queue].knotes[slot];
  place = std::make_unique<Knote>(Made(change));
  queue.numbers.insert(fd);
  int error = Arrange(queue, fd, number);
  if (error != 0) {
    Detach(queue, fd, number, slot);
    return error;
  }
  // "The filter is executed upon the initial registration of a kevent in order to detect whether a preexisting
  // condition is present".
  if (!place->disabled && Evaluate(*place)) Activate(queue, *place);
  return 0;
}

/// Registers what the knotes of a number in a queue need to be activated, and nothing else: neither does a disabled one
/// let the queue's descriptor be readable, nor one that was deleted.
int Emulation::Arrange(Queue& queue, int fd, Number& number) {
  Knotes& knotes = number.knotes[&queue];
  if (number.file.kind == File::Kind::kRegular) {
    queue.regulars.insert(fd);
    return 0;
  }
  uint64_t token = Token(number, fd);
  int error = 0;
  if (!number.registered) {
    error = Watch(registry_, fd, kNoEdges, token);
    // What cannot be polled has no filter: ENODEV is what FreeBSD's devices say then.
    if (error != 0) return error == EPERM ? ENODEV : error;
    number.registered = true;
  }
  bool reads = knotes.Enabled(kRead) || knotes.Enabled(kExcept);
  if (reads != knotes.reads) {
    knotes.reads = reads;
    if (reads) error = Watch(queue.fd, fd, kReadEdges, token);
    if (!reads) Unwatch(queue.fd, fd);
    if (error != 0) return error;
  }
  bool writes = knotes.Enabled(kWrite);
  if (writes == knotes.writes) return 0;
  knotes.writes = writes;
  int step = writes ? 1 : -1;
  number.writers += step;
  queue.writers += step;
  // Not without need: it is an edge, of which all queues would be told.
  if (number.writers == std::max(step, 0)) {
    Control(registry_, EPOLL_CTL_MOD, fd, writes ? kWriteEdges : kNoEdges, token);
  }
  if (writes && queue.writers == 1) return Watch(queue.fd, registry_, EPOLLIN, kRegistry);
  if (queue.writers == 0) Unwatch(queue.fd, registry_);
  return 0;
}

/// Ends a knote, if it is there, and every registration that none needs any more.
void Emulation::Detach(Queue& queue, int fd, Number& number, int slot) {
  Knotes& knotes = number.knotes[&queue];
  if (knotes.knotes[slot] != nullptr) {
    Dequeue(queue, *knotes.knotes[slot]);
    knotes.knotes[slot].reset();
    if (number.registered) Arrange(queue, fd, number);
  }
  if (!knotes.Empty()) return;
  queue.numbers.erase(fd);
  queue.regulars.erase(fd);
  number.knotes.erase(&queue);
  if (!number.knotes.empty()) return;
  Unwatch(registry_, fd);
  numbers_.erase(fd);
}

/// Ends the knotes that a queue has of a number.
void Emulation::DetachAll(Queue& queue, int fd) {
  for (int slot = 0; slot < kSlots; slot++) {
    auto number = numbers_.find(fd);
    if (number != numbers_.end()) Detach(queue, fd, number->second, slot);
  }
}

/// Runs a knote's filter: whether it is to be reported.
bool Emulation::Evaluate(Knote& knote) {
  if (knote.event.filter == EVFILT_USER) {
    knote.event.fflags = knote.fflags;
    knote.event.data = knote.data;
    return knote.triggered;
  }
  int fd = static_cast<int>(knote.event.ident);
  auto number = numbers_.find(fd);
  Reading reading = Run(fd, number->second.file, knote.event.filter, knote.fflags, knote.data);
  auto nested = queues_.find(fd);
  if (number->second.file.kind == File::Kind::kQueue && nested != queues_.end()) {
    // "Returns when pending events are present on the queue; data contains the number of events available."
    Harvest(*nested->second);
    RingDoorbell(*nested->second);
    reading.data = static_cast<int64_t>(nested->second->ready.size());
    reading.ready = reading.data > 0;
  }
  knote.event.flags &= ~EV_EOF;
  if (reading.eof) knote.event.flags |= EV_EOF;
  if (reading.last) knote.event.flags |= EV_ONESHOT;
  knote.event.fflags = reading.fflags;
  knote.event.data = reading.data;
  return reading.ready;
}

/// KNOTE: something has happened to a descriptor.
void Emulation::Touch(Queue& queue, Knotes& knotes, std::initializer_list<Slot> slots) {
  for (Slot slot : slots) {
    Knote* knote = knotes.knotes[slot].get();
    if (knote != nullptr && !knote->active && Evaluate(*knote)) Activate(queue, *knote);
  }
}

/// Activates what has happened since the last time.
void Emulation::Harvest(Queue& queue) {
  for (int fd : queue.regulars) Touch(queue, numbers_.find(fd)->second.knotes[&queue], {kRead});
  epoll_event edges[kBatch];
  int count;
  do {
    count = epoll_wait(queue.fd, edges, kBatch, 0);
    for (int i = 0; i < count; i++) {
      uint64_t token = edges[i].data.u64;
      if (token == kDoorbell) continue;
      if (token == kRegistry) {
        HarvestRegistry();
        continue;
      }
      int fd = static_cast<int>(static_cast<uint32_t>(token));
      auto number = numbers_.find(fd);
      if (number == numbers_.end() || Token(number->second, fd) != token) continue;
      auto knotes = number->second.knotes.find(&queue);
      if (knotes != number->second.knotes.end()) Touch(queue, knotes->second, {kRead, kExcept});
    }
  } while (count == kBatch);
}

void Emulation::HarvestRegistry() {
  epoll_event edges[kBatch];
  int count;
  do {
    count = epoll_wait(registry_, edges, kBatch, 0);
    for (int i = 0; i < count; i++) {
      uint64_t token = edges[i].data.u64;
      int fd = static_cast<int>(static_cast<uint32_t>(token));
      auto number = numbers_.find(fd);
      if (number == numbers_.end() || Token(number->second, fd) != token) continue;
      for (auto& [queue, knotes] : number->second.knotes) {
        Touch(*queue, knotes, {kWrite});
        RingDoorbell(*queue);
      }
    }
  } while (count == kBatch);
}

// kqueue_scan: once over what waits, in the order in which it was activated.
int Emulation::Scan(Queue& queue, struct kevent* events, int nevents) {
  int count = 0;
  for (size_t waiting = queue.ready.size(); waiting > 0 && count < nevents && !queue.ready.empty(); waiting--) {
    Knote& knote = *queue.ready.front();
    queue.ready.pop_front();
    knote.queued = false;
    if (!knote.disabled && Report(queue, knote, events[count])) count++;
  }
  return count;
}

/// Whether a knote that waited has something to report, which is then in `event`.
bool Emulation::Report(Queue& queue, Knote& knote, struct kevent& event) {
  // If the number names something else by now, this ends the knote and all others of its number.
  if (knote.event.filter != EVFILT_USER && Identify(static_cast<int>(knote.event.ident)) == nullptr) return false;
  // "If the filter indicates that the condition that triggered the event no longer holds, the kevent is removed from
  // the kqueue and is not returned."
  if (!Evaluate(knote)) {
    knote.active = false;
    return false;
  }
  event = knote.event;
  if ((knote.event.flags & EV_ONESHOT) != 0) {
    // "After the user retrieves the event from the kqueue, it is deleted."
    Drop(queue, knote);
    return true;
  }
  if ((knote.event.flags & EV_CLEAR) != 0) {
    // "After the event is retrieved by the user, its state is reset."
    knote.event.fflags = 0;
    knote.event.data = 0;
    knote.triggered = false;
  }
  if ((knote.event.flags & EV_DISPATCH) != 0) {
    // "Disable the event source immediately after delivery of an event."
    knote.disabled = true;
    if (knote.event.filter != EVFILT_USER) Rearrange(queue, knote);
  }
  if ((knote.event.flags & (EV_CLEAR | EV_DISPATCH)) != 0) {
    knote.active = false;
    return true;
  }
  Enqueue(queue, knote);
  return true;
}

void Emulation::Rearrange(Queue& queue, const Knote& knote) {
  int fd = static_cast<int>(knote.event.ident);
  Arrange(queue, fd, numbers_.find(fd)->second);
}

void Emulation::Drop(Queue& queue, Knote& knote) {
  if (knote.event.filter == EVFILT_USER) {
    queue.users.erase(knote.event.ident);
    return;
  }
  int fd = static_cast<int>(knote.event.ident);
  Detach(queue, fd, numbers_.find(fd)->second, FileSlot(knote.event.filter));
}

/// Lets the queue's descriptor be readable while knotes wait.
void Emulation::RingDoorbell(Queue& queue) {
  bool armed = !queue.ready.empty();
  if (armed == queue.doorbell_armed) return;
  queue.doorbell_armed = armed;
  Control(queue.fd, EPOLL_CTL_MOD, doorbell_, armed ? EPOLLIN : 0u, kDoorbell);
}

int Failed(int error) {
  errno = error;
  return -1;
}

// kqueue_kevent, and the waiting half of kqueue_scan.
int Emulation::Kevent(int kq, const struct kevent* changes, int nchanges, struct kevent* events, int nevents,
                      const timespec* timeout) {
  std::unique_lock guard(lock_);
  Queue* queue = Find(kq);
  if (queue == nullptr) return Failed(EBADF);
  // "EINVAL: The specified length of the event or change lists is negative."
  if (nchanges < 0 || nevents < 0) return Failed(EINVAL);
  if ((nchanges > 0 && changes == nullptr) || (nevents > 0 && events == nullptr)) return Failed(EFAULT);

  int receipts = 0;
  for (int i = 0; i < nchanges; i++) {
    // A copy: "The same array may be used for the changelist and eventlist."
    struct kevent change = changes[i];
    if (change.filter == 0) continue;
    change.flags &= ~EV_SYSFLAGS;
    int error = Register(*queue, change);
    RingDoorbell(*queue);
    if (error == 0 && (change.flags & EV_RECEIPT) == 0) continue;
    // "Note that if this flag is encountered and there is no remaining space in eventlist to hold the EV_ERROR event,
    // then subsequent changes will not get processed." Nor are they after an error without room.
    if (receipts == nevents) return error == 0 ? 0 : Failed(error);
#if defined(KQUEUE_EMULATION_MACOS)
    change.flags |= EV_ERROR;
#else
    change.flags = EV_ERROR;
#endif
    change.data = error;
    events[receipts++] = change;
  }
  // "This flag is useful for making bulk changes to a kqueue without draining any pending events."
  if (receipts > 0) return receipts;
  // "When nevents is zero, kevent will return immediately even if there is a timeout specified".
  if (nevents == 0) return 0;
  if (timeout != nullptr && (timeout->tv_sec < 0 || timeout->tv_nsec < 0 || timeout->tv_nsec >= 1'000'000'000)) {
    return Failed(EINVAL);
  }

  timespec deadline{}, left{};
  if (timeout != nullptr) deadline = After(*timeout);
  for (;;) {
    bool over = timeout != nullptr && NothingLeft(deadline, left);
    Harvest(*queue);
    int count = Scan(*queue, events, nevents);
    RingDoorbell(*queue);
    if (count > 0 || over) return count;
    guard.unlock();
    pollfd readable{kq, POLLIN, 0};
    int ready = ppoll(&readable, 1, timeout == nullptr ? nullptr : &left, nullptr);
    int error = errno;
    guard.lock();
    // "When kevent call fails with EINTR error, all changes in the changelist have been applied."
    if (ready == -1) return Failed(error);
    queue = Find(kq);
    if (queue == nullptr) return Failed(EBADF);
  }
}

// Made when this is loaded and never destroyed: other threads may be in it while the process exits.
Emulation* const emulation = new Emulation;

const int at_fork = pthread_atfork([] { emulation->BeforeFork(); }, [] { emulation->AfterForkInParent(); },
                                   [] { emulation->AfterForkInChild(); });

std::atomic<unsigned long> calls{0};
std::atomic<kqueue_emulation_tracer> tracer{nullptr};

/// A number that others in this program or shared object are about to close, or to give another meaning.
void Closing(int fd) {
  if (emulation != nullptr && fd >= 0) emulation->Closing(fd);
}

}  // namespace
}  // namespace kqueue_emulation

#define KQUEUE_EMULATION_HIDDEN __attribute__((visibility("hidden")))

extern "C" {

int kqueue() {
  return kqueue_emulation::emulation->Create(0);
}

#if !defined(KQUEUE_EMULATION_MACOS)
int kqueue1(int flags) {
  if ((flags & ~O_CLOEXEC) != 0) return kqueue_emulation::Failed(EINVAL);
  return kqueue_emulation::emulation->Create(flags == 0 ? 0 : EPOLL_CLOEXEC);
}

int kqueuex(u_int flags) {
  if ((flags & ~KQUEUE_CLOEXEC) != 0) return kqueue_emulation::Failed(EINVAL);
  return kqueue_emulation::emulation->Create(flags == 0 ? 0 : EPOLL_CLOEXEC);
}
#endif

int kevent(int kq, const struct kevent* changelist, int nchanges, struct kevent* eventlist, int nevents,
           const struct timespec* timeout) {
  kqueue_emulation::calls++;
  kqueue_emulation_tracer tracer = kqueue_emulation::tracer;
  std::vector<struct kevent> changes;
  if (tracer != nullptr && changelist != nullptr && nchanges > 0) changes.assign(changelist, changelist + nchanges);
  int result = kqueue_emulation::emulation->Kevent(kq, changelist, nchanges, eventlist, nevents, timeout);
  if (tracer != nullptr) {
    int error = errno;
    tracer(kq, changes.data(), nchanges, eventlist, result);
    errno = error;
  }
  return result;
}

unsigned long kqueue_emulation_calls() {
  return kqueue_emulation::calls;
}

void kqueue_emulation_trace(kqueue_emulation_tracer tracer) {
  kqueue_emulation::tracer = tracer;
}

KQUEUE_EMULATION_HIDDEN int close(int fd) {
  kqueue_emulation::Closing(fd);
  return kqueue_emulation::SystemClose(fd);
}

KQUEUE_EMULATION_HIDDEN int fcntl(int fd, int command, ...) {
  va_list list;
  va_start(list, command);
  const long value = va_arg(list, long);
  va_end(list);
  const int result = static_cast<int>(syscall(SYS_fcntl, fd, command, value));
  const bool is_duplicate = (command == F_DUPFD || command == F_DUPFD_CLOEXEC) && result != -1;
  if (is_duplicate && kqueue_emulation::emulation != nullptr) kqueue_emulation::emulation->Duplicated(fd, result);
  return result;
}

KQUEUE_EMULATION_HIDDEN int dup3(int fd, int onto, int flags) noexcept {
  if (fd != onto && fcntl(fd, F_GETFD) != -1) kqueue_emulation::Closing(onto);
  return static_cast<int>(syscall(SYS_dup3, fd, onto, flags));
}

KQUEUE_EMULATION_HIDDEN int dup2(int fd, int onto) noexcept {
  if (fd != onto) return dup3(fd, onto, 0);
  return fcntl(fd, F_GETFD) == -1 ? -1 : fd;
}

}  // extern "C"
