// What tests of the addon on the test-only kqueue ask beyond a kernel: among the addon's kernels, as one that no component
// is called after, a function that says how often kevent() has been called in this process.

#include "../../host/addon.h"
#include "emulation.h"

namespace {

Napi::Value Calls(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(kqueue_emulation_calls()));
}

const lio::Kernel registered("kevent calls", [](Napi::Env env) { return Napi::Function::New<Calls>(env); });

}  // namespace
