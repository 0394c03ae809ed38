// The core functions that are the same for every kernel whose objects are descriptors.

#pragma once

#include <cerrno>

#include "canonical.h"
#include "kernel_object.h"
#include "posix.h"

namespace lio {

/// Makes the changes of a list in the component's memory; false, and an exception, if they cannot be looked at or their
/// verdicts not be kept.
template <typename Tables>
using ControlList = bool(napi_env env, const Memory& memory, const Tables& tables, int object, uint32_t pointer,
                         uint32_t length, Failures& failures);

/// `Tables` has `objects`, which are `Descriptors`, `Close` for one of them, and `notifiers`, which have names. In all
/// functions the area for the result is checked first, so that a bad pointer leaves nothing done.
template <typename Tables, ControlList<Tables> Control>
struct DescriptorKernel {
  static Tables& TablesOf(Arguments<1>& arguments) { return *arguments.Bound<Binding<Tables>>().tables; }

  static napi_value ControlFunction(napi_env env, napi_callback_info info) {
    Arguments<4> arguments(env, info);
    Binding<Tables>& binding = arguments.Bound<Binding<Tables>>();
    Memory memory = binding.guest.Look(env);
    uint8_t* area = memory.At(env, arguments.U32(3), 1, sizeof(List));
    if (area == nullptr) return nullptr;

    int object = binding.tables->objects.Find(arguments.U32(0));
    Failures failures;
    if (!Control(env, memory, *binding.tables, object, arguments.U32(1), arguments.U32(2), failures)) return nullptr;

    List list{0, 0};
    if (failures.Count() > 0) {
      if (!failures.Write(env, binding.guest, memory, list)) return nullptr;
      area = memory.At(env, arguments.U32(3), 1, sizeof list);
    }
    if (area != nullptr) Write(area, list);
    return nullptr;
  }

  static napi_value Descriptor(napi_env env, napi_callback_info info) {
    Arguments<2> arguments(env, info);
    Binding<Tables>& binding = arguments.Bound<Binding<Tables>>();
    uint8_t* area = binding.guest.Look(env).At(env, arguments.U32(1), 1, sizeof(NumberResult));
    if (area == nullptr) return nullptr;
    int descriptor = binding.tables->objects.Find(arguments.U32(0));
    Write(area, descriptor == -1 ? Refused(EBADF) : Succeeded(static_cast<uint32_t>(descriptor)));
    return nullptr;
  }

  static napi_value Close(napi_env env, napi_callback_info info) {
    Arguments<1> arguments(env, info);
    TablesOf(arguments).Close(arguments.U32(0));
    return nullptr;
  }

  static napi_value Identify(napi_env env, napi_callback_info info) {
    Arguments<1> arguments(env, info);
    napi_value name;
    napi_create_bigint_uint64(env, TablesOf(arguments).notifiers.Name(arguments.U32(0)), &name);
    return name;
  }

  static napi_value CloseNotifier(napi_env env, napi_callback_info info) {
    Arguments<1> arguments(env, info);
    TablesOf(arguments).notifiers.Close(arguments.U32(0));
    return nullptr;
  }
};

}  // namespace lio
