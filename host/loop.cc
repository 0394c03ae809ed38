#include "loop.h"

#include <condition_variable>
#include <mutex>
#include <utility>

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
  handle.Set("acknowledge",
             Napi::Function::New(env, [delivery](const Napi::CallbackInfo&) { delivery->Acknowledge(); }));
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
  if (napi_get_and_clear_last_exception(env, &exception) == napi_ok) napi_fatal_exception(env, exception);
}

namespace {

/// A thread that waits, and a thread-safe function by which it wakes the loop. At most one wake is under way at a time:
/// the thread goes on only when the loop has acknowledged it, so that nothing piles up.
class ByThread final : public Delivery, public std::enable_shared_from_this<ByThread> {
 public:
  ByThread(Napi::Env env, std::unique_ptr<Waiter> waiter) : env_(env), waiter_(std::move(waiter)) {}
  ~ByThread() override { Close(); }

  /// 0, or an error number.
  int Start(Napi::Function wake) {
    napi_value name = Napi::String::New(env_, "lio-poller");
    // Some runtimes call once more after the release, so the function does not rely on this being there.
    auto* context = new std::weak_ptr<ByThread>(weak_from_this());
    auto forget = [](napi_env, void*, void* context) { delete static_cast<std::weak_ptr<ByThread>*>(context); };
    if (napi_create_threadsafe_function(env_, wake, nullptr, name, 0, 1, nullptr, forget, context, Wake, &function_) !=
        napi_ok) {
      delete context;
      return kENOMEM;
    }
    napi_unref_threadsafe_function(env_, function_);
    int error = thread_.Start<ByThread, &ByThread::Run>(this);
    if (error == 0) {
      // After the thread-safe function has its own hook: hooks run from the last to the first, and the thread must not
      // use it when it is gone.
      hook_ = std::make_unique<ClosedAtExit>(env_, this);
      return 0;
    }
    napi_release_threadsafe_function(function_, napi_tsfn_abort);
    function_ = nullptr;
    return error;
  }

  void Refer(bool keeps) override {
    if (function_ == nullptr) return;
    if (keeps) {
      napi_ref_threadsafe_function(env_, function_);
    } else {
      napi_unref_threadsafe_function(env_, function_);
    }
  }

  void Acknowledge() override { Set(&ByThread::is_acknowledged_); }

  void Close() override {
    if (function_ == nullptr) return;
    Set(&ByThread::is_closed_);
    waiter_->Interrupt();
    thread_.Join();
    napi_release_threadsafe_function(function_, napi_tsfn_abort);
    function_ = nullptr;
    waiter_.reset();
    gate_.reset();
    hook_.reset();
  }

 private:
  void Run() {
    while (true) {
      waiter_->Wait();
      std::unique_lock<std::mutex> lock(gate_->mutex);
      if (is_closed_) return;
      is_acknowledged_ = false;
      // Without a limit to its queue this neither blocks nor fails, but when the loop is about to end.
      if (napi_call_threadsafe_function(function_, nullptr, napi_tsfn_nonblocking) != napi_ok) return;
      gate_->changed.wait(lock, [this] { return is_acknowledged_ || is_closed_; });
      if (is_closed_) return;
    }
  }

  /// In the loop's thread.
  static void Wake(napi_env env, napi_value wake, void* context, void*) {
    // Null if the function was released with this call under way.
    if (env == nullptr || wake == nullptr) return;
    // Held until the end: the call may close this, and have it collected.
    std::shared_ptr<ByThread> self = static_cast<std::weak_ptr<ByThread>*>(context)->lock();
    if (self == nullptr || self->function_ == nullptr) return;
    napi_value undefined;
    napi_get_undefined(env, &undefined);
    if (napi_call_function(env, undefined, wake, 0, nullptr, nullptr) != napi_ok) ReportException(env);
  }

  void Set(bool ByThread::*flag) {
    if (gate_ == nullptr) return;
    std::lock_guard<std::mutex> lock(gate_->mutex);
    this->*flag = true;
    gate_->changed.notify_one();
  }

  struct Gate {
    std::mutex mutex;
    std::condition_variable changed;
  };

  napi_env env_;
  std::unique_ptr<Waiter> waiter_;
  napi_threadsafe_function function_ = nullptr;
  Thread thread_;
  std::unique_ptr<ClosedAtExit> hook_;
  /// Null once closed: in some C libraries these hold handles of the system's, and this is there until it is collected.
  std::unique_ptr<Gate> gate_ = std::make_unique<Gate>();
  bool is_closed_ = false;
  bool is_acknowledged_ = false;
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
