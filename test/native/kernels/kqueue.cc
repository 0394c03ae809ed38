// host/kernels/kqueue.cc, by wit/kqueue.wit, on the test-only kqueue.
//
// Build: -Itest/kqueue -pthread test/kqueue/kqueue.cc test/kqueue/filters.cc

#include <sys/event.h>

#include <cstdint>
#include <ctime>

#include "../shapes.h"
#include "../system.h"

// The test-only kqueue makes system calls of its own, which are nobody's here: its two functions are the system.
#define REAL(name) __real_##name
extern "C" {

int REAL(kqueue)();
int __wrap_kqueue() {
  if (test_system::Fails()) return -1;
  int descriptor;
  {
    const test_system::Calling calling(test_system::Caller::kNobody);
    descriptor = REAL(kqueue)();
  }
  return test_system::Opened(descriptor);
}

int REAL(kevent)(int, const struct kevent*, int, struct kevent*, int, const timespec*);
int __wrap_kevent(int kqueue, const struct kevent* changes, int change_count, struct kevent* events, int event_count,
                  const timespec*) {
  if (test_system::Fails()) return -1;
  const test_system::Calling calling(test_system::Caller::kNobody);
  const timespec now{};
  return REAL(kevent)(kqueue, changes, change_count, events, event_count, &now);
}

}  // extern "C"

namespace {

constexpr Parameter kHandle{Parameter::kNumber};
constexpr Parameter kNumber{Parameter::kNumber};
constexpr Parameter kLong{Parameter::kLong};
constexpr Parameter kChanges{Parameter::kList, 12};
constexpr Parameter kListArea{Parameter::kArea, 8};
constexpr Parameter kNumberArea{Parameter::kArea, 12};
constexpr Parameter kWaitArea{Parameter::kArea, 24, 8};

// In the order of the shape below, by which programs know them.
enum : uint8_t { kCreate, kControl, kWait, kDescriptor, kClose, kCreateNotifier, kAttach, kIdentify, kNotify, kEnd };

constexpr uint32_t kArea = 0, kChange = 24, kOther = 48, kRoom = 64;
// `actions`, bit by bit.
constexpr uint32_t kAdd = 1, kDelete = 2, kEnable = 4, kDisable = 8, kClear = 16, kDispatch = 32;

/// A change at `kChange`, of the program's descriptor of that number.
Program& Change(Program& program, uint32_t filter, uint8_t which, uint32_t actions) {
  program.PokeDescriptor(kChange, which).Poke(kChange + 4, 1);
  return program.Poke(kChange + 8, actions << 8 | filter);
}

Program Start() {
  Program program;
  program.Memory(4096).Allocate(Allocator::kAnswers, kRoom).Open(0).Open(3).Call(kCreate).Small(kArea);
  return program;
}

Program& Control(Program& program, uint8_t length) {
  return program.Call(kControl).Small(0).Small(kChange).Small(length).Small(kOther);
}

Program& Wait(Program& program, uint8_t length, uint8_t capacity, uint8_t has_timeout, uint64_t timeout) {
  program.Call(kWait).Small(0).Small(kChange).Small(length).Small(capacity).Small(has_timeout);
  return program.Big(timeout).Small(kArea);
}

std::vector<Program> Seeds() {
  std::vector<Program> seeds;
  for (uint32_t filter = 0; filter < 5; filter++) {
    for (uint32_t actions : {kAdd | kEnable | kDispatch, kAdd | kClear, kDelete, kDisable, 64u}) {
      Program program = Start();
      Change(program, filter, 1, actions);
      Control(Control(program, 1), 2);
      Wait(program, 1, 4, 1, 0);
      Wait(program, 0, 4, 1, 1'000'000);
      Wait(program, 0, 4, 0, 0);
      seeds.push_back(program);
    }
  }
  {
    Program program = Start();
    program.Call(kCreateNotifier).Small(kArea).Call(kAttach).Small(0).Small(0).Small(kArea);
    program.Call(kNotify).Small(0).Call(kIdentify).Small(0).Do(Action::kNotify).Small(1);
    Wait(program, 0, 1, 1, 0).Call(kDescriptor).Small(0).Small(kArea);
    program.Call(kEnd).Small(0).Call(kClose).Small(0);
    seeds.push_back(program);
  }
  for (uint8_t how = 0; how < static_cast<uint8_t>(Allocator::kCount); how++) {
    for (uint32_t answer : {kRoom, 4084u, 4088u, 4096u, 0xfffffff8u}) {
      Program program = Start();
      Change(program, 0, 0, kAdd | kEnable);
      Control(program, 1).Allocate(static_cast<Allocator>(how), answer);
      Change(program, 0, 0, kAdd | kDelete | kEnable | kDisable);
      Control(program, 1);
      Wait(program, 0, 4, 1, 0);
      Wait(program, 1, 4, 1, 0);
      seeds.push_back(program);
    }
  }
  for (uint8_t number : {1, 2, 3}) {
    for (uint8_t after : {0, 1}) {
      Program program = Start();
      Change(program, 0, 0, kAdd | kEnable);
      Control(program.Fail(after, number), 1);
      Wait(program.Fail(after, number), 1, 4, 1, 5);
      seeds.push_back(program);
    }
  }
  return seeds;
}

const Describes kKqueue({"kqueue",
                         {
                             {"create", {kNumberArea}},
                             {"control", {kHandle, kChanges, kNumber, kListArea}},
                             {"wait", {kHandle, kChanges, kNumber, kNumber, kNumber, kLong, kWaitArea}},
                             {"descriptor", {kHandle, kNumberArea}},
                             {"close", {kHandle}},
                             {"createNotifier", {kNumberArea}},
                             {"attachNotifier", {kHandle, kHandle, kNumberArea}},
                             {"identify", {kHandle}},
                             {"notify", {kHandle}},
                             {"closeNotifier", {kHandle}},
                         },
                         Seeds()});

}  // namespace
