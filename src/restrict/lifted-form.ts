/**
 * The restricted functions of `wit/epoll.wit` on JavaScript values, for kernels whose functions jco lifts and lowers.
 *
 * What jco lifts are copies that the component cannot reach, so that nothing changes between verdict and use.
 */
import type { Batch, Grants, Operation } from "./grants.js";

/** `change` as jco spells it. The mask and the token are passed on unseen. */
interface Change {
  readonly operation: Operation;
  readonly fd: number;
}

/** `failure` as jco spells it. */
interface Failure {
  readonly index: number;
  readonly error: { readonly tag: string };
}

/** The functions that can add something, and the one that ends it. */
export interface LiftedForm {
  create(): number;
  control(handle: number, changes: readonly Change[]): readonly Failure[];
  wait(handle: number, changes: readonly Change[], capacity: number, timeout: bigint | undefined): unknown;
  close(handle: number): void;
}

/** The functions as the grants allow them. */
export function restrictLifted(kernel: LiftedForm, grants: Grants): LiftedForm {
  const control = (handle: number, changes: readonly Change[]): Failure[] => {
    const batch = new LiftedBatch(kernel, handle, changes);
    grants.apply(handle, batch);
    return batch.failures;
  };

  return {
    create() {
      if (!grants.hasRoom) throw failure({ tag: "too-many-descriptors" });
      const handle = kernel.create();
      grants.created(handle);
      return handle;
    },

    control,

    wait(handle, changes, capacity, timeout) {
      const failures = control(handle, changes);
      if (failures.length > 0) throw failure({ tag: "changes", val: failures });
      return kernel.wait(handle, [], capacity, timeout);
    },

    close(handle) {
      kernel.close(handle);
      grants.closed(handle);
    },
  };
}

class LiftedBatch implements Batch {
  readonly failures: Failure[] = [];

  constructor(
    readonly kernel: LiftedForm,
    readonly handle: number,
    readonly changes: readonly Change[],
  ) {}

  get length(): number {
    return this.changes.length;
  }

  operation(index: number): Operation {
    return this.#at(index).operation;
  }

  fd(index: number): number {
    return this.#at(index).fd;
  }

  refuse(index: number, tag: string): void {
    this.failures.push({ index, error: { tag } });
  }

  pass(from: number, to: number): ReadonlyMap<number, string> {
    const failed = new Map<number, string>();
    for (const { index, error } of this.kernel.control(this.handle, this.changes.slice(from, to))) {
      failed.set(from + index, error.tag);
      this.failures.push({ index: from + index, error });
    }
    return failed;
  }

  #at(index: number): Change {
    const change = this.changes[index];
    if (change === undefined) throw new RangeError(`there is no change ${index}`);
    return change;
  }
}

/** How jco wants the error of a `result` thrown. */
function failure(payload: unknown): Error {
  return Object.assign(new Error("refused by a policy"), { payload });
}
