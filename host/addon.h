// What the addon's files offer to addon.cc.

#pragma once

#include <napi.h>

namespace lio {

/// A kernel of this platform. Each file under kernels/ that concerns the platform has one, which is known by being
/// made: nothing else names the file.
struct Kernel {
  /// As in wit/<name>.wit, and how to define its class of tables.
  Kernel(const char* name, Napi::Function (*define)(Napi::Env));

  const char* const name;
  Napi::Function (*const define)(Napi::Env);
  /// The one that was made before this one.
  const Kernel* const next;
};

/// Keeps the addon's code in memory until the process ends: see pinned.cc.
void StayLoaded();

/// The descriptor helpers: see io.cc.
Napi::Object Io(Napi::Env env);

}  // namespace lio
