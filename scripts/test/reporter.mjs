/** Mocha's dots; then one line with the counts, and the titles of what passed in the file that LIO_POLLER_TITLES names. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import Mocha from "mocha";

export default class Reporter extends Mocha.reporters.Dot {
  constructor(runner, options) {
    super(runner, options);
    const titles = [];
    runner.on("pass", (test) => titles.push(test.fullTitle()));
    runner.once("end", () => {
      const { passes, failures } = runner.stats;
      console.log(`${passes} passed, ${failures} failed`);
      const file = process.env.LIO_POLLER_TITLES;
      if (file === undefined) return;
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, titles.map((title) => `${title}\n`).join(""));
    });
  }
}
