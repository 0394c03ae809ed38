// A component's side of an imported call: its flat arguments, its linear memory and its allocator.
//
// The component is not trusted. Every pointer and length is checked against the memory's size at the time of the call,
// and whatever is not right becomes a JavaScript RangeError, as the canonical ABI asks for a trap.
//
// Raw Node-API: these calls are the hot path, and the C++ wrappers cost more than the calls themselves.

#pragma once

#include <node_api.h>

#include <cstddef>
#include <cstdint>
#include <memory>

namespace lio {

/// A component's linear memory as it is at one moment: void after anything that runs the component.
class Memory {
 public:
  Memory(uint8_t* data, size_t length) : data_(data), length_(length) {}

  /// The bytes from `pointer` on, if `count` elements of `size` bytes are inside and aligned; else throws, and is null.
  /// Nearly all types that cross are aligned to 4 at most.
  uint8_t* At(napi_env env, uint32_t pointer, uint32_t count, size_t size, uint32_t alignment = 4) const {
    if (pointer % alignment == 0 && pointer <= length_ && count <= (length_ - pointer) / size) return data_ + pointer;
    napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "the component gave a pointer that is outside its memory");
    return nullptr;
  }

 private:
  uint8_t* data_;
  size_t length_;
};

/// The memory and the allocator of one component instance. Lives as long as the function that was bound to it.
class Guest {
 public:
  Guest(napi_env env, napi_value memory, napi_value realloc);
  ~Guest();
  Guest(const Guest&) = delete;
  Guest& operator=(const Guest&) = delete;

  /// The memory as it is now; one without a byte if there is none.
  Memory Look(napi_env env) const;

  /// Room for `count` elements of `size` bytes, from the component's allocator: its pointer, or 0 if that threw. Looks
  /// at the memory again if it may have moved.
  uint32_t Allocate(napi_env env, uint32_t count, size_t size, Memory& memory) const;

 private:
  uint32_t Number(napi_value object, const char* name) const;

  napi_env env_;
  napi_ref memory_ = nullptr;
  napi_ref realloc_ = nullptr;
  // Where the allocator would put a list: see `landing` in src/component.ts. 0 bytes if that is not told. Asking it
  // takes longer than a system call.
  uint32_t landing_ = 0;
  uint32_t landing_bytes_ = 0;
  // Fetching memory.buffer costs more than all else here, so it is kept until it reads as detached.
  mutable napi_ref buffer_ = nullptr;
};

/// The arguments of a call, read one after the other. A missing or mistyped one reads as 0.
template <size_t N>
class Arguments {
 public:
  Arguments(napi_env env, napi_callback_info info) : env_(env) {
    size_t count = N;
    napi_get_cb_info(env, info, &count, values_, nullptr, &data_);
  }

  uint32_t U32(size_t index) const {
    uint32_t value = 0;
    napi_get_value_uint32(env_, values_[index], &value);
    return value;
  }

  // A core i64 arrives as a signed BigInt.
  uint64_t U64(size_t index) const {
    int64_t value = 0;
    bool lossless;
    napi_get_value_bigint_int64(env_, values_[index], &value, &lossless);
    return static_cast<uint64_t>(value);
  }

  /// What the function was bound to.
  template <typename T>
  T& Bound() const {
    return *static_cast<T*>(data_);
  }

 private:
  napi_env env_;
  napi_value values_[N] = {};
  void* data_ = nullptr;
};

/// Makes a function whose `Arguments::Bound` is `bound`, which is destroyed with the function.
template <typename T>
napi_value Bind(napi_env env, const char* name, napi_callback callback, std::unique_ptr<T> bound) {
  napi_value function;
  if (napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, bound.get(), &function) != napi_ok) return nullptr;
  auto destroy = [](napi_env, void* data, void*) { delete static_cast<T*>(data); };
  if (napi_add_finalizer(env, function, bound.get(), destroy, nullptr, nullptr) != napi_ok) return nullptr;
  // The function owns it from now on.
  static_cast<void>(bound.release());
  return function;
}

}  // namespace lio
