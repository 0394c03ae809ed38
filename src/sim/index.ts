/**
 * `lio-poller/sim`: simulated kernels. A poller on one of them behaves as on the kernel itself, without system calls
 * and without waiting, on every platform.
 *
 * @module lio-poller/sim
 */
export { type AfdCalls, SimulatedAfd } from "./afd.js";
export { VirtualClock } from "./clock.js";
export { WOULD_BLOCK } from "./description.js";
export { SimulatedEpoll, type SystemCalls } from "./epoll.js";
export type { SimulatedIo } from "./files.js";
export type { EventOrder } from "./epoll-instance.js";
export {
  type DocumentedErrors,
  type Fault,
  type FaultSource,
  type KernelCall,
  type KernelChange,
  randomFaults,
  type RandomFaults,
  type RandomFaultsOptions,
  type ScriptedFault,
  scriptedFaults,
  shrink,
} from "./faults.js";
export { FaultyKernel } from "./faulty-kernel.js";
export { SimulatedKqueue, type KqueueSystemCalls, type SimulatedKqueueOptions } from "./kqueue.js";
export type { KqueueFlavour } from "./kqueue-flavours.js";
