/** What the two processes tell each other: main.ts gives the clients' process a job, and that one sends reports. */

/** What the clients are to do. */
export interface Job {
  readonly port: number;
  readonly clients: number;
  /** Messages per client. */
  readonly messages: number;
  /** Bytes per message. */
  readonly size: number;
  /** Seconds after which a client that receives nothing hangs. */
  readonly timeout: number;
}

/** What the clients have done so far. */
export interface Report {
  readonly connected: number;
  readonly finished: number;
  readonly failed: number;
  /** Messages that came back whole and unchanged. */
  readonly messages: number;
  /** Bytes that came back unchanged. */
  readonly bytes: number;
  /** Milliseconds since the first client began to connect. */
  readonly elapsed: number;
  /** In the last report: a sentence for each client that failed. */
  readonly failures?: readonly string[];
}
