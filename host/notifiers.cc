#include "notifiers.h"

#include <mutex>
#include <random>
#include <unordered_map>

namespace lio {
namespace {

struct Notifier {
  Wake wake;
  intptr_t what;
};

struct Notifiers {
  std::mutex mutex;
  std::unordered_map<uint64_t, Notifier> by_name;
  uint64_t last_name = 0;
};

/// Never destroyed: threads may notify while the process ends.
Notifiers& All() {
  static Notifiers* notifiers = new Notifiers;
  return *notifiers;
}

}  // namespace

uint64_t RegisterNotifier(Wake wake, intptr_t what) {
  Notifiers& all = All();
  std::lock_guard<std::mutex> lock(all.mutex);
  all.by_name[++all.last_name] = {wake, what};
  return all.last_name;
}

void MoveNotifier(uint64_t name, intptr_t what) {
  Notifiers& all = All();
  std::lock_guard<std::mutex> lock(all.mutex);
  auto found = all.by_name.find(name);
  if (found != all.by_name.end()) found->second.what = what;
}

void ForgetNotifier(uint64_t name) {
  Notifiers& all = All();
  std::lock_guard<std::mutex> lock(all.mutex);
  all.by_name.erase(name);
}

void NotifyByName(uint64_t name) {
  Notifiers& all = All();
  std::lock_guard<std::mutex> lock(all.mutex);
  auto found = all.by_name.find(name);
  // Under the lock, so that the descriptor cannot be closed, and its number used again, in between.
  if (found != all.by_name.end()) found->second.wake(found->second.what);
}

uint64_t ProcessNonce() {
  static const uint64_t nonce = [] {
    std::random_device random;
    return static_cast<uint64_t>(random()) << 32 | random();
  }();
  return nonce;
}

}  // namespace lio
