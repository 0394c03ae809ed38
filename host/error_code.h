// The `error-code` variant of wit/types.wit, and the one table that maps this system's numbers to it.

#pragma once

#include <cerrno>
#include <cstdint>

namespace lio {

/// `error-code` as the canonical ABI stores it: a tag, and a payload that only `other` uses.
struct ErrorCode {
  uint8_t tag;
  uint8_t padding[3];
  int32_t payload;
};
static_assert(sizeof(ErrorCode) == 8, "the canonical ABI's layout");

/// In the order of wit/types.wit, from `bad-descriptor`, tag 0.
constexpr int kErrorNumbers[] = {EBADF,  EEXIST, ENOENT,   EPERM,        EACCES,     EINVAL,   ENOMEM,
                                 ENOSPC, EMFILE, ENFILE,   ELOOP,        EINTR,      ENOTSUP,  ENOSYS,
                                 EFAULT, EPIPE,  ENOTSOCK, ECONNREFUSED, ECONNRESET, ETIMEDOUT};
constexpr uint8_t kOther = sizeof(kErrorNumbers) / sizeof(kErrorNumbers[0]);

inline ErrorCode ErrorCodeOf(int number) {
  for (uint8_t tag = 0; tag < kOther; tag++) {
    if (kErrorNumbers[tag] == number) return {tag, {}, 0};
  }
  return {kOther, {}, number};
}

}  // namespace lio
