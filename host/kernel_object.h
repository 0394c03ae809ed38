// The JavaScript object that holds what one component instance has of a kernel: `NativeKernel` in src/native.ts.

#pragma once

#include <napi.h>

#include <memory>
#include <string>
#include <utility>

#include "error_code.h"
#include "guest.h"

namespace lio {

/// A core function of a kernel's WIT interface, by its name there in camel case.
struct Function {
  const char* name;
  napi_callback callback;
};

/// What a core function works on.
template <typename Tables>
struct Binding {
  std::shared_ptr<Tables> tables;
  Guest guest;
};

/// `Tables` is what an instance holds, with `CloseAll` and `Deliver`; its functions are `Functions`, ended by one
/// without a name.
template <typename Tables, const Function* Functions>
class KernelObject : public Napi::ObjectWrap<KernelObject<Tables, Functions>> {
  using Self = KernelObject<Tables, Functions>;
  using Base = Napi::ObjectWrap<Self>;

 public:
  explicit KernelObject(const Napi::CallbackInfo& info) : Base(info), tables_(std::make_shared<Tables>()) {}

  static Napi::Function Define(Napi::Env env) {
    return Base::DefineClass(
        env, "NativeKernel",
        {Base::template InstanceAccessor<&Self::FunctionNames>("functions"),
         Base::template InstanceMethod<&Self::Bind>("bind"), Base::template InstanceMethod<&Self::Deliver>("deliver"),
         Base::template InstanceMethod<&Self::Close>("close")});
  }

 private:
  Napi::Value FunctionNames(const Napi::CallbackInfo& info) {
    Napi::Array names = Napi::Array::New(info.Env());
    for (const Function* function = Functions; function->name != nullptr; function++) {
      names[names.Length()] = Napi::String::New(info.Env(), function->name);
    }
    return names;
  }

  Napi::Value Bind(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    // Never converted: a conversion that throws leaves an empty value, whose use ends the process.
    std::string name = info[0].IsString() ? info[0].As<Napi::String>().Utf8Value() : "";
    for (const Function* function = Functions; function->name != nullptr; function++) {
      if (name != function->name) continue;
      // Functions whose types need none get neither memory nor allocator.
      napi_value memory = info[1].IsObject() ? static_cast<napi_value>(info[1]) : nullptr;
      napi_value realloc = info[2].IsFunction() ? static_cast<napi_value>(info[2]) : nullptr;
      std::unique_ptr<Binding<Tables>> binding(new Binding<Tables>{tables_, Guest(env, memory, realloc)});
      return Napi::Value(env, lio::Bind(env, function->name, function->callback, std::move(binding)));
    }
    Napi::TypeError::New(env, "the kernel has no function \"" + name + "\"").ThrowAsJavaScriptException();
    return env.Undefined();
  }

  Napi::Value Deliver(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    if (!info[0].IsNumber() || !info[1].IsFunction()) return Napi::Number::New(env, -kEINVAL);
    bool in_loop = false;
    napi_get_value_bool(env, info[2], &in_loop);
    return tables_->Deliver(env, info[0].As<Napi::Number>().Uint32Value(), info[1].As<Napi::Function>(), in_loop);
  }

  void Close(const Napi::CallbackInfo&) { tables_->CloseAll(); }

  std::shared_ptr<Tables> tables_;
};

}  // namespace lio
