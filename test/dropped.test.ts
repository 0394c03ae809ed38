/** Attached pollers that are dropped: what can bring no event any more is collected and closed, and everything else stays. */
import assert from "node:assert/strict";
import { Interest, type Kernel, notify, Poller } from "lio-poller";
import { openFiles } from "./support/descriptors.js";
import { deliveries, idle, ONE, untilIdly } from "./support/deliveries.js";
import { close, eventfd, write } from "./support/files.js";
import { collect, collectGarbage, collectUntil, whenCollected } from "./support/garbage.js";
import { WrappedKernel } from "./support/wrapped-kernel.js";

const R = Interest.READABLE;

for (const { way, kernel } of deliveries) {
  describe(`an attached poller that is dropped, by ${way}`, () => {
    // A thread takes memory that is none of the collector's.
    const many = way === "uv_poll" ? 2000 : 200;
    let fd: number;
    let files: number;

    before(() => new Poller().close());

    beforeEach(() => {
      fd = eventfd(0);
      files = openFiles().size;
    });

    afterEach(() => close(fd));

    /** Attaches pollers, and drops them: in a frame of its own, which may keep what it has seen. */
    function drop(count: number, use: (poller: Poller) => void = () => {}): void {
      for (let i = 0; i < count; i++) {
        const poller = new Poller({ kernel });
        use(poller);
        if (poller.delivery === undefined) poller.attach(() => {});
      }
    }

    /** A collector may keep the last one for a while. */
    async function assertClosed(perPoller: number): Promise<void> {
      const left = (): number => openFiles().size - files;
      assert.ok(await collectUntil(() => left() <= perPoller), `${left()} descriptors are left`);
    }

    const PER_POLLER = way === "uv_poll" ? 2 : 4;

    it("is closed when it is collected", async () => {
      drop(many);
      await assertClosed(PER_POLLER);
    });

    const unused: Readonly<Record<string, (poller: Poller) => void>> = {
      "was detached": (poller) => {
        poller.attach(() => {});
        poller.detach();
        poller.attach(() => {});
        poller.detach();
        poller.attach(() => {});
      },
      "is referred to by its callback": (poller) => poller.attach(() => poller.stats()),
      "has deleted its last registration": (poller) => {
        poller.attach(() => {});
        poller.add(fd, 1, R);
        poller.addTimer(1, 60_000);
        poller.delete(fd);
        poller.deleteTimer(1);
      },
      "was unreferenced": (poller) => {
        poller.attach(() => {});
        poller.unref();
      },
    };
    for (const [name, use] of Object.entries(unused)) {
      it(`is closed when it is collected, also if it ${name}`, async () => {
        drop(20, use);
        await assertClosed(PER_POLLER);
      });
    }

    it("is closed when it is collected after its last event", async () => {
      let calls = 0;
      drop(20, (poller) => {
        poller.attach(() => void calls++);
        poller.addTimer(1, 1);
      });
      await untilIdly(() => calls === 20);
      await assertClosed(PER_POLLER);
    });

    /** Drops a poller, collects garbage, and has it told of something after that. */
    async function assertStays(
      use: (poller: Poller, told: () => void) => (() => void) | void,
      make = (): Kernel => kernel,
    ): Promise<void> {
      let calls = 0;
      let collected = 0;
      const count = (): void => void collected++;
      let tell: (() => void) | void;
      (function dropIt() {
        const poller = new Poller({ kernel: make() });
        whenCollected(poller, count);
        tell = use(poller, () => {
          calls++;
          poller.close();
        });
      })();
      await collectGarbage();
      assert.equal(collected > 0, calls > 0);
      tell?.();
      await untilIdly(() => calls === 1);
      tell = undefined;
      await assertClosed(0);
      assert.ok(await collectUntil(() => collected === 1));
    }

    it("stays while a descriptor is registered", () =>
      assertStays((poller, told) => {
        poller.attach(told);
        poller.add(fd, 1, R);
        return () => write(fd, ONE);
      }));

    it("stays while a descriptor is registered, also on a kernel that is dropped with it", () =>
      assertStays(
        (poller, told) => {
          poller.attach(told);
          poller.add(fd, 1, R);
          return () => write(fd, ONE);
        },
        () => new WrappedKernel(kernel, (_name, call) => call),
      ));

    it("stays while a descriptor is registered that was before it was attached", () =>
      assertStays((poller, told) => {
        poller.add(fd, 1, R);
        poller.unref();
        poller.attach(told);
        return () => write(fd, ONE);
      }));

    it("stays while a timer is armed", () =>
      assertStays((poller, told) => {
        poller.attach(told);
        poller.addTimer(1, 500);
      }));

    it("stays while a notification is under way", async () => {
      let calls = 0;
      const dropNotified = (): void => {
        const poller = new Poller({ kernel });
        poller.attach(() => {
          calls++;
          poller.close();
        });
        poller.notify();
      };
      // One turn runs both, and looks for events after them only.
      setTimeout(dropNotified, 1);
      setTimeout(collect, 1);
      const end = performance.now() + 5;
      while (performance.now() < end);
      await untilIdly(() => calls === 1);
    });

    for (const when of ["before", "after"]) {
      it(`stays once its notifier was asked for ${when} it was attached`, () =>
        assertStays((poller, told) => {
          if (when === "after") poller.attach(told);
          const notifier = poller.notifier();
          if (when === "before") poller.attach(told);
          return () => notify(notifier);
        }));
    }

    it("stays once its descriptor was asked for", async () => {
      let number = -1;
      let collected = 0;
      let release = (): void => {};
      const count = (): void => void collected++;
      (function dropIt() {
        const poller = new Poller({ kernel });
        whenCollected(poller, count);
        poller.attach(() => poller.close());
        number = poller.fd;
        const outer = new Poller();
        outer.add(number, 1, R);
        release = () => outer.close();
      })();
      await collectGarbage();
      assert.equal(collected, 0);
      assert.ok(openFiles().has(number));
      release();
      await idle(0);
    });
  });
}
