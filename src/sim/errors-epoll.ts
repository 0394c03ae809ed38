/**
 * Which errors the manual lists for the calls of `wit/epoll.wit`, from "ERRORS" of the pages of Linux man-pages 6.03.
 *
 * Every one of them, also those that the host's arguments rule out, because a kernel that lies is the test. The calls
 * that are not here return no error: `close`, `notify` and `closeNotifier` must not fail, `identify` and `now` cannot.
 */
import type { DocumentedErrors } from "./faults.js";

export const EPOLL_ERRORS: readonly DocumentedErrors[] = [
  { call: "create", manual: "epoll_create1(2)", errors: ["EINVAL", "EMFILE", "ENFILE", "ENOMEM"] },
  {
    call: "control",
    operation: "add",
    manual: "epoll_ctl(2)",
    errors: ["EBADF", "EEXIST", "EINVAL", "ELOOP", "ENOMEM", "ENOSPC", "EPERM"],
  },
  {
    call: "control",
    operation: "modify",
    manual: "epoll_ctl(2)",
    errors: ["EBADF", "EINVAL", "ENOENT", "ENOMEM", "EPERM"],
  },
  {
    call: "control",
    operation: "delete",
    manual: "epoll_ctl(2)",
    errors: ["EBADF", "EINVAL", "ENOENT", "ENOMEM", "EPERM"],
  },
  { call: "wait", manual: "epoll_wait(2)", errors: ["EBADF", "EFAULT", "EINTR", "EINVAL"] },
  { call: "createNotifier", manual: "eventfd(2)", errors: ["EINVAL", "EMFILE", "ENFILE", "ENODEV", "ENOMEM"] },
  {
    call: "attachNotifier",
    manual: "epoll_ctl(2), EPOLL_CTL_ADD",
    errors: ["EBADF", "EEXIST", "EINVAL", "ELOOP", "ENOMEM", "ENOSPC", "EPERM"],
  },
  { call: "descriptor", manual: "wit/epoll.wit: an unknown handle", errors: ["EBADF"] },
];
