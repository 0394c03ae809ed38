/**
 * I/O readiness polling: which descriptors can be read or written now. Begin with {@link Poller}.
 *
 * @module lio-poller
 */
export type { AttachOptions } from "./attachment.js";
export { PollerError, type PollerErrorCode } from "./errors.js";
export { Events, type Key, type ReadyEvent } from "./events.js";
export { Interest, type Mode } from "./interest.js";
export type {
  CanonicalOptions,
  CoreFunction,
  Delivery,
  ImportedFunction,
  Kernel,
  KernelName,
  OpenKernel,
} from "./kernel.js";
export { type Notifier, notify } from "./notifier.js";
export { platformKernels } from "./platform.js";
export { restrict, type RestrictPolicy } from "./restrict.js";
export {
  type Change,
  Poller,
  type PollerOptions,
  type PollerStats,
  type RegistrationOptions,
  type TimerOptions,
  type WaitOptions,
  type When,
} from "./poller.js";
export {
  type Ready,
  readable,
  type ReadyIterator,
  type ReadyOptions,
  watch,
  type WatchOptions,
  writable,
} from "./watch.js";
