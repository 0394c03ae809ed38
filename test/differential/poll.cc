// poll(2) for tests: (descriptors, events, revents) fills the third array, and returns what the call does.

#include <node_api.h>
#include <poll.h>

#include <vector>

static napi_value Poll(napi_env env, napi_callback_info info) {
  size_t count = 3, lengths[3];
  napi_value values[3], result;
  void* data[3];
  napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
  for (int i = 0; i < 3; i++) {
    napi_typedarray_type type;
    if (napi_get_typedarray_info(env, values[i], &type, &lengths[i], &data[i], nullptr, nullptr) != napi_ok ||
        type != napi_int32_array || lengths[i] != lengths[0]) {
      napi_throw_type_error(env, nullptr, "three Int32Arrays of one length");
      return nullptr;
    }
  }
  auto** arrays = reinterpret_cast<int32_t**>(data);
  std::vector<pollfd> fds(lengths[0]);
  for (size_t i = 0; i < fds.size(); i++) fds[i] = {arrays[0][i], static_cast<short>(arrays[1][i]), 0};
  const int answer = poll(fds.data(), fds.size(), 0);
  for (size_t i = 0; i < fds.size(); i++) arrays[2][i] = static_cast<unsigned short>(fds[i].revents);
  napi_create_int32(env, answer, &result);
  return result;
}

NAPI_MODULE_INIT() {
  napi_value poll;
  napi_create_function(env, "poll", NAPI_AUTO_LENGTH, Poll, nullptr, &poll);
  return poll;
}
