// What the addon's files offer to addon.cc.

#pragma once

#include <napi.h>

namespace lio {

/// The class of epoll tables: see kernels/epoll.cc.
Napi::Function EpollKernel(Napi::Env env);

/// deliver(descriptor, wake, inLoop): see `NativeAddon` in src/native.ts, and descriptor_delivery.cc.
Napi::Value DeliverDescriptor(const Napi::CallbackInfo& info);

/// The descriptor helpers: see io.cc.
Napi::Object Io(Napi::Env env);

}  // namespace lio
