// Delivery to a JavaScript event loop: having a function called there whenever a kernel object may have events.
//
// A kernel whose objects the platform's loop can watch needs nothing of this but `Handle`. Any other brings a `Waiter`,
// which a thread of its own asks; so do all kernels in runtimes whose loop an addon cannot watch descriptors with.

#pragma once

#include <napi.h>

#include <cstdint>
#include <memory>

namespace lio {

/// One kernel object's way into one event loop, until it is closed. Belongs to the loop's thread.
class Delivery {
 public:
  virtual ~Delivery() = default;
  /// Keeps the loop running, or does not. A new one does not.
  virtual void Refer(bool keeps) = 0;
  /// Calls the function once, with `true`, when so many milliseconds are over, instead of when was asked for before: at
  /// 0 in a later turn of the loop, which does not block until then.
  virtual void Arm(double milliseconds) = 0;
  /// Calls the function for what was armed alone, or for events again. 0, or an error number if it stays paused.
  virtual int Pause(bool pauses) = 0;
  /// When this returns, the function is not called any more, and nothing is held. Calling it twice does no harm.
  virtual void Close() = 0;
};

/// The JavaScript object for one: `NativeDelivery` in src/native.ts.
Napi::Object Handle(Napi::Env env, const std::shared_ptr<Delivery>& delivery, const char* way, bool keeps_context);

/// Tells when a kernel object may have events. Its thread is the only one that calls `Wait`.
class Waiter {
 public:
  virtual ~Waiter() = default;
  /// Blocks until there may be events, until that moment of `Now` has come, or until `Interrupt` has been called.
  /// Returns whether there may be events. May return early.
  virtual bool Wait(uint64_t deadline) = 0;
  /// Ends `Wait`, the one that blocks or the next. Any thread.
  virtual void Interrupt() = 0;
};

/// Delivery by a thread, which asks the waiter again only when the loop is done with the last call. A `NativeDelivery`,
/// or a negative error number if there can be no thread.
Napi::Value DeliverByThread(Napi::Env env, std::unique_ptr<Waiter> waiter, Napi::Function wake);

#if !defined(_WIN32)
/// Has a loop's own kernel object watch a descriptor for reading, as libuv itself is about to. 0, or an error number.
using Enlist = int (*)(int backend, int descriptor);

/// Delivery for a kernel object that is a descriptor: by the loop's own means, if it is let and has them, else by a
/// thread. A `NativeDelivery`, or a negative error number.
Napi::Value DeliverDescriptor(Napi::Env env, int descriptor, Napi::Function wake, bool in_loop, Enlist enlist);
#endif

/// Has an object closed when its environment ends, unless it is closed before.
class ClosedAtExit {
 public:
  ClosedAtExit(napi_env env, Delivery* delivery);
  ~ClosedAtExit();
  ClosedAtExit(const ClosedAtExit&) = delete;
  ClosedAtExit& operator=(const ClosedAtExit&) = delete;

 private:
  static void AtExit(void* self);

  napi_env env_;
  Delivery* delivery_;
  bool exits_ = false;
};

/// Sends what a call has thrown to where the runtime sends what nobody catches.
void ReportException(napi_env env);

}  // namespace lio
