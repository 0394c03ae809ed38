// This system's error numbers: errno's, which are Node's as well.

#pragma once

#include <cerrno>

namespace lio {

/// In the order of `error-code` in wit/types.wit, from `bad-descriptor`, tag 0.
constexpr int kErrorNumbers[] = {EBADF,  EEXIST, ENOENT,   EPERM,        EACCES,     EINVAL,   ENOMEM,
                                 ENOSPC, EMFILE, ENFILE,   ELOOP,        EINTR,      ENOTSUP,  ENOSYS,
                                 EFAULT, EPIPE,  ENOTSOCK, ECONNREFUSED, ECONNRESET, ETIMEDOUT};

}  // namespace lio
