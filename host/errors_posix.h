// This system's error numbers: errno's, which are Node's as well.

#pragma once

#include <cerrno>

namespace lio {

/// The names that these have on every system.
constexpr int kEBADF = EBADF;
constexpr int kEINVAL = EINVAL;
constexpr int kENOMEM = ENOMEM;

/// In the order of `error-code` in wit/types.wit, from `bad-descriptor`, tag 0.
constexpr int kErrorNumbers[] = {EBADF,  EEXIST, ENOENT,   EPERM,        EACCES,     EINVAL,   ENOMEM,
                                 ENOSPC, EMFILE, ENFILE,   ELOOP,        EINTR,      ENOTSUP,  ENOSYS,
                                 EFAULT, EPIPE,  ENOTSOCK, ECONNREFUSED, ECONNRESET, ETIMEDOUT};

}  // namespace lio
