// What tests may ask the test-only kqueue beyond what a kqueue has.

#ifndef LIO_POLLER_TEST_KQUEUE_EMULATION_H_
#define LIO_POLLER_TEST_KQUEUE_EMULATION_H_

#include <sys/event.h>

#define KQUEUE_EMULATION_API __attribute__((visibility("default")))

extern "C" {

/// How often kevent() has been called in this process, whatever it answered.
KQUEUE_EMULATION_API unsigned long kqueue_emulation_calls(void);

/// What is told of every kevent() call when it returns, in the thread that called: its changes as they were passed, and
/// its events and result, which is -1 with errno or their count.
typedef void (*kqueue_emulation_tracer)(int kq, const struct kevent* changelist, int nchanges,
                                        const struct kevent* eventlist, int result);

/// Sets the tracer, of which there is one; null for none, as at first.
KQUEUE_EMULATION_API void kqueue_emulation_trace(kqueue_emulation_tracer tracer);

}  // extern "C"

#endif
