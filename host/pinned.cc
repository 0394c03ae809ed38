// Keeps the addon in memory until the process ends.
//
// A runtime unloads an addon with the last thread that has loaded it, and may call it after that: libuv closes a handle
// in the loop's next turn, and Node runs finalizers late.
// On systems with ELF the linker's `-z nodelete` says it all, in binding.gyp: see dlopen(3), RTLD_NODELETE.

#if defined(_WIN32)
#include <windows.h>
#elif defined(__APPLE__)
#include <dlfcn.h>
#endif

#include "addon.h"

namespace lio {

#if defined(_WIN32)

void StayLoaded() {
  HMODULE module;
  GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS,
                     reinterpret_cast<LPCWSTR>(&StayLoaded), &module);
}

#elif defined(__APPLE__)

void StayLoaded() {
  Dl_info self;
  if (dladdr(reinterpret_cast<void*>(&StayLoaded), &self) != 0) {
    dlopen(self.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
  }
}

#else

void StayLoaded() {}

#endif

}  // namespace lio
