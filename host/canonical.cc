#include "canonical.h"

#include <new>

namespace lio {

uint8_t* MakeRoom(napi_env env, const Guest& guest, Memory& memory, uint32_t count, size_t size, List& list) {
  list = {0, count};
  if (count == 0) return nullptr;
  list.pointer = guest.Allocate(env, count, size, memory);
  bool threw = false;
  napi_is_exception_pending(env, &threw);
  return threw ? nullptr : memory.At(env, list.pointer, count, size);
}

bool Failures::Add(napi_env env, uint32_t index, int number, uint32_t length) {
  if (items_ == nullptr) items_.reset(new (std::nothrow) Failure[length]);
  if (items_ == nullptr) {
    napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "the component gave more changes than there is memory for");
    return false;
  }
  items_[count_++] = {index, ErrorCodeOf(number)};
  return true;
}

bool Failures::Write(napi_env env, const Guest& guest, Memory& memory, List& list) const {
  uint8_t* room = MakeRoom(env, guest, memory, count_, sizeof(Failure), list);
  if (room == nullptr) return count_ == 0;
  memcpy(room, items_.get(), count_ * sizeof(Failure));
  return true;
}

}  // namespace lio
