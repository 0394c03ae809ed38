/**
 * Kernels that grant a component certain descriptors only, and so many of them.
 *
 * A component can reach nothing but what the functions that it imports do. Here they do less: whatever could add
 * something, the policy judges first. Everything else goes to the kernel as it is, by its own handles, which are never
 * raw descriptors. What this package does not know is left out, so that a kernel that learns more grants no more.
 */
import { invalidType, invalidValue, outOfRange, pollerError } from "./errors.js";
import { cabiLower, type ImportedFunction, type Kernel, type KernelName, type OpenKernel } from "./kernel.js";
import { platformKernel } from "./platform.js";
import { type CoreForm, restrictCore } from "./restrict/core-form.js";
import { Grants, type Limits } from "./restrict/grants.js";
import { type LiftedForm, restrictLifted } from "./restrict/lifted-form.js";

/**
 * What a component is granted. What is left out is not restricted.
 *
 * Limits are those of one component instance: there is one for each kernel object in each thread, and a new one after
 * it trapped, when everything that it held is closed.
 */
export interface RestrictPolicy {
  /**
   * The descriptors that may be registered: their numbers, which are read once, or a function that is asked at every
   * add and modify, and grants by answering `true` itself. The function must not use pollers on the restricted kernel;
   * if it throws, the component has failed as if it had trapped.
   *
   * A number is granted, not a file: whoever closes a granted descriptor grants whatever file gets its number next,
   * unless the function says otherwise by then. A registration that stands is not ended when the function changes its
   * mind, and can still be deleted. Descriptors of notifiers are the host's own, and need no grant.
   */
  readonly fds?: Iterable<number> | ((fd: number) => boolean);

  /**
   * How many descriptors may be registered at once, with all pollers together: an integer from 0 to 2^53 - 1. One more
   * fails with `ENOSPC`. A descriptor that was closed and never deleted counts until its poller is closed.
   */
  readonly maxRegistrations?: number;

  /**
   * How many pollers may be open at once: an integer from 0 to 2^53 - 1. One more fails with `EMFILE`. Replacing a
   * kernel object (`rebuilds` in `Poller.stats`) takes one more for a moment: where that can happen, leave room for it,
   * or the wait that needs it fails with `EMFILE`.
   */
  readonly maxPollers?: number;
}

/**
 * A kernel that grants less than another one: give it to pollers in its place.
 *
 * To add, modify or delete a descriptor that was not granted fails with `EPERM`, as does one that cannot be polled. The
 * component cannot tell the two apart. In a batch only those changes fail. The component need not be trusted for this:
 * what it was not granted never reaches the kernel.
 *
 * Each call makes a kernel of its own: pollers on two of them share no component instance.
 *
 * Never blocks. Costs a copy of each change and event, and a crossing more for waits that carry changes.
 *
 * ```ts
 * const kernel = restrict("epoll", { fds: [socket], maxPollers: 1 });
 * using poller = new Poller({ kernel });
 * ```
 *
 * @param kernel a kernel, or the name of one of this platform's
 * @throws TypeError `ERR_INVALID_ARG_TYPE` for a wrong type; `ERR_INVALID_ARG_VALUE` for a property that a policy does
 * not have, so that a misspelt one grants nothing
 * @throws RangeError `ERR_OUT_OF_RANGE` for a limit or a descriptor out of range
 * @throws {PollerError} `ERR_POLLER_UNSUPPORTED` for a name that this platform has no kernel of
 */
export function restrict(kernel: Kernel | KernelName, policy: RestrictPolicy): Kernel {
  const [inner, name] = checkedKernel(kernel);
  return new RestrictedKernel(inner, name, checkedPolicy(policy));
}

/** What a component may use as it is: it adds no descriptor that the host did not make for it. */
const UNRESTRICTED = ["descriptor", "createNotifier", "attachNotifier", "identify", "notify", "closeNotifier"];
const RESTRICTED = ["create", "control", "wait", "close"] as const;

class RestrictedKernel implements Kernel {
  readonly name: KernelName;
  readonly #inner: Kernel;
  readonly #limits: Limits;

  constructor(inner: Kernel, name: KernelName, limits: Limits) {
    this.name = name;
    this.#inner = inner;
    this.#limits = limits;
  }

  open(): OpenKernel {
    const inner = this.#inner.open();
    const { epoll, clock } = inner.imports;
    if (epoll === undefined || clock === undefined || RESTRICTED.some((name) => epoll[name] === undefined)) {
      inner.close();
      throw pollerError("ERR_POLLER_UNSUPPORTED", `The kernel does not offer what can be restricted`);
    }
    const grants = new Grants(this.#limits);
    return {
      imports: { epoll: { ...unrestricted(epoll), ...restricted(epoll, grants) }, clock },
      // The handle is one that the kernel has given.
      ...(inner.deliver && { deliver: inner.deliver.bind(inner) }),
      close: () => {
        inner.close();
        grants.clear();
      },
    };
  }
}

type Functions = Readonly<Record<string, ImportedFunction>>;

function unrestricted(functions: Functions): Functions {
  return Object.fromEntries(Object.entries(functions).filter(([name]) => UNRESTRICTED.includes(name)));
}

/** Both forms of each function, or the lifted one alone if the kernel has no core functions. */
function restricted(functions: Functions, grants: Grants): Functions {
  const lifted = restrictLifted(functions as unknown as LiftedForm, grants);
  const lowers = RESTRICTED.map((name) => [name, functions[name]?.[cabiLower]] as const);
  if (lowers.some(([, lower]) => lower === undefined)) return { ...lifted };

  const core = restrictCore(Object.fromEntries(lowers) as CoreForm, grants);
  return Object.fromEntries(RESTRICTED.map((name) => [name, Object.assign(lifted[name], { [cabiLower]: core[name] })]));
}

/** The kernel, and its name, which is read once: it may be a getter of the program's. */
function checkedKernel(kernel: Kernel | KernelName): [Kernel, KernelName] {
  if (typeof kernel === "string") return [platformKernel(kernel), kernel];
  if (typeof kernel !== "object" || kernel === null || typeof kernel.open !== "function") {
    throw invalidType("kernel", "the name of a kernel or a kernel object", kernel);
  }
  // A kernel of another kind has other functions, which would pass unjudged.
  const { name } = kernel;
  if (name !== "epoll") throw invalidValue("kernel.name", '"epoll"', name);
  return [kernel, name];
}

const PROPERTIES = ["fds", "maxRegistrations", "maxPollers"];

function checkedPolicy(policy: RestrictPolicy): Limits {
  if (typeof policy !== "object" || policy === null) throw invalidType("policy", "of type object", policy);
  const unknown = Object.keys(policy).find((name) => !PROPERTIES.includes(name));
  if (unknown !== undefined) throw invalidValue("policy", `an object with ${PROPERTIES.join(", ")}`, unknown);
  // A property that is there but undefined is more likely a mistake than a wish to grant everything.
  return {
    permits: "fds" in policy ? checkedFds(policy.fds) : () => true,
    registrations: "maxRegistrations" in policy ? checkedLimit("maxRegistrations", policy.maxRegistrations) : Infinity,
    pollers: "maxPollers" in policy ? checkedLimit("maxPollers", policy.maxPollers) : Infinity,
  };
}

function checkedFds(fds: RestrictPolicy["fds"]): Limits["permits"] {
  if (typeof fds === "function") return fds;
  if (typeof fds !== "object" || typeof (fds as Partial<Iterable<number>> | null)?.[Symbol.iterator] !== "function") {
    throw invalidType("policy.fds", "iterable or a function", fds);
  }
  const granted = new Set<number>();
  for (const fd of fds) {
    if (typeof fd !== "number") throw invalidType("policy.fds", "of numbers", fd);
    if (fd < 0 || (fd | 0) !== fd) throw outOfRange("policy.fds", "of integers >= 0 and <= 2147483647", fd);
    granted.add(fd);
  }
  return (fd) => granted.has(fd);
}

function checkedLimit(name: string, limit: number | undefined): number {
  if (typeof limit !== "number") throw invalidType(`policy.${name}`, "of type number", limit);
  if (Number.isSafeInteger(limit) && limit >= 0) return limit;
  throw outOfRange(`policy.${name}`, "an integer >= 0 and <= 2^53 - 1", limit);
}
