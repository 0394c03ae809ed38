/** Registering and ending a registration, beside the same two calls through a bare binding of epoll_ctl(2). */
import { Interest, Poller } from "lio-poller";
import { close, eventfd } from "lio-poller/io";
import { EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLLIN, EPOLLRDHUP, peers } from "./peers.js";
import { print, race, ratio } from "./rounds.js";

const PAIRS = 20_000;

/** Runs the comparison. @returns whether the ratio was reached */
export function addDelete(rounds: number): boolean {
  const fd = eventfd();
  const poller = new Poller();
  const epoll = peers.create();
  const timings = race(
    [
      {
        name: "epoll_ctl through Node-API, add + delete",
        run: () => {
          for (let i = 0; i < PAIRS; i++) {
            if (peers.control(epoll, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLRDHUP) !== 0) throw new Error("add failed");
            if (peers.control(epoll, EPOLL_CTL_DEL, fd, 0) !== 0) throw new Error("delete failed");
          }
          return PAIRS;
        },
      },
      {
        name: "lio-poller, add + delete",
        run: () => {
          for (let i = 0; i < PAIRS; i++) {
            poller.add(fd, i, Interest.READABLE);
            poller.delete(fd);
          }
          return PAIRS;
        },
      },
    ],
    rounds,
  );
  poller.close();
  peers.close(epoll);
  close(fd);

  print(timings.values(), "pair");
  const [native, ours] = [...timings.values()].map(({ median }) => median) as [number, number];
  console.log();
  return ratio("add + delete: ours against the bare binding", ours, native, 1.2);
}
