// What the benchmarks compare with: the loops that one would write in C++, and a bare binding of epoll_ctl(2).
//
// Raw Node-API, so that nothing but the system calls is measured. Every loop returns how many events it has seen.

#include <node_api.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cstdint>

namespace {

constexpr int kMostEvents = 4096;

int Int(napi_env env, napi_value value) {
  int32_t number = 0;
  napi_get_value_int32(env, value, &number);
  return number;
}

napi_value Number(napi_env env, double number) {
  napi_value value;
  napi_create_double(env, number, &value);
  return value;
}

struct Arguments {
  napi_value values[4] = {};
  napi_env env;

  Arguments(napi_env env, napi_callback_info info) : env(env) {
    size_t count = 4;
    napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
  }
  int operator[](size_t index) const { return Int(env, values[index]); }
};

int Control(int epoll, int operation, int fd, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  return epoll_ctl(epoll, operation, fd, &event);
}

// create() -> epoll
napi_value Create(napi_env env, napi_callback_info) {
  return Number(env, epoll_create1(EPOLL_CLOEXEC));
}

// control(epoll, operation, fd, events) -> 0 or -1
napi_value ControlFunction(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  return Number(env, Control(arguments[0], arguments[1], arguments[2], static_cast<uint32_t>(arguments[3])));
}

// level(epoll, turns, capacity): level-triggered, nothing is armed again
napi_value Level(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  epoll_event events[kMostEvents];
  double seen = 0;
  for (int turn = arguments[1]; turn > 0; turn--) seen += epoll_wait(arguments[0], events, arguments[2], -1);
  return Number(env, seen);
}

// oneshot(epoll, turns, capacity): EPOLLONESHOT, each event armed again before the next wait
napi_value Oneshot(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  epoll_event events[kMostEvents];
  double seen = 0;
  for (int turn = arguments[1]; turn > 0; turn--) {
    int count = epoll_wait(arguments[0], events, arguments[2], -1);
    for (int i = 0; i < count; i++) {
      Control(arguments[0], EPOLL_CTL_MOD, events[i].data.fd, EPOLLIN | EPOLLRDHUP | EPOLLONESHOT);
    }
    seen += count;
  }
  return Number(env, seen);
}

// late(epoll, turns, capacity): EPOLLONESHOT, each event armed again after one more wait
napi_value Late(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  epoll_event events[kMostEvents];
  epoll_event none[kMostEvents];
  double seen = 0;
  for (int turn = arguments[1]; turn > 0; turn--) {
    int count = epoll_wait(arguments[0], events, arguments[2], -1);
    seen += epoll_wait(arguments[0], none, arguments[2], 0);
    for (int i = 0; i < count; i++) {
      Control(arguments[0], EPOLL_CTL_MOD, events[i].data.fd, EPOLLIN | EPOLLRDHUP | EPOLLONESHOT);
    }
    seen += count;
  }
  return Number(env, seen);
}

// close(fd)
napi_value Close(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  return Number(env, close(arguments[0]));
}

}  // namespace

NAPI_MODULE_INIT() {
  const struct {
    const char* name;
    napi_callback callback;
  } functions[] = {{"create", Create}, {"control", ControlFunction},
                   {"level", Level},   {"oneshot", Oneshot},
                   {"late", Late},     {"close", Close}};
  for (const auto& function : functions) {
    napi_value value;
    napi_create_function(env, function.name, NAPI_AUTO_LENGTH, function.callback, nullptr, &value);
    napi_set_named_property(env, exports, function.name, value);
  }
  return exports;
}
