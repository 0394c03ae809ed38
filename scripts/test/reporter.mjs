/**
 * Mocha's dots; then the files that took longest, a line with the counts, and the titles of what passed in the file that
 * LIO_POLLER_TITLES names.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import Mocha from "mocha";

const SLOWEST = 8;

export default class Reporter extends Mocha.reporters.Dot {
  constructor(runner, options) {
    super(runner, options);
    const titles = [];
    const milliseconds = new Map();
    runner.on("pass", (test) => titles.push(test.fullTitle()));
    runner.on("test end", ({ file = "", duration = 0 }) => {
      milliseconds.set(file, (milliseconds.get(file) ?? 0) + duration);
    });
    runner.once("end", () => {
      const { passes, failures } = runner.stats;
      const slowest = [...milliseconds].toSorted(([, one], [, other]) => other - one).slice(0, SLOWEST);
      const times = slowest.map(([file, time]) => `${basename(file, ".test.js")} ${(time / 1000).toFixed(1)} s`);
      console.log(`slowest: ${times.join(", ")}`);
      console.log(`${passes} passed, ${failures} failed`);
      const file = process.env.LIO_POLLER_TITLES;
      if (file === undefined) return;
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, titles.map((title) => `${title}\n`).join(""));
    });
  }
}
