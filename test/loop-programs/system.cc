// What is true of descriptors, and two kinds of them that `lio-poller/io` does not make: for programs of tests, on
// Linux.
//
//   poll(descriptors, events, revents)   fills the third array by poll(2), which does not block
//   openTerminal(pair)                   a pseudo-terminal pair in raw mode
//   openMemory()                         a file that cannot be polled
//
// The last two return zero or a descriptor, or a negative error number.

#include <fcntl.h>
#include <node_api.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

static int32_t* Integers(napi_env env, napi_value value, size_t* length) {
  napi_typedarray_type type;
  void* data;
  if (napi_get_typedarray_info(env, value, &type, length, &data, nullptr, nullptr) == napi_ok &&
      type == napi_int32_array)
    return static_cast<int32_t*>(data);
  napi_throw_type_error(env, nullptr, "not an Int32Array");
  return nullptr;
}

static napi_value Number(napi_env env, int number) {
  napi_value result;
  napi_create_int32(env, number, &result);
  return result;
}

static napi_value Poll(napi_env env, napi_callback_info info) {
  size_t count = 3, lengths[3];
  napi_value values[3];
  int32_t* arrays[3];
  napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
  for (int i = 0; i < 3; i++) {
    arrays[i] = Integers(env, values[i], &lengths[i]);
    if (arrays[i] == nullptr) return nullptr;
  }
  if (lengths[1] < lengths[0] || lengths[2] < lengths[0]) {
    napi_throw_type_error(env, nullptr, "too short an array");
    return nullptr;
  }
  std::vector<pollfd> fds(lengths[0]);
  for (size_t i = 0; i < fds.size(); i++) fds[i] = {arrays[0][i], static_cast<short>(arrays[1][i]), 0};
  const int answer = poll(fds.data(), fds.size(), 0);
  for (size_t i = 0; i < fds.size(); i++) arrays[2][i] = static_cast<unsigned short>(fds[i].revents);
  return Number(env, answer < 0 ? -errno : answer);
}

static int OpenTerminal(int32_t* pair) {
  const int controller = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  if (controller < 0) return -errno;
  const char* name = grantpt(controller) == 0 && unlockpt(controller) == 0 ? ptsname(controller) : nullptr;
  const int terminal = name == nullptr ? -1 : open(name, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  termios settings;
  if (terminal < 0 || tcgetattr(terminal, &settings) != 0) {
    const int error = errno;
    close(controller);
    return -error;
  }
  cfmakeraw(&settings);
  tcsetattr(terminal, TCSANOW, &settings);
  pair[0] = controller;
  pair[1] = terminal;
  return 0;
}

static napi_value OpenTerminal(napi_env env, napi_callback_info info) {
  size_t count = 1, length;
  napi_value value;
  napi_get_cb_info(env, info, &count, &value, nullptr, nullptr);
  int32_t* pair = Integers(env, value, &length);
  return pair == nullptr ? nullptr : Number(env, length < 2 ? -EINVAL : OpenTerminal(pair));
}

static napi_value OpenMemory(napi_env env, napi_callback_info) {
  const int fd = memfd_create("lio-poller", MFD_CLOEXEC);
  return Number(env, fd < 0 ? -errno : fd);
}

NAPI_MODULE_INIT() {
  const napi_property_descriptor functions[] = {
      {"poll", nullptr, Poll, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"openTerminal", nullptr, OpenTerminal, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"openMemory", nullptr, OpenMemory, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
  };
  napi_define_properties(env, exports, 3, functions);
  return exports;
}
