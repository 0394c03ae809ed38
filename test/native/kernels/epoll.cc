// host/kernels/epoll.cc, by wit/epoll.wit.

#include <sys/epoll.h>

#include "../shapes.h"

namespace {

constexpr Parameter kHandle{Parameter::kNumber};
constexpr Parameter kNumber{Parameter::kNumber};
constexpr Parameter kLong{Parameter::kLong};
constexpr Parameter kChanges{Parameter::kList, 20};
constexpr Parameter kListArea{Parameter::kArea, 8};
constexpr Parameter kNumberArea{Parameter::kArea, 12};
constexpr Parameter kWaitArea{Parameter::kArea, 24, 8};

// In the order of the shape below, by which programs know them.
enum : uint8_t { kCreate, kControl, kWait, kDescriptor, kClose, kCreateNotifier, kAttach, kIdentify, kNotify, kEnd };

constexpr uint32_t kArea = 0, kChange = 24, kOther = 48, kRoom = 64;

/// A change at `kChange`, of the program's descriptor of that number.
Program& Change(Program& program, uint32_t operation, uint8_t which, uint32_t mask) {
  return program.Poke(kChange, operation).PokeDescriptor(kChange + 4, which).Poke(kChange + 8, mask);
}

Program Start() {
  Program program;
  program.Memory(4096).Allocate(Allocator::kAnswers, kRoom).Open(0).Open(1).Call(kCreate).Small(kArea);
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
  for (uint32_t operation = 0; operation < 4; operation++) {
    Program program = Start();
    Change(program, operation, 0, EPOLLIN | EPOLLET);
    // The second time it is refused, and the refusal told by either call.
    Control(Control(program, 1), 1);
    Wait(program, 1, 4, 1, 0);
    Wait(program, 0, 4, 1, 1'000'000);
    Wait(program, 0, 4, 0, 0);
    seeds.push_back(program);
  }
  {
    Program program = Start();
    program.Call(kCreateNotifier).Small(kArea);
    program.Call(kAttach).Small(0).Small(0).Number(0xffffffff).Small(0).Small(kArea);
    program.Call(kNotify).Small(0).Call(kIdentify).Small(0).Do(Action::kNotify).Small(1);
    Wait(program, 0, 1, 1, 0).Call(kDescriptor).Small(0).Small(kArea);
    program.Call(kEnd).Small(0).Call(kClose).Small(0);
    seeds.push_back(program);
  }
  for (uint8_t how = 0; how < static_cast<uint8_t>(Allocator::kCount); how++) {
    Program program = Start();
    Change(program, 0, 0, EPOLLIN);
    Control(program, 1).Allocate(static_cast<Allocator>(how), kRoom);
    Control(program, 1);
    Wait(program, 0, 4, 1, 0);
    Wait(program, 1, 4, 1, 0);
    seeds.push_back(program);
  }
  // Where there is no room, or not enough.
  for (uint32_t answer : {4084u, 4088u, 4092u, 4096u, 65u, 0xfffffffcu}) {
    Program program = Start();
    Change(program, 0, 0, EPOLLIN);
    Control(program, 1).Allocate(Allocator::kAnswers, answer);
    Control(program, 1);
    Wait(program, 0, 4, 1, 0);
    Wait(program, 1, 4, 1, 0);
    seeds.push_back(program);
  }
  // No epoll_pwait2(2) here, and EINTR there.
  for (uint8_t number : {0, 3, 5}) {
    Program program = Start();
    Change(program, 0, 0, EPOLLIN);
    Control(program, 1).Fail(0, number);
    Wait(program, 0, 4, 1, 5);
    Wait(program, 0, 4, 1, 5);
    program.Fail(1, number);
    Wait(program, 0, 4, 1, 5);
    seeds.push_back(program);
  }
  return seeds;
}

const Describes kEpoll({"epoll",
                        {
                            {"create", {kNumberArea}},
                            {"control", {kHandle, kChanges, kNumber, kListArea}},
                            {"wait", {kHandle, kChanges, kNumber, kNumber, kNumber, kLong, kWaitArea}},
                            {"descriptor", {kHandle, kNumberArea}},
                            {"close", {kHandle}},
                            {"createNotifier", {kNumberArea}},
                            {"attachNotifier", {kHandle, kHandle, kNumber, kNumber, kNumberArea}},
                            {"identify", {kHandle}},
                            {"notify", {kHandle}},
                            {"closeNotifier", {kHandle}},
                        },
                        Seeds()});

}  // namespace
