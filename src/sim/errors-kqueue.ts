/**
 * Which errors the manual lists for the calls of `wit/kqueue.wit`: "ERRORS" of kqueue(2) of FreeBSD 14, whose list holds
 * those of NetBSD, OpenBSD, DragonFly and macOS. The manual does not say which change meets which error but by its words:
 * "to register the event", "to be modified or deleted". EPIPE, which no manual lists, is what EVFILT_WRITE meets on a pipe
 * without reader: pipe_kqfilter() in sys_pipe.c.
 *
 * The calls that are not here return no error.
 */
import type { DocumentedErrors } from "./faults.js";

const CHANGED = ["EBADF", "EINVAL", "ENOENT"];

export const KQUEUE_ERRORS: readonly DocumentedErrors[] = [
  { call: "create", manual: "kqueue(2), kqueue()", errors: ["EMFILE", "ENFILE", "ENOMEM"] },
  {
    call: "control",
    operation: "add",
    manual: "kqueue(2), kevent()",
    errors: ["EACCES", "EBADF", "EINVAL", "ENOMEM", "EPIPE", "ESRCH"],
  },
  { call: "control", operation: "enable", manual: "kqueue(2), kevent()", errors: CHANGED },
  { call: "control", operation: "disable", manual: "kqueue(2), kevent()", errors: CHANGED },
  { call: "control", operation: "delete", manual: "kqueue(2), kevent()", errors: CHANGED },
  { call: "wait", manual: "kqueue(2), kevent()", errors: ["EBADF", "EFAULT", "EINTR", "EINVAL", "ENOMEM"] },
  { call: "attachNotifier", manual: "kqueue(2), kevent()", errors: ["ENOMEM"] },
  { call: "descriptor", manual: "wit/kqueue.wit: an unknown handle", errors: ["EBADF"] },
];
