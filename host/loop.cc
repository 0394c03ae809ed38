#include "loop.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "clock.h"
#include "error_code.h"
#include "thread.h"

namespace lio {

Napi::Object Handle(Napi::Env env, const std::shared_ptr<Delivery>& delivery, const char* way, bool keeps_context) {
  Napi::Object handle = Napi::Object::New(env);
  handle.Set("way", way);
  handle.Set("keepsContext", keeps_context);
  handle.Set("refer", Napi::Function::New(env, [delivery](const Napi::CallbackInfo& info) {
               // No conversion: those fail while a worker is being terminated.
               bool keeps = false;
               napi_get_value_bool(info.Env(), info[0], &keeps);
               delivery->Refer(keeps);
             }));
  handle.Set("arm", Napi::Function::New(env, [delivery](const Napi::CallbackInfo& info) {
               double milliseconds = 0;
               napi_get_value_double(info.Env(), info[0], &milliseconds);
               delivery->Arm(milliseconds);
             }));
  handle.Set("pause", Napi::Function::New(env, [delivery](const Napi::CallbackInfo& info) {
               bool pauses = false;
               napi_get_value_bool(info.Env(), info[0], &pauses);
               return Napi::Number::New(info.Env(), -delivery->Pause(pauses));
             }));
  handle.Set("close", Napi::Function::New(env, [delivery](const Napi::CallbackInfo&) { delivery->Close(); }));
  return handle;
}

// Synchronous clean-up hooks only: an asynchronous one that removes itself aborts Deno.
ClosedAtExit::ClosedAtExit(napi_env env, Delivery* delivery) : env_(env), delivery_(delivery) {
  napi_add_env_cleanup_hook(env, AtExit, this);
}

ClosedAtExit::~ClosedAtExit() {
  if (!exits_) napi_remove_env_cleanup_hook(env_, AtExit, this);
}

void ClosedAtExit::AtExit(void* self) {
  auto* hook = static_cast<ClosedAtExit*>(self);
  hook->exits_ = true;
  hook->delivery_->Close();
}

void ReportException(napi_env env) {
  bool is_pending = false;
  napi_is_exception_pending(env, &is_pending);
  if (!is_pending) return;
  napi_value exception;
  if (napi_get_and_clear_last_exception(env, &exception) != napi_ok) return;
  // Null is not thrown: V8 was told to end what ran, as by the inspector, and the loop goes on.
  napi_valuetype type;
  if (napi_typeof(env, exception, &type) == napi_ok && type != napi_null) napi_fatal_exception(env, exception);
}

namespace {

/// A thread that waits, and a thread-safe function by which it wakes the loop. At most one wake is under way at a time:
/// the thread goes on only when the loop is done with it, so that nothing piles up.
///
/// That the loop is done is told by a second function, which the wake calls and which comes in its own turn. By the
/// same one it would not do: Node and Bun go on calling a thread-safe function for as long as it is called anew, Node a
/// thousand times, and all else in the loop has to wait.
class ByThread final : public Delivery, public std::enable_shared_from_this<ByThread> {
 public:
  ByThread(Napi::Env env, std::unique_ptr<Waiter> waiter) : env_(env), waiter_(std::move(waiter)) {}
  ~ByThread() override { Close(); }

  /// 0, or an error number.
  int Start(Napi::Function wake) {
    function_ = ThreadSafe(wake, OnWake);
    done_ = ThreadSafe(wake, OnDone);
    const bool are_there = function_ != nullptr && done_ != nullptr;
    const int error = are_there ? thread_.Start<ByThread, &ByThread::Run>(this) : kENOMEM;
    if (error != 0) {
      Release();
      return error;
    }
    // After the thread-safe functions have their own hooks: hooks run from the last to the first, and the thread must
    // not use them when they are gone.
    hook_ = std::make_unique<ClosedAtExit>(env_, this);
    return 0;
  }

  void Refer(bool keeps) override {
    if (function_ == nullptr) return;
    if (keeps) {
      napi_ref_threadsafe_function(env_, function_);
    } else {
      napi_unref_threadsafe_function(env_, function_);
    }
  }

  void Arm(double milliseconds) override {
    if (function_ == nullptr) return;
    std::lock_guard<std::mutex> lock(gate_->mutex);
    due_ = After(Now(), milliseconds);
    if (due_ < waits_until_) waiter_->Interrupt();
    gate_->changed.notify_one();
  }

  int Pause(bool pauses) override {
    if (function_ == nullptr) return 0;
    std::lock_guard<std::mutex> lock(gate_->mutex);
    is_paused_ = pauses;
    if (pauses && waits_until_ != 0) waiter_->Interrupt();
    gate_->changed.notify_one();
    return 0;
  }

  void Close() override {
    if (function_ == nullptr) return;
    Set(&ByThread::is_closed_);
    waiter_->Interrupt();
    thread_.Join();
    Release();
    waiter_.reset();
    gate_.reset();
    hook_.reset();
  }

 private:
  void Run() {
    std::unique_lock<std::mutex> lock(gate_->mutex);
    while (true) {
      gate_->changed.wait(lock, [this] { return is_done_ || is_closed_; });
      if (is_closed_) return;
      const bool is_ready = is_paused_ ? Rest(lock) : Wait(lock);
      if (is_closed_) return;
      if (!is_ready && Now() < due_) continue;
      is_done_ = false;
      // Without a limit to its queue this neither blocks nor fails, but when the loop is about to end.
      if (napi_call_threadsafe_function(function_, nullptr, napi_tsfn_nonblocking) != napi_ok) return;
    }
  }

  /// Returns whether there may be events.
  bool Wait(std::unique_lock<std::mutex>& lock) {
    const uint64_t deadline = waits_until_ = due_;
    lock.unlock();
    const bool is_ready = waiter_->Wait(deadline);
    lock.lock();
    waits_until_ = 0;
    return is_ready && !is_paused_;
  }

  /// Waits for what is due alone, or until something has changed.
  bool Rest(std::unique_lock<std::mutex>& lock) {
    const uint64_t now = Now();
    if (due_ == kNever) {
      gate_->changed.wait(lock);
    } else if (now < due_) {
      gate_->changed.wait_for(lock, std::chrono::nanoseconds(std::min(due_ - now, kLongestRest)));
    }
    return false;
  }

  /// One that calls back in the loop's thread, and does not keep the loop running; null if there cannot be one.
  napi_threadsafe_function ThreadSafe(Napi::Function wake, napi_threadsafe_function_call_js call) {
    napi_threadsafe_function function = nullptr;
    napi_value name = Napi::String::New(env_, "lio-poller");
    // Some runtimes call once more after the release, so the function does not rely on this being there.
    auto* context = new std::weak_ptr<ByThread>(weak_from_this());
    auto forget = [](napi_env, void*, void* context) { delete static_cast<std::weak_ptr<ByThread>*>(context); };
    if (napi_create_threadsafe_function(env_, wake, nullptr, name, 0, 1, nullptr, forget, context, call, &function) !=
        napi_ok) {
      delete context;
      return nullptr;
    }
    napi_unref_threadsafe_function(env_, function);
    return function;
  }

  void Release() {
    for (napi_threadsafe_function* function : {&function_, &done_}) {
      if (*function != nullptr) napi_release_threadsafe_function(std::exchange(*function, nullptr), napi_tsfn_abort);
    }
  }

  /// Null if it was closed. Held until the end of a call, which may close it, and have it collected.
  static std::shared_ptr<ByThread> Opened(napi_env env, napi_value wake, void* context) {
    // Null if the function was released with this call under way.
    if (env == nullptr || wake == nullptr) return nullptr;
    std::shared_ptr<ByThread> self = static_cast<std::weak_ptr<ByThread>*>(context)->lock();
    return self != nullptr && self->function_ != nullptr ? self : nullptr;
  }

  static void OnWake(napi_env env, napi_value wake, void* context, void*) {
    std::shared_ptr<ByThread> self = Opened(env, wake, context);
    if (self == nullptr) return;
    napi_value undefined, is_over;
    napi_get_undefined(env, &undefined);
    napi_get_boolean(env, self->TakeDue(), &is_over);
    if (napi_call_function(env, undefined, wake, 1, &is_over, nullptr) != napi_ok) {
      ReportException(env);
      // It was ended before its end: another makes that good.
      self->Arm(0);
    }
    if (self->function_ != nullptr) napi_call_threadsafe_function(self->done_, nullptr, napi_tsfn_nonblocking);
  }

  static void OnDone(napi_env env, napi_value wake, void* context, void*) {
    std::shared_ptr<ByThread> self = Opened(env, wake, context);
    if (self != nullptr) self->Set(&ByThread::is_done_);
  }

  /// Whether what was armed is over, of which this is the only one to tell.
  bool TakeDue() {
    std::lock_guard<std::mutex> lock(gate_->mutex);
    if (Now() < due_) return false;
    due_ = kNever;
    return true;
  }

  void Set(bool ByThread::*flag) {
    std::lock_guard<std::mutex> lock(gate_->mutex);
    this->*flag = true;
    gate_->changed.notify_one();
  }

  struct Gate {
    std::mutex mutex;
    std::condition_variable changed;
  };

  /// A second, in nanoseconds: what is added to a clock must not be beyond its end.
  static constexpr uint64_t kLongestRest = 1'000'000'000;

  napi_env env_;
  std::unique_ptr<Waiter> waiter_;
  /// Both null once closed.
  napi_threadsafe_function function_ = nullptr;
  napi_threadsafe_function done_ = nullptr;
  Thread thread_;
  std::unique_ptr<ClosedAtExit> hook_;
  /// Null once closed: in some C libraries these hold handles of the system's, and this is there until it is collected.
  std::unique_ptr<Gate> gate_ = std::make_unique<Gate>();

  // Under the gate's mutex.

  bool is_closed_ = false;
  /// The loop is done with the last wake.
  bool is_done_ = true;
  bool is_paused_ = false;
  /// When the loop is to be woken although there is no event.
  uint64_t due_ = kNever;
  /// For how long the thread waits for events; 0 while it does not.
  uint64_t waits_until_ = 0;
};

}  // namespace

Napi::Value DeliverByThread(Napi::Env env, std::unique_ptr<Waiter> waiter, Napi::Function wake) {
  auto delivery = std::make_shared<ByThread>(env, std::move(waiter));
  int error = delivery->Start(wake);
  if (error != 0) return Napi::Number::New(env, -error);
  // Not every runtime calls thread-safe functions in the context that they were made in.
  return Handle(env, delivery, "thread", false);
}

}  // namespace lio
