// <sys/event.h> for the test-only kqueue on Linux: what a program that uses kqueue(2) includes, in our own words.
//
// Layout and numbers are those of FreeBSD 12 and later on 64-bit machines. Two macros, to be the same in everything
// that is linked together, choose another flavour:
//   KQUEUE_EMULATION_MACOS   macOS: its layout and numbers, EVFILT_EXCEPT, no kqueue1.
//   KQUEUE_EMULATION_EXCEPT  FreeBSD, and macOS's EVFILT_EXCEPT besides, which FreeBSD lacks.

#ifndef LIO_POLLER_TEST_KQUEUE_SYS_EVENT_H_
#define LIO_POLLER_TEST_KQUEUE_SYS_EVENT_H_

#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#if defined(KQUEUE_EMULATION_MACOS) && !defined(KQUEUE_EMULATION_EXCEPT)
#define KQUEUE_EMULATION_EXCEPT
#endif

#if defined(KQUEUE_EMULATION_MACOS)

#pragma pack(push, 4)
struct kevent {
  uintptr_t ident;
  int16_t filter;
  uint16_t flags;
  uint32_t fflags;
  intptr_t data;
  void* udata;
};
#pragma pack(pop)

#define EV_SET(kevp, a, b, c, d, e, f) \
  do {                                 \
    struct kevent* kevp_ = (kevp);     \
    kevp_->ident = (a);                \
    kevp_->filter = (b);               \
    kevp_->flags = (c);                \
    kevp_->fflags = (d);               \
    kevp_->data = (e);                 \
    kevp_->udata = (f);                \
  } while (0)

#define EVFILT_USER (-10)

#else

struct kevent {
  uintptr_t ident;
  short filter;
  u_short flags;
  u_int fflags;
  int64_t data;
  void* udata;
  uint64_t ext[4];
};

#define EV_SET(kevp, a, b, c, d, e, f)                                 \
  do {                                                                 \
    struct kevent* kevp_ = (kevp);                                     \
    kevp_->ident = (a);                                                \
    kevp_->filter = (b);                                               \
    kevp_->flags = (c);                                                \
    kevp_->fflags = (d);                                               \
    kevp_->data = (e);                                                 \
    kevp_->udata = (f);                                                \
    kevp_->ext[0] = kevp_->ext[1] = kevp_->ext[2] = kevp_->ext[3] = 0; \
  } while (0)

#define EVFILT_USER (-11)

#define EV_KEEPUDATA 0x0200

#endif

#define EVFILT_READ (-1)
#define EVFILT_WRITE (-2)
#if defined(KQUEUE_EMULATION_EXCEPT)
#define EVFILT_EXCEPT (-15)
#endif

// What a change does.
#define EV_ADD 0x0001
#define EV_DELETE 0x0002
#define EV_ENABLE 0x0004
#define EV_DISABLE 0x0008

// What a kevent is like.
#define EV_ONESHOT 0x0010
#define EV_CLEAR 0x0020
#define EV_RECEIPT 0x0040
#define EV_DISPATCH 0x0080
#define EV_SYSFLAGS 0xF000

// What is returned.
#define EV_ERROR 0x4000
#define EV_EOF 0x8000

// EVFILT_READ and EVFILT_WRITE.
#define NOTE_LOWAT 0x0001
#if !defined(KQUEUE_EMULATION_MACOS)
#define NOTE_FILE_POLL 0x0002
#endif

#if defined(KQUEUE_EMULATION_EXCEPT)
#define NOTE_OOB 0x0002
#endif

// EVFILT_USER.
#define NOTE_FFNOP 0x00000000
#define NOTE_FFAND 0x40000000
#define NOTE_FFOR 0x80000000
#define NOTE_FFCOPY 0xc0000000
#define NOTE_FFCTRLMASK 0xc0000000
#define NOTE_FFLAGSMASK 0x00ffffff
#define NOTE_TRIGGER 0x01000000

#ifdef __cplusplus
extern "C" {
#endif

int kqueue(void);

#if !defined(KQUEUE_EMULATION_MACOS)
#define KQUEUE_CLOEXEC 0x00000001

// Both since FreeBSD 14; kqueue1 takes O_CLOEXEC.
int kqueue1(int flags);
int kqueuex(u_int flags);
#endif

int kevent(int kq, const struct kevent* changelist, int nchanges, struct kevent* eventlist, int nevents,
           const struct timespec* timeout);

#ifdef __cplusplus
}
#endif

#endif
