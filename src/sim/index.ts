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
  type ChangeFault,
  type DelayFault,
  type DocumentedErrors,
  type ErrorFault,
  type Fault,
  type FaultSource,
  type KernelCall,
  type KernelChange,
  type NotifyFault,
  type PartialFault,
  randomFaults,
  type RandomFaults,
  type RandomFaultsOptions,
  type ScriptedFault,
  scriptedFaults,
  type ShuffleFault,
  type SpuriousFault,
  shrink,
} from "./faults.js";
export { FaultyKernel } from "./faulty-kernel.js";
export { SimulatedKqueue, type KqueueSystemCalls, type SimulatedKqueueOptions } from "./kqueue.js";
export type { KqueueFlavour } from "./kqueue-flavours.js";
