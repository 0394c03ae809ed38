// Linked into the addon that is cross-built for Wine, as node-gyp links its own where MSVC builds it: what is imported
// from "node.exe" is found in the program that runs, whatever its name. Relies on delayimp.h.

// The second needs the first.
// clang-format off
#include <windows.h>
#include <delayimp.h>
// clang-format on

#include <cstring>

namespace {

FARPROC WINAPI FindProgram(unsigned notification, PDelayLoadInfo info) {
  if (notification != dliNotePreLoadLibrary || _stricmp(info->szDll, "node.exe") != 0) return nullptr;
  return reinterpret_cast<FARPROC>(GetModuleHandleW(nullptr));
}

}  // namespace

extern "C" {
extern PfnDliHook __pfnDliNotifyHook2;
PfnDliHook __pfnDliNotifyHook2 = FindProgram;
}
