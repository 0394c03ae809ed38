// The native addon: the kernels of this platform and the descriptor helpers. Each kernel is one file under kernels/;
// the list below is the only place that names them.

#include "addon.h"

namespace lio {

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  Napi::Object kernels = Napi::Object::New(env);
#if defined(__linux__)
  kernels.Set("epoll", EpollKernel(env));
#endif
  exports.Set("kernels", kernels);
  exports.Set("io", Io(env));
  return exports;
}

}  // namespace lio

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  return lio::Init(env, exports);
}

NODE_API_MODULE(NODE_GYP_MODULE_NAME, Init)
