/** The kqueue that tests run on, if they do: a system's own, or the test-only one of `test/kqueue/`. */
import { native } from "./internals.js";

interface TestOnly {
  /** How often kevent() has been called in this process. */
  (): number;
  readonly hasExcept: boolean;
}

/** What `test/kqueue/addon/calls.cc` tells; `undefined` where the kqueue is a system's own, and where there is none. */
const testOnly = native.kernels["test-only kqueue"] as unknown as TestOnly | undefined;

/** How often kevent() has been called in this process, where that is counted. */
export const keventCalls: (() => number) | undefined = testOnly;

/** Whether there is EVFILT_EXCEPT: kqueue(2). */
export const hasExcept = testOnly?.hasExcept ?? !["freebsd", "netbsd"].includes(process.platform);
