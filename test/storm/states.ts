/** What a thread can be doing with pollers when it ends. Each goes on until then, and tells of every event that it gets. */
import { Events, Interest, type Kernel, Poller, readable, watch } from "lio-poller";
import { close, eventfd, pipe, read, write } from "lio-poller/io";
import { deliveries, ONE } from "../support/deliveries.js";

const { READABLE } = Interest;
const room = new Uint8Array(8);

/** Whether the thread's event loop turns in this state: where it does not, the thread cannot end itself. */
export const STATES = {
  idle: true,
  firing: true,
  "firing by thread": true,
  "late re-arming": true,
  timers: true,
  promises: true,
  callbacks: true,
  blocked: false,
  waiting: false,
} as const;

export type State = keyof typeof STATES;

/** What the states need, made by whoever closes it. */
export interface Descriptors {
  /** Eventfds: one that always is ready, one that never is. */
  readonly ready: number;
  readonly quiet: number;
  readonly pipes: readonly [readEnd: number, writeEnd: number][];
}

export function openDescriptors(): Descriptors {
  return { ready: eventfd(1), quiet: eventfd(0), pipes: [pipe(), pipe()] };
}

export function closeDescriptors({ ready, quiet, pipes }: Descriptors): void {
  for (const fd of [ready, quiet, ...pipes.flat()]) close(fd);
}

const begin: Readonly<Record<State, (fds: Descriptors, onEvent: () => void) => void>> = {
  idle: (fds, onEvent) => attached(undefined, fds, onEvent, () => {}),
  firing: (fds, onEvent) => attached(undefined, fds, onEvent, (poller) => poller.modify(fds.ready, 1, READABLE)),
  "firing by thread": (fds, onEvent) => {
    const { kernel } = deliveries.find(({ way }) => way === "thread")!;
    attached(kernel, fds, onEvent, (poller) => poller.modify(fds.ready, 1, READABLE));
  },
  "late re-arming": (fds, onEvent) => {
    attached(undefined, fds, onEvent, (poller) => setImmediate(() => poller.modify(fds.ready, 1, READABLE)));
  },
  timers: (_fds, onEvent) => {
    const poller = new Poller();
    poller.attach(onEvent);
    for (let key = 0; key < 10; key++) poller.addTimer(key, 0, { repeat: 0.3 });
  },
  promises: ({ pipes }, onEvent) => {
    const pingPong = async ([readEnd, writeEnd]: readonly [number, number]): Promise<void> => {
      for (;;) {
        write(writeEnd, ONE);
        await readable(readEnd);
        read(readEnd, room);
        onEvent();
      }
    };
    for (const each of pipes) void pingPong(each);
  },
  callbacks: ({ ready }, onEvent) => {
    for (let i = 0; i < 4; i++) watch(ready, READABLE, onEvent);
  },
  blocked: (fds, onEvent) => waiting({}, fds, onEvent),
  waiting: (fds, onEvent) => {
    for (;;) waiting({ timeout: 0.1 }, fds, onEvent);
  },
};

/** Several pollers, of which one has events, each followed by what is done with its registration. */
function attached(
  kernel: Kernel | undefined,
  { ready, quiet }: Descriptors,
  onEvent: () => void,
  then: (poller: Poller) => unknown,
): void {
  for (const fd of [ready, quiet, quiet]) {
    const poller = new Poller(kernel && { kernel });
    poller.attach(() => {
      then(poller);
      onEvent();
    });
    poller.add(fd, 1, READABLE);
    poller.addTimer(1, 60_000);
  }
}

/** Waits twice: for an event, and for what does not come. */
function waiting(second: { timeout?: number }, { ready }: Descriptors, onEvent: () => void): void {
  using poller = new Poller();
  const events = new Events(8);
  poller.add(ready, 1, READABLE);
  poller.wait(events);
  onEvent();
  poller.wait(events, second);
}

export function enter(state: State, fds: Descriptors, onEvent: () => void): void {
  begin[state](fds, onEvent);
}
