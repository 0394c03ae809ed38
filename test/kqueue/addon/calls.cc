// What the addon on the test-only kqueue tells tests: among its kernels, as one that no component is called after, a
// function that answers how often kevent() has been called in this process, and what that kqueue has.

#include "../../../host/addon.h"
#include "../emulation.h"

namespace {

Napi::Value Calls(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(kqueue_emulation_calls()));
}

Napi::Function Define(Napi::Env env) {
  Napi::Function calls = Napi::Function::New<Calls>(env, "calls");
#if defined(EVFILT_EXCEPT)
  calls.Set("hasExcept", true);
#else
  calls.Set("hasExcept", false);
#endif
  return calls;
}

const lio::Kernel registered("test-only kqueue", Define);

}  // namespace
