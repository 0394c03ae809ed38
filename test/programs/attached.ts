/** A process with an attached poller that does one thing: by which delivery, and what, its arguments say. */
import { Interest, type Kernel, Poller } from "lio-poller";
import { deliveries, ONE } from "../support/deliveries.js";
import { eventfd, write } from "../support/files.js";
import { WrappedKernel } from "../support/wrapped-kernel.js";

const [wanted, scenario] = process.argv.slice(2);
const { kernel } = deliveries.find(({ way }) => way === wanted)!;
let isBroken = false;
/** The kernel, but that its `wait` throws once it is broken, which ends the component. */
const fragile: Kernel = new WrappedKernel(kernel, (name, call) => (...values) => {
  if (name === "wait" && isBroken) throw new Error("the kernel is broken");
  return call(...values);
});
const poller = new Poller({ kernel: scenario === "trapped" ? fragile : kernel });
const fd = eventfd(0);
const later = (what: () => void): unknown => setTimeout(what, 10);

let onEvent = (): void => {
  poller.delete(fd);
};

const scenarios: Readonly<Record<string, () => void>> = {
  "nothing registered": () => {},
  deleted: () => {
    poller.add(fd, 1, Interest.READABLE);
    later(() => write(fd, ONE));
  },
  timer: () => {
    poller.addTimer(1, 10);
    onEvent = () => {};
  },
  unreferenced: () => {
    poller.add(fd, 1, Interest.READABLE);
    poller.unref();
  },
  "unreferenced before": () => poller.add(fd, 1, Interest.READABLE),
  "unreferenced and attached anew": () => poller.add(fd, 1, Interest.READABLE),
  "referenced before": () => {
    poller.add(fd, 1, Interest.READABLE);
    setTimeout(() => write(fd, ONE), 10).unref();
  },
  "referenced again": () => {
    poller.unref();
    poller.add(fd, 1, Interest.READABLE);
    poller.ref();
    // It does not keep the loop running itself.
    setTimeout(() => write(fd, ONE), 10).unref();
  },
  detached: () => {
    poller.add(fd, 1, Interest.READABLE);
    poller.detach();
  },
  closed: () => {
    poller.add(fd, 1, Interest.READABLE);
    poller.close();
  },
  // It stands, but nothing will come of it.
  "fired timer": () => {
    poller.addTimer(1, 1);
    onEvent = () => {};
  },
  caught: () => {
    process.on("uncaughtException", (error) => {
      console.log("caught", error.cause);
      if (error.cause === 3) poller.close();
    });
    throwThrice();
  },
  uncaught: throwThrice,
  trapped: () => {
    process.on("uncaughtException", (error: NodeJS.ErrnoException) => console.log("caught", error.code));
    poller.add(fd, 1, Interest.READABLE);
    isBroken = true;
    write(fd, ONE);
  },
};

/** Throws for the first of three events, which are ready together; the other two are reported again. */
function throwThrice(): void {
  for (const key of [1, 2, 3]) poller.add(eventfd(1), key, Interest.READABLE, { mode: "level" });
  let calls = 0;
  onEvent = () => {
    calls++;
    console.log("throwing", calls);
    throw new Error("thrown in the callback", { cause: calls });
  };
}

const before: Readonly<Record<string, () => void>> = {
  "unreferenced before": () => poller.unref(),
  "unreferenced and attached anew": () => {
    poller.attach(() => {});
    poller.unref();
    poller.detach();
  },
  "referenced before": () => {
    poller.unref();
    poller.ref();
  },
};
before[scenario as string]?.();

poller.attach(() => {
  if (scenario !== "caught" && scenario !== "uncaught") console.log("event");
  onEvent();
});
scenarios[scenario as string]!();
console.log("attached");
