import { Events, Interest, Poller } from "lio-poller";
import { pipe, read, write } from "lio-poller/io";

const [readEnd, writeEnd] = pipe();
using poller = new Poller();
poller.add(readEnd, 7, Interest.READABLE);
write(writeEnd, Buffer.from("hello"));
const events = new Events(64);
poller.wait(events, { timeout: 100 });
for (const event of events) {
  if (event.key === 7 && event.readable) console.log(read(readEnd, Buffer.alloc(64)), "bytes");
}
