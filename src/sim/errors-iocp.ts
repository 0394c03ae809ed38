/**
 * Which errors Windows's calls behind `wit/iocp.wit` are documented to fail with, by the names that the host gives their
 * codes (`host/errors_windows.cc`):
 *
 *   EBADF     ERROR_INVALID_HANDLE, STATUS_INVALID_HANDLE          ENOTSOCK  WSAENOTSOCK, STATUS_OBJECT_TYPE_MISMATCH
 *   EFAULT    ERROR_NOACCESS, WSAEFAULT, STATUS_ACCESS_VIOLATION   ENOTSUP   WSAEOPNOTSUPP, STATUS_INVALID_DEVICE_REQUEST
 *   EINVAL    ERROR_INVALID_PARAMETER, WSAEINVAL                   EPERM     STATUS_ACCESS_DENIED
 *   EMFILE    STATUS_TOO_MANY_OPENED_FILES                         ENETDOWN  WSAENETDOWN
 *   ENOMEM    ERROR_NOT_ENOUGH_MEMORY, STATUS_INSUFFICIENT_RESOURCES, STATUS_NO_MEMORY, STATUS_QUOTA_EXCEEDED
 *   ENOENT    ERROR_NOT_FOUND, STATUS_NOT_FOUND, STATUS_OBJECT_NAME_NOT_FOUND
 *   ENOSYS    STATUS_NOT_IMPLEMENTED
 *
 * For winsock and Win32 that is Microsoft's reference; of the calls of ntdll it has a few only, and the others are the
 * statuses that the sources name which rely on AFD (wepoll, libuv, Wine). With them go those that `wit/iocp.wit` says of
 * the host itself. That ERROR_ABANDONED_WAIT_0 ends a wait whose port is closed is left out: a port belongs to one thread.
 *
 * The calls that are not here return no error; `peek` tells no more than it knows.
 */
import type { DocumentedErrors } from "./faults.js";

export const IOCP_ERRORS: readonly DocumentedErrors[] = [
  { call: "create", manual: "CreateIoCompletionPort", errors: ["EINVAL", "ENOMEM"] },
  {
    call: "control",
    operation: "add",
    manual: "getsockopt, WSAIoctl (SIO_BASE_HANDLE), NtCreateFile, NtDeviceIoControlFile; wit/iocp.wit",
    errors: [
      "EBADF",
      "EEXIST",
      "EFAULT",
      "EINVAL",
      "EMFILE",
      "ENETDOWN",
      "ENOENT",
      "ENOMEM",
      "ENOSYS",
      "ENOTSOCK",
      "ENOTSUP",
      "EPERM",
    ],
  },
  {
    call: "control",
    operation: "arm",
    manual: "NtDeviceIoControlFile (IOCTL_AFD_POLL); wit/iocp.wit",
    errors: ["EBADF", "EEXIST", "EINVAL", "ENOENT", "ENOMEM", "ENOTSUP", "EPERM"],
  },
  {
    call: "control",
    operation: "cancel",
    manual: "NtCancelIoFileEx; wit/iocp.wit",
    errors: ["EBADF", "EINVAL", "ENOENT"],
  },
  { call: "control", operation: "remove", manual: "wit/iocp.wit", errors: ["EBADF", "EINVAL"] },
  { call: "wait", manual: "GetQueuedCompletionStatusEx; wit/iocp.wit", errors: ["EBADF", "EINVAL"] },
  { call: "createNotifier", manual: "wit/iocp.wit", errors: ["ENOMEM"] },
  { call: "attachNotifier", manual: "wit/iocp.wit", errors: ["EBADF", "EEXIST", "ENOMEM"] },
];
