// wit/iocp.wit for Windows: the component's side of iocp_port.h.

#if defined(_WIN32)

#include <napi.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>

#include "../addon.h"
#include "../canonical.h"
#include "../clock.h"
#include "../kernel_object.h"
#include "../loop.h"
#include "../notifiers.h"
#include "../table.h"
#include "iocp_port.h"

namespace lio {
namespace {

constexpr uint32_t kMaxCompletions = 1024;

// What the canonical ABI lays out in the component's memory.
struct Change {
  uint8_t operation;
  uint8_t padding[3];
  uint32_t events;
  uint64_t socket;
  uint32_t group;
  uint32_t slot;
  uint32_t generation;
  uint32_t padding_at_end;
};
static_assert(sizeof(Change) == 32, "the canonical ABI's layout");

struct LoweredCompletion {
  uint32_t slot;
  uint32_t generation;
  uint32_t events;
  uint32_t has_error;
  ErrorCode error;
};
static_assert(sizeof(LoweredCompletion) == 24, "the canonical ABI's layout");

/// Ports by handle.
class Ports {
 public:
  Ports() = default;
  ~Ports() { CloseAll(); }
  Ports(const Ports&) = delete;
  Ports& operator=(const Ports&) = delete;

  /// Null for a handle that is not given out.
  Port* Find(uint32_t handle) const {
    const std::shared_ptr<Port>* port = table_.Find(handle);
    return port == nullptr ? nullptr : port->get();
  }

  /// The same, for whoever needs it after it is closed.
  std::shared_ptr<Port> Share(uint32_t handle) const {
    const std::shared_ptr<Port>* port = table_.Find(handle);
    return port == nullptr ? nullptr : *port;
  }

  uint32_t Insert(std::shared_ptr<Port> port) { return table_.Insert(std::move(port)); }

  void Close(uint32_t handle) {
    if (std::optional<std::shared_ptr<Port>> port = table_.Take(handle)) Port::Close(std::move(*port));
  }

  void CloseAll() {
    for (uint32_t handle = 0; handle < table_.Size(); handle++) Close(handle);
  }

 private:
  Table<std::shared_ptr<Port>> table_;
};

/// The notifiers of one component instance, by handle: doorbells, each with the name by which other threads know it.
class Notifiers {
 public:
  Notifiers() = default;
  ~Notifiers() { CloseAll(); }
  Notifiers(const Notifiers&) = delete;
  Notifiers& operator=(const Notifiers&) = delete;

  /// Null for a handle that is not given out.
  std::shared_ptr<Doorbell> Find(uint32_t handle) const {
    const Notifier* notifier = table_.Find(handle);
    return notifier == nullptr ? nullptr : notifier->doorbell;
  }

  /// 0 for a handle that is not given out.
  uint64_t Name(uint32_t handle) const {
    const Notifier* notifier = table_.Find(handle);
    return notifier == nullptr ? 0 : notifier->name;
  }

  uint32_t Insert() {
    auto doorbell = std::make_shared<Doorbell>();
    const uint64_t name = RegisterNotifier(Wake, reinterpret_cast<intptr_t>(doorbell.get()));
    return table_.Insert({std::move(doorbell), name});
  }

  void Close(uint32_t handle) {
    std::optional<Notifier> notifier = table_.Take(handle);
    if (!notifier) return;
    // First the name: another thread may be about to use it.
    ForgetNotifier(notifier->name);
    notifier->doorbell->Detach();
  }

  void CloseAll() {
    for (uint32_t handle = 0; handle < table_.Size(); handle++) Close(handle);
  }

 private:
  struct Notifier {
    std::shared_ptr<Doorbell> doorbell;
    uint64_t name;
  };

  static void Wake(intptr_t doorbell) { reinterpret_cast<Doorbell*>(doorbell)->Ring(); }

  Table<Notifier> table_;
};

/// Whole milliseconds, rounded up; INFINITE if there is no timeout.
DWORD Milliseconds(const uint64_t* nanoseconds) {
  if (nanoseconds == nullptr) return INFINITE;
  const uint64_t milliseconds = *nanoseconds / 1'000'000 + (*nanoseconds % 1'000'000 != 0);
  return static_cast<DWORD>(std::min<uint64_t>(milliseconds, INFINITE - 1));
}

/// Waits for a port's completions. They go to the queue that the component's next wait takes them from, and what the
/// kernel writes to is the port's, which lives for as long as anybody has it: closing this at any moment loses nothing.
class PortWaiter final : public Waiter {
 public:
  /// For a port whose `BeginAwaiting` has succeeded.
  explicit PortWaiter(std::shared_ptr<Port> port) : port_(std::move(port)) {}
  ~PortWaiter() override { port_->EndAwaiting(); }

  bool Wait(uint64_t deadline) override {
    if (deadline == kNever) return port_->Await(INFINITE);
    const uint64_t now = Now();
    const uint64_t left = deadline > now ? deadline - now : 0;
    return port_->Await(Milliseconds(&left));
  }

  void Interrupt() override { port_->Interrupt(); }

 private:
  const std::shared_ptr<Port> port_;
};

/// All that one component instance holds.
struct Tables {
  Ports ports;
  Notifiers notifiers;

  Napi::Value Deliver(Napi::Env env, uint32_t handle, Napi::Function wake, bool) {
    std::shared_ptr<Port> port = ports.Share(handle);
    if (port == nullptr) return Napi::Number::New(env, -kEBADF);
    if (!port->BeginAwaiting()) return Napi::Number::New(env, -kEEXIST);
    return DeliverByThread(env, std::make_unique<PortWaiter>(std::move(port)), wake);
  }

  void CloseAll() {
    ports.CloseAll();
    notifiers.CloseAll();
  }
};

using IocpBinding = Binding<Tables>;

// In all functions the area for the result is checked first, so that a bad pointer leaves nothing done.

napi_value Create(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  IocpBinding& binding = arguments.Bound<IocpBinding>();
  uint8_t* area = binding.guest.Look(env).At(env, arguments.U32(0), 1, sizeof(NumberResult));
  if (area == nullptr) return nullptr;
  std::shared_ptr<Port> port = Port::Open();
  Write(area, port == nullptr ? Refused(ErrorNumberOf(GetLastError()))
                              : Succeeded(binding.tables->ports.Insert(std::move(port))));
  return nullptr;
}

int ControlOne(Port* port, const Change& change) {
  if (port == nullptr) return kEBADF;
  switch (change.operation) {
    case 0:
      return port->Add(change.slot, change.generation, static_cast<SOCKET>(change.socket), change.group, change.events);
    case 1:
      return port->Arm(change.slot, change.generation, change.events);
    case 2:
      return port->Cancel(change.slot);
    case 3:
      return port->Remove(change.slot);
    default:
      return kEINVAL;
  }
}

/// Makes the changes; false, and an exception, if they cannot be looked at or their verdicts not be kept.
bool Control(napi_env env, const Memory& memory, Port* port, uint32_t pointer, uint32_t length, Failures& failures) {
  const uint8_t* changes = memory.At(env, pointer, length, sizeof(Change), alignof(Change));
  if (changes == nullptr) return false;
  for (uint32_t index = 0; index < length; index++) {
    Change change;
    memcpy(&change, changes + index * sizeof change, sizeof change);
    int number = ControlOne(port, change);
    if (number != 0 && !failures.Add(env, index, number, length)) return false;
  }
  return true;
}

napi_value ControlFunction(napi_env env, napi_callback_info info) {
  Arguments<4> arguments(env, info);
  IocpBinding& binding = arguments.Bound<IocpBinding>();
  Memory memory = binding.guest.Look(env);
  uint8_t* area = memory.At(env, arguments.U32(3), 1, sizeof(List));
  if (area == nullptr) return nullptr;

  Port* port = binding.tables->ports.Find(arguments.U32(0));
  Failures failures;
  if (!Control(env, memory, port, arguments.U32(1), arguments.U32(2), failures)) return nullptr;

  List list{0, 0};
  if (failures.Count() > 0) {
    if (!failures.Write(env, binding.guest, memory, list)) return nullptr;
    area = memory.At(env, arguments.U32(3), 1, sizeof list);
  }
  if (area != nullptr) Write(area, list);
  return nullptr;
}

/// Gives completions to the component; false if it had no room for them.
bool WriteCompletions(napi_env env, const Guest& guest, Memory& memory, const Completion* completions, int count,
                      List& list) {
  uint8_t* room = MakeRoom(env, guest, memory, count, sizeof(LoweredCompletion), list);
  if (room == nullptr) return count == 0;
  for (int i = 0; i < count; i++) {
    const Completion& completion = completions[i];
    LoweredCompletion lowered = {completion.slot, completion.generation, completion.events, 0, {}};
    if (completion.error != 0) {
      lowered.has_error = 1;
      lowered.error = ErrorCodeOf(completion.error);
    }
    Write(room + i * sizeof lowered, lowered);
  }
  return true;
}

napi_value WaitFunction(napi_env env, napi_callback_info info) {
  Arguments<7> arguments(env, info);
  IocpBinding& binding = arguments.Bound<IocpBinding>();
  Memory memory = binding.guest.Look(env);
  if (WaitArea(env, memory, arguments.U32(6)) == nullptr) return nullptr;

  Port* port = binding.tables->ports.Find(arguments.U32(0));
  Failures failures;
  if (!Control(env, memory, port, arguments.U32(1), arguments.U32(2), failures)) return nullptr;

  WaitResult result{};
  if (failures.Count() > 0) {
    result.tag = kError;
    result.error.tag = kChangesRefused;
    if (!failures.Write(env, binding.guest, memory, result.error.changes)) return nullptr;
  } else {
    Completion completions[kMaxCompletions];
    uint64_t nanoseconds = arguments.U64(5);
    uint32_t capacity = std::min(arguments.U32(3), kMaxCompletions);
    DWORD milliseconds = Milliseconds(arguments.U32(4) == 0 ? nullptr : &nanoseconds);
    int count = port == nullptr ? -kEBADF : capacity == 0 ? -kEINVAL : port->Take(completions, capacity, milliseconds);
    if (count < 0) {
      result.tag = kError;
      result.error.tag = kKernelRefused;
      result.error.kernel = ErrorCodeOf(-count);
    } else {
      if (arguments.U32(4) != 0) result.waited.moment = Now();
      if (!WriteCompletions(env, binding.guest, memory, completions, count, result.waited.events)) return nullptr;
    }
  }

  uint8_t* area = WaitArea(env, memory, arguments.U32(6));
  if (area != nullptr) Write(area, result);
  return nullptr;
}

napi_value Peek(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  Port* port = arguments.Bound<IocpBinding>().tables->ports.Find(arguments.U32(0));
  napi_value events;
  napi_create_uint32(env, port == nullptr ? 0 : port->Peek(arguments.U32(1)), &events);
  return events;
}

napi_value CloseFunction(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  arguments.Bound<IocpBinding>().tables->ports.Close(arguments.U32(0));
  return nullptr;
}

napi_value CreateNotifier(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  IocpBinding& binding = arguments.Bound<IocpBinding>();
  uint8_t* area = binding.guest.Look(env).At(env, arguments.U32(0), 1, sizeof(NumberResult));
  if (area != nullptr) Write(area, Succeeded(binding.tables->notifiers.Insert()));
  return nullptr;
}

napi_value AttachNotifier(napi_env env, napi_callback_info info) {
  Arguments<5> arguments(env, info);
  IocpBinding& binding = arguments.Bound<IocpBinding>();
  uint8_t* area = binding.guest.Look(env).At(env, arguments.U32(4), 1, sizeof(NumberResult));
  if (area == nullptr) return nullptr;
  std::shared_ptr<Doorbell> doorbell = binding.tables->notifiers.Find(arguments.U32(0));
  Port* port = binding.tables->ports.Find(arguments.U32(1));
  int number = doorbell == nullptr || port == nullptr
                   ? kEBADF
                   : port->Attach(std::move(doorbell), arguments.U32(2), arguments.U32(3));
  Write(area, number == 0 ? NumberResult{} : Refused(number));
  return nullptr;
}

napi_value Identify(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  napi_value name;
  napi_create_bigint_uint64(env, arguments.Bound<IocpBinding>().tables->notifiers.Name(arguments.U32(0)), &name);
  return name;
}

napi_value Notify(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  std::shared_ptr<Doorbell> doorbell = arguments.Bound<IocpBinding>().tables->notifiers.Find(arguments.U32(0));
  if (doorbell != nullptr) doorbell->Ring();
  return nullptr;
}

napi_value CloseNotifier(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  arguments.Bound<IocpBinding>().tables->notifiers.Close(arguments.U32(0));
  return nullptr;
}

constexpr Function kFunctions[] = {
    {"create", Create},
    {"control", ControlFunction},
    {"wait", WaitFunction},
    {"peek", Peek},
    {"close", CloseFunction},
    {"createNotifier", CreateNotifier},
    {"attachNotifier", AttachNotifier},
    {"identify", Identify},
    {"notify", Notify},
    {"closeNotifier", CloseNotifier},
    {},
};

const Kernel registered("iocp", KernelObject<Tables, kFunctions>::Define);

}  // namespace
}  // namespace lio

#endif  // _WIN32
