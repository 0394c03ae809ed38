/** Timing side by side: the machines are shared, so every contender runs in every round, and medians are compared. */

export interface Contender {
  readonly name: string;
  /** Does its work once, and returns how many things it did. */
  run(): number;
}

export interface Timing {
  readonly name: string;
  /** Nanoseconds per thing done: the median over all rounds. */
  readonly median: number;
  /** The tenth and the ninetieth percentile. */
  readonly low: number;
  readonly high: number;
}

/** Runs all contenders in each round, each time in another order unless they build on each other, after a warm-up round. */
export function race(
  contenders: readonly Contender[],
  rounds: number,
  order: "in turn" | "in order" = "in turn",
): Map<string, Timing> {
  const samples = contenders.map(() => [] as number[]);
  for (let round = -1; round < rounds; round++) {
    for (let i = 0; i < contenders.length; i++) {
      const shift = order === "in turn" ? Math.max(round, 0) : 0;
      const turn = (i + shift) % contenders.length;
      const before = process.hrtime.bigint();
      const done = contenders[turn]!.run();
      const nanoseconds = Number(process.hrtime.bigint() - before);
      if (round >= 0) samples[turn]!.push(nanoseconds / done);
    }
  }
  return new Map(contenders.map(({ name }, i) => [name, timing(name, samples[i]!)]));
}

/** As `race`, for contenders that take turns of the event loop and tell how many nanoseconds they needed for `things`. */
export async function raceAsync(
  contenders: readonly { readonly name: string; run(): Promise<number> }[],
  things: number,
  rounds: number,
): Promise<Map<string, Timing>> {
  const samples = contenders.map(() => [] as number[]);
  for (let round = -1; round < rounds; round++) {
    for (let i = 0; i < contenders.length; i++) {
      const turn = (i + Math.max(round, 0)) % contenders.length;
      const nanoseconds = await contenders[turn]!.run();
      if (round >= 0) samples[turn]!.push(nanoseconds / things);
    }
  }
  return new Map(contenders.map(({ name }, i) => [name, timing(name, samples[i]!)]));
}

function timing(name: string, samples: number[]): Timing {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (part: number): number => sorted[Math.floor(part * (sorted.length - 1))] as number;
  return { name, median: at(0.5), low: at(0.1), high: at(0.9) };
}

/** Prints the timings, one a line. */
export function print(timings: Iterable<Timing>, unit: string): void {
  for (const { name, median, low, high } of timings) {
    console.log(
      `${name.padEnd(44)} ${median.toFixed(1).padStart(9)} ns per ${unit}  (${low.toFixed(0)}–${high.toFixed(0)})`,
    );
  }
}

/** A number that is to reach a limit, printed with what came of it. */
export function atLeast(what: string, value: number, limit: number): boolean {
  const reached = value >= limit;
  console.log(`${what.padEnd(60)} ${Math.round(value)}  (at least ${limit})  ${reached ? "reached" : "MISSED"}`);
  return reached;
}

/** A number that is to stay below a limit, printed with what came of it. */
export function most(what: string, value: number, limit: number): boolean {
  const reached = value <= limit;
  console.log(`${what.padEnd(60)} ${Math.round(value)}  (at most ${limit})  ${reached ? "reached" : "MISSED"}`);
  return reached;
}

/** A ratio that is to stay below a limit, printed with what came of it. */
export function ratio(what: string, a: number, b: number, limit: number): boolean {
  const value = a / b;
  const reached = value <= limit;
  console.log(`${what.padEnd(60)} ${value.toFixed(3)}  (at most ${limit})  ${reached ? "reached" : "MISSED"}`);
  return reached;
}
