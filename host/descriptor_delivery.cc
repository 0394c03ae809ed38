// Delivery for kernel objects that are descriptors: readable when they may have events, as epoll's and kqueue's are.
//
// In Node by uv_poll on the descriptor. Elsewhere by a thread that asks poll(2): Bun and Deno export libuv's names too,
// but uv_poll_init panics the one and loses events in the other, so src/runtime.ts says which to use.
//
// Each delivery has a duplicate of the descriptor, for the kernel object can be replaced or closed at any time, and its
// number be another file's, while libuv or the thread still looks at it.

#if !defined(_WIN32)

#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <new>
#include <utility>

#include "clock.h"
#include "loop.h"
#include "posix.h"

namespace lio {
namespace {

/// A descriptor that closes with its holder.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { Close(); }

  int get() const { return fd_; }

  void Close() {
    if (fd_ != -1) close(std::exchange(fd_, -1));
  }

 private:
  int fd_;
};

/// The parts of libuv that are used, which is not linked, so that the addon loads where it is missing. Its handles are
/// opaque here: that these functions and numbers stay as they are is libuv's promise for all versions that begin
/// with 1.
struct Uv {
  static constexpr int kIdleHandle = 6;    // UV_IDLE
  static constexpr int kPollHandle = 8;    // UV_POLL
  static constexpr int kTimerHandle = 13;  // UV_TIMER
  static constexpr int kReadable = 1;      // UV_READABLE

  using Callback = void (*)(void* handle);
  using PollCallback = void (*)(void* handle, int status, int events);

  napi_status (*get_loop)(napi_env env, void** loop);
  size_t (*handle_size)(int type);
  void (*set_data)(void* handle, void* data);
  void* (*get_data)(const void* handle);
  int (*poll_init)(void* loop, void* handle, int fd);
  int (*poll_start)(void* handle, int events, PollCallback callback);
  int (*poll_stop)(void* handle);
  int (*timer_init)(void* loop, void* handle);
  int (*timer_start)(void* handle, Callback callback, uint64_t timeout, uint64_t repeat);
  int (*timer_stop)(void* handle);
  int (*idle_init)(void* loop, void* handle);
  int (*idle_start)(void* handle, Callback callback);
  int (*idle_stop)(void* handle);
  /// The loop's time: milliseconds of `hrtime`, which has nanoseconds, as of the beginning of the loop's turn.
  uint64_t (*now)(const void* loop);
  uint64_t (*hrtime)();
  void (*ref)(void* handle);
  void (*unref)(void* handle);
  int (*backend_fd)(const void* loop);
  void (*close)(void* handle, Callback closed);

  /// Null where there is no libuv.
  static const Uv* Get() {
    static const Uv uv;
    return uv.is_there_ ? &uv : nullptr;
  }

 private:
  Uv() {
    is_there_ = Find("napi_get_uv_event_loop", get_loop) && Find("uv_handle_size", handle_size) &&
                Find("uv_handle_set_data", set_data) && Find("uv_handle_get_data", get_data) &&
                Find("uv_poll_init", poll_init) && Find("uv_poll_start", poll_start) &&
                Find("uv_poll_stop", poll_stop) && Find("uv_ref", ref) && Find("uv_unref", unref) &&
                Find("uv_backend_fd", backend_fd) && Find("uv_close", close) && Find("uv_timer_init", timer_init) &&
                Find("uv_timer_start", timer_start) && Find("uv_timer_stop", timer_stop) &&
                Find("uv_idle_init", idle_init) && Find("uv_idle_start", idle_start) &&
                Find("uv_idle_stop", idle_stop) && Find("uv_now", now) && Find("uv_hrtime", hrtime);
  }

  template <typename Function>
  static bool Find(const char* name, Function& function) {
    function = reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
    return function != nullptr;
  }

  bool is_there_;
};

/// By uv_poll for the kernel object, uv_timer for what is due later and uv_idle for what is due at once, all of which
/// call in one asynchronous context. libuv before 1.49 starves the loop of a timer of 0 that is started anew when it
/// expires, and an idle handle keeps the loop from blocking: https://github.com/libuv/libuv/pull/4250.
class InLoop final : public Delivery, public std::enable_shared_from_this<InLoop> {
 public:
  InLoop(Napi::Env env, const Uv& uv, Descriptor descriptor, Enlist enlist)
      : env_(env), uv_(uv), descriptor_(std::move(descriptor)), enlist_(enlist) {}
  ~InLoop() override { Close(); }

  /// 0, or an error number.
  int Start(Napi::Function wake) {
    if (uv_.get_loop(env_, &loop_) != napi_ok) return ENOTSUP;
    void* handle = ::operator new(uv_.handle_size(Uv::kPollHandle), std::nothrow);
    if (handle == nullptr) return ENOMEM;
    // On POSIX systems libuv's errors are the negative error numbers.
    int error = -uv_.poll_init(loop_, handle, descriptor_.get());
    if (error != 0) {
      ::operator delete(handle);
      return error;
    }
    handle_ = handle;
    uv_.set_data(handle_, this);
    uv_.unref(handle_);
    napi_create_reference(env_, wake, 1, &wake_);
    napi_async_init(env_, nullptr, Napi::String::New(env_, "lio-poller"), &context_);
    // An open handle when a worker exits aborts Node.
    hook_ = std::make_unique<ClosedAtExit>(env_, this);
    timer_ = Unreferenced(Uv::kTimerHandle, uv_.timer_init);
    idle_ = Unreferenced(Uv::kIdleHandle, uv_.idle_init);
    error = timer_ == nullptr || idle_ == nullptr ? ENOMEM : Listen();
    if (error != 0) Close();
    return error;
  }

  void Refer(bool keeps) override {
    if (handle_ == nullptr) return;
    keeps_loop_ = keeps;
    Reference();
  }

  void Arm(double milliseconds) override {
    if (handle_ == nullptr) return;
    uv_.timer_stop(timer_);
    uv_.idle_stop(idle_);
    const uint64_t now = uv_.hrtime();
    const uint64_t due = After(now, milliseconds);
    if (due == now) {
      uv_.idle_start(idle_, OnIdle);
    } else if (due != kNever) {
      // The loop's time is behind: from there to the first whole millisecond that is not too early.
      uv_.timer_start(timer_, OnDue, (due - 1) / 1'000'000 + 1 - uv_.now(loop_), 0);
    }
  }

  int Pause(bool pauses) override {
    if (handle_ == nullptr) return 0;
    const int error = pauses ? 0 : Listen();
    is_paused_ = pauses || error != 0;
    if (is_paused_) uv_.poll_stop(handle_);
    Reference();
    return error;
  }

  void Close() override {
    if (handle_ == nullptr) return;
    // libuv forgets the descriptor at once, and the handles in the loop's next turn.
    for (void** handle : {&handle_, &timer_, &idle_}) {
      if (*handle != nullptr)
        uv_.close(std::exchange(*handle, nullptr), [](void* closed) { ::operator delete(closed); });
    }
    descriptor_.Close();
    napi_delete_reference(env_, wake_);
    hook_.reset();
    // A call that is under way is in this context.
    if (!is_calling_) napi_async_destroy(env_, context_);
  }

 private:
  /// 0, or an error number.
  int Listen() {
    const int error = -uv_.poll_start(handle_, Uv::kReadable, OnReadable);
    // libuv asks the kernel in the loop's next turn, and aborts if that refuses for want of watches or memory. It takes
    // what is there already, so the question is put here, where its answer can be told.
    return error != 0 ? error : enlist_(uv_.backend_fd(loop_), descriptor_.get());
  }

  /// A handle that is stopped keeps no loop running: what is armed does it for one that is paused.
  void Reference() {
    const auto set = [this](void* handle, bool keeps) { keeps ? uv_.ref(handle) : uv_.unref(handle); };
    set(handle_, keeps_loop_);
    set(timer_, keeps_loop_ && is_paused_);
    set(idle_, keeps_loop_ && is_paused_);
  }

  /// A handle that does not keep the loop running; null if there is no memory for it.
  void* Unreferenced(int type, int (*init)(void* loop, void* handle)) {
    void* handle = ::operator new(uv_.handle_size(type), std::nothrow);
    if (handle == nullptr) return nullptr;
    init(loop_, handle);
    uv_.set_data(handle, this);
    uv_.unref(handle);
    return handle;
  }

  static void OnReadable(void* handle, int, int) { Call(handle, false); }

  /// Calls where it is called at most once in a turn: libuv before 1.49 comes here again in the same turn if a timer
  /// that is started anew is due because another one's callback, such as Node's, has updated the loop's time meanwhile.
  static void OnDue(void* handle) {
    const Uv* uv = Uv::Get();
    uv->idle_start(static_cast<InLoop*>(uv->get_data(handle))->idle_, OnIdle);
  }

  static void OnIdle(void* handle) {
    Uv::Get()->idle_stop(handle);
    Call(handle, true);
  }

  static void Call(void* handle, bool is_over) {
    // Held until the end: the call may close this, and have it collected.
    std::shared_ptr<InLoop> self = static_cast<InLoop*>(Uv::Get()->get_data(handle))->shared_from_this();
    napi_env env = self->env_;
    Napi::HandleScope scope(env);
    napi_value wake, global, over;
    napi_get_reference_value(env, self->wake_, &wake);
    napi_get_global(env, &global);
    napi_get_boolean(env, is_over, &over);
    self->is_calling_ = true;
    if (napi_make_callback(env, self->context_, global, wake, 1, &over, nullptr) != napi_ok) {
      ReportException(env);
      // It was ended before its end: another makes that good.
      self->Arm(0);
    }
    self->is_calling_ = false;
    if (self->handle_ == nullptr) napi_async_destroy(env, self->context_);
  }

  napi_env env_;
  const Uv& uv_;
  Descriptor descriptor_;
  const Enlist enlist_;
  void* loop_ = nullptr;
  void* handle_ = nullptr;
  void* timer_ = nullptr;
  void* idle_ = nullptr;
  napi_ref wake_ = nullptr;
  napi_async_context context_ = nullptr;
  bool keeps_loop_ = false;
  bool is_paused_ = false;
  bool is_calling_ = false;
  std::unique_ptr<ClosedAtExit> hook_;
};

/// Waits with poll(2) for the descriptor, or for a pipe that interrupts.
class DescriptorWaiter final : public Waiter {
 public:
  DescriptorWaiter(Descriptor descriptor, Descriptor read_end, Descriptor write_end)
      : descriptor_(std::move(descriptor)), read_end_(std::move(read_end)), write_end_(std::move(write_end)) {}

  /// Returns early also for a signal, and if the deadline is further than poll(2) can look.
  bool Wait(uint64_t deadline) override {
    pollfd descriptors[] = {{descriptor_.get(), POLLIN, 0}, {read_end_.get(), POLLIN, 0}};
    if (poll(descriptors, 2, MillisecondsUntil(deadline)) <= 0) return false;
    char bytes[64];
    if (descriptors[1].revents != 0)
      while (read(read_end_.get(), bytes, sizeof bytes) > 0) continue;
    return descriptors[0].revents != 0;
  }

  void Interrupt() override {
    char byte = 0;
    // A pipe that is full interrupts as well.
    while (write(write_end_.get(), &byte, 1) == -1 && errno == EINTR) continue;
  }

 private:
  /// Rounded up; -1 for a moment that never comes.
  static int MillisecondsUntil(uint64_t deadline) {
    if (deadline == kNever) return -1;
    const uint64_t now = Now();
    if (deadline <= now) return 0;
    return static_cast<int>(std::min<uint64_t>((deadline - now + 999'999) / 1'000'000, INT_MAX));
  }

  Descriptor descriptor_;
  Descriptor read_end_;
  Descriptor write_end_;
};

int OpenPipe(int pair[2]) {
#if defined(__APPLE__)
  // There is no pipe2(2): a child that another thread starts meanwhile inherits the pipe.
  if (pipe(pair) == -1) return -1;
  for (int i = 0; i < 2; i++) {
    fcntl(pair[i], F_SETFD, FD_CLOEXEC);
    fcntl(pair[i], F_SETFL, O_NONBLOCK);
  }
  return 0;
#else
  return pipe2(pair, O_CLOEXEC | O_NONBLOCK);
#endif
}

Napi::Value InLoopDelivery(Napi::Env env, const Uv& uv, Descriptor descriptor, Napi::Function wake, Enlist enlist) {
  auto delivery = std::make_shared<InLoop>(env, uv, std::move(descriptor), enlist);
  int error = delivery->Start(wake);
  if (error != 0) return Napi::Number::New(env, -error);
  return Handle(env, delivery, "uv_poll", true);
}

Napi::Value ThreadDelivery(Napi::Env env, Descriptor descriptor, Napi::Function wake) {
  int pair[2];
  if (OpenPipe(pair) == -1) return Napi::Number::New(env, -errno);
  Descriptor read_end(RaiseNumber(pair[0]));
  Descriptor write_end(RaiseNumber(pair[1]));
  auto waiter = std::make_unique<DescriptorWaiter>(std::move(descriptor), std::move(read_end), std::move(write_end));
  return DeliverByThread(env, std::move(waiter), wake);
}

}  // namespace

Napi::Value DeliverDescriptor(Napi::Env env, int descriptor, Napi::Function wake, bool in_loop, Enlist enlist) {
  Descriptor own(RaiseNumber(fcntl(descriptor, F_DUPFD_CLOEXEC, 0)));
  if (own.get() == -1) return Napi::Number::New(env, -errno);
  const Uv* uv = in_loop ? Uv::Get() : nullptr;
  if (uv == nullptr) return ThreadDelivery(env, std::move(own), wake);
  return InLoopDelivery(env, *uv, std::move(own), wake, enlist);
}

}  // namespace lio

#endif  // !_WIN32
