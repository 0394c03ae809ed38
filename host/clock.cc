#include "clock.h"

#if defined(_WIN32)
#include <windows.h>
#else
#include <ctime>
#endif

#include <cmath>

namespace lio {

uint64_t Now() {
#if defined(_WIN32)
  static const uint64_t frequency = [] {
    LARGE_INTEGER value;
    QueryPerformanceFrequency(&value);
    return static_cast<uint64_t>(value.QuadPart);
  }();
  LARGE_INTEGER counter;
  QueryPerformanceCounter(&counter);
  const auto ticks = static_cast<uint64_t>(counter.QuadPart);
  // In two parts: ticks times a thousand million is too large after half an hour at 10 MHz.
  return ticks / frequency * 1'000'000'000 + ticks % frequency * 1'000'000'000 / frequency;
#else
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
#endif
}

uint64_t After(uint64_t moment, double milliseconds) {
  // So that what is no number is nothing.
  if (!(milliseconds > 0)) return moment;
  const double nanoseconds = std::ceil(milliseconds * 1e6);
  // Moments are below 2^63, until 292 years have passed.
  return nanoseconds < 0x1p63 ? moment + static_cast<uint64_t>(nanoseconds) : kNever;
}

/// Writes the moment where it is told, because a BigInt that Node-API makes costs more than all of this.
static napi_value Read(napi_env env, napi_callback_info info) {
  void* moment;
  napi_get_cb_info(env, info, nullptr, nullptr, nullptr, &moment);
  *static_cast<uint64_t*>(moment) = Now();
  return nullptr;
}

Napi::Object Clock(Napi::Env env) {
  Napi::ArrayBuffer moment = Napi::ArrayBuffer::New(env, sizeof(uint64_t));
  napi_value read;
  napi_create_function(env, "read", NAPI_AUTO_LENGTH, Read, moment.Data(), &read);
  // So that it is not collected before the function.
  Napi::Object(env, read).Set("moment", moment);
  Napi::Object clock = Napi::Object::New(env);
  clock.Set("read", read);
  clock.Set("moment", moment);
  return clock;
}

}  // namespace lio
