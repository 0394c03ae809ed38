/**
 * The functions that `wit/epoll.wit` and `wit/kqueue.wit` have in common: kernel objects and notifiers by their handles,
 * in both forms.
 */
import { failure, imported, lowerFailed, lowerOk, RESULT_AREA } from "./lowering.js";
import { LinearMemory } from "./memory.js";

/** A component instance's table of handles. */
export interface Handles<Instance extends { readonly descriptor: number }> {
  create(): number;
  find(handle: number): Instance | undefined;
  close(handle: number): void;
  createNotifier(): number;
  notify(notifier: number): void;
  closeNotifier(notifier: number): void;
}

/** The functions on these handles. */
export function bindHandles<Instance extends { readonly descriptor: number }>(calls: Handles<Instance>) {
  return {
    create: creates(() => calls.create()),

    descriptor: imported(
      (handle: number) => {
        const instance = calls.find(handle);
        if (instance === undefined) throw failure({ tag: "bad-descriptor" });
        return instance.descriptor;
      },
      (options) => {
        const memory = new LinearMemory(options);
        return (handle: number, area: number) => {
          const at = memory.check(area, RESULT_AREA, 1);
          // Flat integers arrive signed.
          const instance = calls.find(handle >>> 0);
          if (instance === undefined) lowerFailed(memory.view, at, "bad-descriptor");
          else lowerOk(memory.view, at, instance.descriptor);
        };
      },
    ),

    close: imported(
      (handle: number) => calls.close(handle),
      () => (handle: number) => calls.close(handle >>> 0),
    ),

    createNotifier: creates(() => calls.createNotifier()),

    // Simulated kernels belong to one thread, so that none of their notifiers is known outside.
    identify: imported(
      () => 0n,
      () => () => 0n,
    ),

    notify: imported(
      (notifier: number) => calls.notify(notifier),
      () => (notifier: number) => calls.notify(notifier >>> 0),
    ),

    closeNotifier: imported(
      (notifier: number) => calls.closeNotifier(notifier),
      () => (notifier: number) => calls.closeNotifier(notifier >>> 0),
    ),
  };
}

/** A function without arguments whose result is a handle. */
function creates(create: () => number) {
  return imported(create, (options) => {
    const memory = new LinearMemory(options);
    return (area: number) => {
      const at = memory.check(area, RESULT_AREA, 1);
      lowerOk(memory.view, at, create());
    };
  });
}
