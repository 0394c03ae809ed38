#include "guest.h"

#include <initializer_list>

namespace lio {

Guest::Guest(napi_env env, napi_value memory, napi_value realloc) : env_(env) {
  if (memory != nullptr) napi_create_reference(env, memory, 1, &memory_);
  if (realloc == nullptr) return;
  napi_create_reference(env, realloc, 1, &realloc_);
  landing_ = Number(realloc, "landing");
  landing_bytes_ = Number(realloc, "landingBytes");
}

uint32_t Guest::Number(napi_value object, const char* name) const {
  napi_value value;
  napi_valuetype type = napi_undefined;
  uint32_t number = 0;
  if (napi_get_named_property(env_, object, name, &value) == napi_ok) napi_typeof(env_, value, &type);
  // Not every runtime's napi_get_value_uint32 refuses what is no number.
  if (type == napi_number) napi_get_value_uint32(env_, value, &number);
  return number;
}

Guest::~Guest() {
  for (napi_ref reference : {memory_, realloc_, buffer_}) {
    if (reference != nullptr) napi_delete_reference(env_, reference);
  }
}

Memory Guest::Look(napi_env env) const {
  napi_value buffer;
  void* bytes = nullptr;
  size_t length = 0;
  if (buffer_ != nullptr && napi_get_reference_value(env, buffer_, &buffer) == napi_ok) {
    napi_get_arraybuffer_info(env, buffer, &bytes, &length);
  }
  // A memory that has grown leaves its old buffer detached, of length 0.
  if (length == 0) {
    napi_value memory;
    if (memory_ == nullptr || napi_get_reference_value(env, memory_, &memory) != napi_ok) return {nullptr, 0};
    if (napi_get_named_property(env, memory, "buffer", &buffer) != napi_ok) return {nullptr, 0};
    if (napi_get_arraybuffer_info(env, buffer, &bytes, &length) != napi_ok) return {nullptr, 0};
    if (buffer_ != nullptr) napi_delete_reference(env, buffer_);
    buffer_ = nullptr;
    napi_create_reference(env, buffer, 1, &buffer_);
  }
  return {static_cast<uint8_t*>(bytes), length};
}

uint32_t Guest::Allocate(napi_env env, uint32_t count, size_t size, Memory& memory) const {
  if (count <= landing_bytes_ / size) return landing_;
  napi_value realloc, undefined, result;
  if (realloc_ == nullptr || napi_get_reference_value(env, realloc_, &realloc) != napi_ok) {
    napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "the component has no allocator");
    return 0;
  }
  napi_value values[4];
  const uint32_t numbers[4] = {0, 0, 4, static_cast<uint32_t>(count * size)};
  for (int i = 0; i < 4; i++) napi_create_uint32(env, numbers[i], &values[i]);
  napi_get_undefined(env, &undefined);
  if (napi_call_function(env, undefined, realloc, 4, values, &result) != napi_ok) return 0;
  uint32_t pointer = 0;
  if (napi_get_value_uint32(env, result, &pointer) != napi_ok) {
    napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "the component's allocator answered no pointer");
  }
  memory = Look(env);
  return pointer;
}

}  // namespace lio
