// Notifiers by name, for the whole process: any thread may notify any of them, at any time.

#pragma once

#include <cstdint>

namespace lio {

/// How a kernel wakes the wait that a notifier belongs to, by the descriptor or handle that it registered. Called with
/// the table locked: it must not block.
using Wake = void (*)(intptr_t what);

/// Names a notifier. Names are never used twice, and none is 0.
uint64_t RegisterNotifier(Wake wake, intptr_t what);

/// Gives a notifier another descriptor or handle. When this returns, the former one is not used any more, and can be
/// closed. An unknown name is ignored.
void MoveNotifier(uint64_t name, intptr_t what);

/// Forgets a notifier. When this returns, nothing uses it any more, and it can be closed. An unknown name is ignored.
void ForgetNotifier(uint64_t name);

/// Wakes the wait that a notifier belongs to. An unknown name does nothing. Never blocks for longer than another call
/// of these three takes.
void NotifyByName(uint64_t name);

/// Tells this process's names from another's.
uint64_t ProcessNonce();

}  // namespace lio
