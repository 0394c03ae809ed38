// What one writes without this package: an addon that has a function called whenever a descriptor is readable, and no
// more than that.

#include <node_api.h>
#include <uv.h>

namespace {

struct Watch {
  uv_poll_t handle;
  napi_env env;
  napi_ref callback;
};

void OnReadable(uv_poll_t* handle, int, int) {
  auto* watch = static_cast<Watch*>(handle->data);
  napi_env env = watch->env;
  napi_handle_scope scope;
  napi_open_handle_scope(env, &scope);
  napi_value callback, global;
  napi_get_reference_value(env, watch->callback, &callback);
  napi_get_global(env, &global);
  napi_make_callback(env, nullptr, global, callback, 0, nullptr, nullptr);
  napi_close_handle_scope(env, scope);
}

// watch(fd, callback) -> the watch
napi_value WatchFunction(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value arguments[2];
  napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr);
  int32_t fd = -1;
  napi_get_value_int32(env, arguments[0], &fd);
  auto* watch = new Watch;
  watch->env = env;
  napi_create_reference(env, arguments[1], 1, &watch->callback);
  uv_loop_t* loop;
  napi_get_uv_event_loop(env, &loop);
  if (uv_poll_init(loop, &watch->handle, fd) != 0) napi_throw_error(env, nullptr, "uv_poll_init failed");
  watch->handle.data = watch;
  uv_poll_start(&watch->handle, UV_READABLE, OnReadable);
  napi_value external;
  napi_create_external(env, watch, nullptr, nullptr, &external);
  return external;
}

// unwatch(watch)
napi_value Unwatch(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value argument;
  napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr);
  void* data;
  napi_get_value_external(env, argument, &data);
  auto* watch = static_cast<Watch*>(data);
  napi_delete_reference(env, watch->callback);
  uv_close(reinterpret_cast<uv_handle_t*>(&watch->handle),
           [](uv_handle_t* handle) { delete static_cast<Watch*>(handle->data); });
  return nullptr;
}

}  // namespace

NAPI_MODULE_INIT() {
  napi_value function;
  napi_create_function(env, "watch", NAPI_AUTO_LENGTH, WatchFunction, nullptr, &function);
  napi_set_named_property(env, exports, "watch", function);
  napi_create_function(env, "unwatch", NAPI_AUTO_LENGTH, Unwatch, nullptr, &function);
  napi_set_named_property(env, exports, "unwatch", function);
  return exports;
}
