// The native addon: the kernels of this platform and the descriptor helpers. Each kernel is one file under kernels/;
// the list below is the only place that names them.

#include "addon.h"

#include "notifiers.h"

namespace lio {

/// notify(name: number): wakes the poller that has this name, whichever thread it belongs to.
static void Notify(const Napi::CallbackInfo& info) {
  NotifyByName(static_cast<uint64_t>(info[0].ToNumber().Int64Value()));
}

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  Napi::Object kernels = Napi::Object::New(env);
#if defined(__linux__)
  kernels.Set("epoll", EpollKernel(env));
#endif
  exports.Set("kernels", kernels);
  exports.Set("nonce", Napi::BigInt::New(env, ProcessNonce()));
  exports.Set("notify", Napi::Function::New<Notify>(env, "notify"));
#if !defined(_WIN32)
  exports.Set("deliver", Napi::Function::New<DeliverDescriptor>(env, "deliver"));
#endif
  exports.Set("io", Io(env));
  return exports;
}

}  // namespace lio

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  return lio::Init(env, exports);
}

NODE_API_MODULE(NODE_GYP_MODULE_NAME, Init)
