// A thread whose start can fail: std::thread throws then, and this addon is built without exceptions.

#pragma once

#if defined(_WIN32)
#include <process.h>
#include <windows.h>
#else
#include <pthread.h>
#endif

#include "error_code.h"

namespace lio {

class Thread {
 public:
  /// Runs `Program` of an object in a new thread. 0, or an error number.
  template <typename Object, void (Object::*Program)()>
  int Start(Object* object) {
#if defined(_WIN32)
    auto run = [](void* self) -> unsigned { return (static_cast<Object*>(self)->*Program)(), 0; };
    thread_ = reinterpret_cast<HANDLE>(_beginthreadex(nullptr, 0, run, object, 0, nullptr));
    // What the C library says means nothing to Node, and it knows one reason: there are not the means.
    return thread_ == nullptr ? kENOMEM : 0;
#else
    auto run = [](void* self) -> void* { return (static_cast<Object*>(self)->*Program)(), nullptr; };
    return pthread_create(&thread_, nullptr, run, object);
#endif
  }

  /// Waits for the end of a thread that was started.
  void Join() {
#if defined(_WIN32)
    WaitForSingleObject(thread_, INFINITE);
    CloseHandle(thread_);
#else
    pthread_join(thread_, nullptr);
#endif
  }

 private:
#if defined(_WIN32)
  HANDLE thread_ = nullptr;
#else
  pthread_t thread_ = {};
#endif
};

}  // namespace lio
