// The native addon: the kernels of this platform and the descriptor helpers. Each kernel is one file under kernels/.

#include "addon.h"

#include "clock.h"
#include "notifiers.h"

namespace lio {

/// Of a list that grows while the addon is loaded, in no order that could be relied on.
static const Kernel* last_kernel = nullptr;

Kernel::Kernel(const char* name, Napi::Function (*define)(Napi::Env)) : name(name), define(define), next(last_kernel) {
  last_kernel = this;
}

/// notify(name: number): wakes the poller that has this name, whichever thread it belongs to. Nothing else is a name.
static void Notify(const Napi::CallbackInfo& info) {
  // Never converted: a conversion that throws leaves an empty value, whose use ends the process.
  if (info[0].IsNumber()) NotifyByName(static_cast<uint64_t>(info[0].As<Napi::Number>().Int64Value()));
}

/// reportUncaught(error: unknown): what happens to an error that nobody catches.
static void ReportUncaught(const Napi::CallbackInfo& info) {
  napi_fatal_exception(info.Env(), info[0]);
}

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  StayLoaded();
  Napi::Object kernels = Napi::Object::New(env);
  for (const Kernel* kernel = last_kernel; kernel != nullptr; kernel = kernel->next) {
    kernels.Set(kernel->name, kernel->define(env));
  }
  exports.Set("kernels", kernels);
  exports.Set("nonce", Napi::BigInt::New(env, ProcessNonce()));
  exports.Set("notify", Napi::Function::New<Notify>(env, "notify"));
  exports.Set("clock", Clock(env));
  exports.Set("reportUncaught", Napi::Function::New<ReportUncaught>(env, "reportUncaught"));
  exports.Set("io", Io(env));
  return exports;
}

}  // namespace lio

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  return lio::Init(env, exports);
}

NODE_API_MODULE(NODE_GYP_MODULE_NAME, Init)
