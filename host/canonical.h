// What the canonical ABI lays out in a component's memory, whatever the kernel: errors, results, lists.
//
// Both ends are little-endian: Node runs on no big-endian system that has a WebAssembly of its own byte order.

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>

#include "error_code.h"
#include "guest.h"

namespace lio {

struct List {
  uint32_t pointer;
  uint32_t length;
};

constexpr uint32_t kOk = 0;
constexpr uint32_t kError = 1;

/// result<u32, error-code>
struct NumberResult {
  uint32_t tag;
  union {
    uint32_t value;
    ErrorCode error;
  };
};
static_assert(sizeof(NumberResult) == 12, "the canonical ABI's layout");

inline NumberResult Succeeded(uint32_t value) {
  NumberResult result{};
  result.value = value;
  return result;
}

inline NumberResult Refused(int number) {
  NumberResult result{};
  result.tag = kError;
  result.error = ErrorCodeOf(number);
  return result;
}

constexpr uint32_t kChangesRefused = 0;
constexpr uint32_t kKernelRefused = 1;

struct WaitError {
  uint32_t tag;
  union {
    List changes;
    ErrorCode kernel;
  };
};

/// What a wait brought: `waited`.
struct Waited {
  List events;
  uint64_t moment;
};

/// result<waited, wait-error>
struct WaitResult {
  alignas(8) uint32_t tag;
  union {
    alignas(8) Waited waited;
    alignas(8) WaitError error;
  };
};
static_assert(sizeof(WaitResult) == 24 && offsetof(WaitResult, error) == 8, "the canonical ABI's layout");

/// The area where a wait's result goes; null, and an exception, if it cannot go there.
inline uint8_t* WaitArea(napi_env env, const Memory& memory, uint32_t pointer) {
  return memory.At(env, pointer, 1, sizeof(WaitResult), alignof(WaitResult));
}

struct Failure {
  uint32_t index;
  ErrorCode error;
};
static_assert(sizeof(Failure) == 12, "the canonical ABI's layout");

template <typename T>
void Write(uint8_t* at, const T& value) {
  memcpy(at, &value, sizeof value);
}

/// Room for a list in the component, or null if it is empty, or if the component's allocator or what it answered was no
/// good.
uint8_t* MakeRoom(napi_env env, const Guest& guest, Memory& memory, uint32_t count, size_t size, List& list);

/// The changes of a batch that failed. Takes memory only if there are any.
class Failures {
 public:
  /// Notes that a change failed, one of so many; false, and an exception, if there is no memory for that.
  bool Add(napi_env env, uint32_t index, int number, uint32_t length);

  uint32_t Count() const { return count_; }

  /// Gives them to the component as a list; false if it had no room for them.
  bool Write(napi_env env, const Guest& guest, Memory& memory, List& list) const;

 private:
  std::unique_ptr<Failure[]> items_;
  uint32_t count_ = 0;
};

}  // namespace lio
