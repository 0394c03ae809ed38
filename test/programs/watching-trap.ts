/** A process that waits in every way when the component fails: by which delivery, its argument says. */
import { Interest, type PollerError, readable, watch } from "lio-poller";
import { ONE } from "../support/deliveries.js";
import { eventfd, write } from "../support/files.js";
import { breakShared, renewShared } from "../support/shared-poller.js";

renewShared(process.argv[2]);
const told = (name: string) => (error: PollerError) => console.log(name, error.code);
const fd = eventfd(0);
const promise = readable(fd);
promise.catch(told("promise"));
readable(eventfd(0), { timeout: 60_000 }).catch(told("timeout"));
watch(eventfd(0), Interest.READABLE).next().catch(told("iteration"));
watch(eventfd(0), Interest.READABLE, ({ errorCode }) => console.log("watch", errorCode));
breakShared("wait");
write(fd, ONE);
try {
  await promise;
} catch {
  console.log("again", (await readable(fd)).readable);
}
