// DragonFly BSD.
// Declared in our own words, from the system's <sys/event.h> and kqueue(2), so that host/kernels/kqueue.cc can be
// checked without the system: it compiles against this, and the static_asserts hold the layout. Nothing links or runs.

#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct kevent {
  uintptr_t ident;
  short filter;
  unsigned short flags;
  unsigned int fflags;
  intptr_t data;
  void* udata;
};

static_assert(sizeof(struct kevent) == 32, "the layout of a 64-bit system");
static_assert(offsetof(struct kevent, data) == 16, "the layout of a 64-bit system");
static_assert(offsetof(struct kevent, udata) == 24, "the layout of a 64-bit system");

#define EVFILT_READ (-1)
#define EVFILT_WRITE (-2)
#define EVFILT_EXCEPT (-8)
#define NOTE_OOB 0x0002
#define EVFILT_USER (-9)
#define NOTE_FFNOP 0x00000000
#define NOTE_TRIGGER 0x01000000

#define EV_ADD 0x0001
#define EV_DELETE 0x0002
#define EV_ENABLE 0x0004
#define EV_DISABLE 0x0008
#define EV_ONESHOT 0x0010
#define EV_CLEAR 0x0020
#define EV_RECEIPT 0x0040
#define EV_DISPATCH 0x0080
#define EV_ERROR 0x4000
#define EV_EOF 0x8000

extern "C" {
int kqueue(void);
int kevent(int, const struct kevent*, int, struct kevent*, int, const struct timespec*);
}
