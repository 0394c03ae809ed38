// The `error-code` variant of wit/types.wit, from this system's error numbers.

#pragma once

#include <cstdint>

#if defined(_WIN32)
#include "errors_windows.h"
#else
#include "errors_posix.h"
#endif

namespace lio {

/// `error-code` as the canonical ABI stores it: a tag, and a payload that only `other` uses.
struct ErrorCode {
  uint8_t tag;
  uint8_t padding[3];
  int32_t payload;
};
static_assert(sizeof(ErrorCode) == 8, "the canonical ABI's layout");

constexpr uint8_t kOther = sizeof(kErrorNumbers) / sizeof(kErrorNumbers[0]);

inline ErrorCode ErrorCodeOf(int number) {
  for (uint8_t tag = 0; tag < kOther; tag++) {
    if (kErrorNumbers[tag] == number) return {tag, {}, 0};
  }
  return {kOther, {}, number};
}

}  // namespace lio
