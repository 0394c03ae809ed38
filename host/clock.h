// The clock of `clock.now` in wit/clock.wit: CLOCK_MONOTONIC, on Windows QueryPerformanceCounter.

#pragma once

#include <napi.h>

#include <cstdint>

namespace lio {

/// Nanoseconds since some moment; never goes back. Any thread.
uint64_t Now();

/// A moment that never comes.
constexpr uint64_t kNever = UINT64_MAX;

/// The moment so many milliseconds after another: the same for what is not above 0, never for what is beyond the clock.
uint64_t After(uint64_t moment, double milliseconds);

/// The JavaScript object for it: `NativeClock` in src/native.ts.
Napi::Object Clock(Napi::Env env);

}  // namespace lio
