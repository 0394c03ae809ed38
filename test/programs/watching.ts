/** A process that waits for readiness in one way, which its argument says. */
import { Interest, readable, watch } from "lio-poller";
import { ONE } from "../support/deliveries.js";
import { close, eventfd, write } from "../support/files.js";

const { READABLE } = Interest;
const fd = eventfd(0);
/** Without keeping the process itself. */
const writeSoon = (): unknown => setTimeout(() => write(fd, ONE), 10).unref();
const print = (text: string) => (): void => console.log(text);

const scenarios: Readonly<Record<string, () => unknown>> = {
  promise: () => {
    writeSoon();
    return readable(fd).then(print("kept"));
  },
  timeout: () => readable(fd, { timeout: 10 }).catch((error: { code?: string }) => console.log(error.code)),
  "kept before": () => {
    write(fd, ONE);
    return readable(fd).then(print("kept"));
  },
  aborted: () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 5).unref();
    return readable(fd, { signal: controller.signal }).catch((error: Error) => console.log(error.name));
  },
  callback: () => {
    writeSoon();
    const watching = watch(fd, READABLE, () => {
      console.log("called");
      watching[Symbol.dispose]();
    });
  },
  "closed promise": () => {
    setTimeout(() => close(fd), 5).unref();
    return readable(fd).catch((error: { code?: string }) => console.log(error.code));
  },
  "closed callback": () => {
    setTimeout(() => close(fd), 5).unref();
    watch(fd, READABLE, ({ errorCode }) => console.log(errorCode));
  },
  "closed and disposed": () => {
    const watching = watch(fd, READABLE, ({ errorCode }) => console.log(errorCode));
    close(fd);
    watching[Symbol.dispose]();
  },
  disposed: () => watch(fd, READABLE, print("called"))[Symbol.dispose](),
  iteration: async () => {
    writeSoon();
    for await (const ready of watch(fd, READABLE)) {
      console.log(ready.readable ? "step" : "nothing");
      break;
    }
  },
  // Its consumer never comes back for more.
  "busy iteration": async () => {
    write(fd, ONE);
    await watch(fd, READABLE).next();
    console.log("step");
  },
  throwing: () => {
    let [caught, called] = [0, 0];
    // In whichever order they come.
    const endAfterThree = (): void => {
      if (caught >= 3 && called >= 3) process.exit();
    };
    process.on("uncaughtException", (error) => {
      console.log(`caught ${error}`);
      caught++;
      endAfterThree();
    });
    watch(eventfd(1), READABLE, () => {
      throw new Error("thrown by 1");
    });
    watch(eventfd(1), READABLE, () => {
      console.log("called 2");
      called++;
      endAfterThree();
    });
  },
};

scenarios[process.argv[2] as string]!();
