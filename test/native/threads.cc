// Notifiers among threads, under ThreadSanitizer: some notify, others create, identify and close, none waits for any.
//
// What must hold: no data race; nobody is woken after `ForgetNotifier` has returned, which is what lets a descriptor be
// closed, and its number be used again; a name is never used twice; notifying unknown and closed names does nothing.
//
//   threads [SECONDS]

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "../../host/notifiers.h"
#include "node_api_stub.h"
#include "program.h"
#include "shapes.h"

using stub::Value;
using stub::Values;

std::vector<KernelShape>& KernelShapes() {
  static auto* shapes = new std::vector<KernelShape>;
  return *shapes;
}

namespace {

constexpr int kNotifying = 3;
constexpr int kOwning = 2;
constexpr int kNames = 256;

std::atomic<bool> is_over{false};
std::atomic<uint64_t> known[kNames];
std::atomic<uint64_t> notified{0};
std::atomic<uint64_t> woken{0};

[[noreturn]] void Wrong(const char* what) {
  fprintf(stderr, "WRONG: %s\n", what);
  abort();
}

/// What a notifier wakes here. `is_open` is plain, so that a wake after the end is a race too, which the sanitizer
/// sees.
struct Waiter {
  bool is_open = true;
  uint64_t wakes = 0;
};

void Wake(intptr_t what) {
  auto* waiter = reinterpret_cast<Waiter*>(what);
  if (!waiter->is_open) Wrong("woken after it was forgotten");
  waiter->wakes++;
}

/// Notifies whatever is known, and what is not.
void NotifyAll(unsigned seed) {
  std::minstd_rand random(seed);
  while (!is_over) {
    const uint64_t name = known[random() % kNames];
    lio::NotifyByName(random() % 8 == 0 ? name + random() : name);
    notified++;
  }
}

/// Makes notifiers without a kernel and forgets them, over and over.
void OwnWaiters(unsigned seed) {
  std::minstd_rand random(seed);
  uint64_t last = 0;
  while (!is_over) {
    Waiter waiter;
    const uint64_t name = lio::RegisterNotifier(Wake, reinterpret_cast<intptr_t>(&waiter));
    if (name <= last) Wrong("a name was used twice");
    last = name;
    known[random() % kNames] = name;
    for (unsigned turns = random() % 64; turns > 0; turns--) lio::NotifyByName(name);
    lio::ForgetNotifier(name);
    lio::ForgetNotifier(name);
    waiter.is_open = false;
    woken += waiter.wakes;
  }
}

/// The same through a kernel of the addon, in an environment of this thread's own.
void OwnKernels(unsigned seed, const KernelShape& shape) {
  std::minstd_rand random(seed);
  napi_env__ env;
  Value addon = stub::Load(&env);
  Value memory = stub::Object(&env);
  memory->properties["buffer"] = stub::ArrayBuffer(&env, 64);
  while (!is_over) {
    Value kernel = stub::Construct(stub::Get(stub::Get(addon, "kernels"), shape.name), {});
    auto call = [&](const char* name, const Values& arguments) {
      Value bound = stub::Call(stub::Get(kernel, "bind"), kernel, {stub::String(&env, name), memory});
      return stub::Call(bound, stub::Undefined(&env), arguments);
    };
    const Value zero = stub::Number(&env, 0);
    call("create", {zero});
    call("createNotifier", {zero});
    call("attachNotifier", {zero, zero, zero, zero, zero});
    known[random() % kNames] = call("identify", {zero})->big;
    call("notify", {zero});
    stub::Call(stub::Get(addon, "notify"), addon, {stub::Number(&env, static_cast<double>(known[random() % kNames]))});
    // Either in an orderly way, or as after a trap, or left to the garbage collector.
    if (random() % 3 == 0) call("closeNotifier", {zero});
    if (random() % 2 == 0) stub::Call(stub::Get(kernel, "close"), kernel, {});
    if (env.is_throwing) Wrong("threw");
    kernel = nullptr;
    env.scopes[0].clear();
    woken++;
  }
}

}  // namespace

int main(int count, char** values) {
  const double seconds = count > 1 ? atof(values[1]) : 5;
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < kNotifying; i++) threads.emplace_back(NotifyAll, i + 1);
  for (unsigned i = 0; i < kOwning; i++) threads.emplace_back(OwnWaiters, i + 100);
  for (const KernelShape& shape : KernelShapes()) {
    for (unsigned i = 0; i < kOwning; i++) threads.emplace_back(OwnKernels, i + 200, std::cref(shape));
  }
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  is_over = true;
  for (std::thread& thread : threads) thread.join();
  if (notified == 0 || woken == 0) Wrong("nothing happened");
  printf("%llu notifications, %llu wake-ups and kernels, no race\n", static_cast<unsigned long long>(notified),
         static_cast<unsigned long long>(woken));
  return 0;
}
