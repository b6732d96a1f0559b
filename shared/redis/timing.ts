/** How long is waited for what; all in milliseconds. */
export type Timing = {
  /** For a connection, up to the server's answer to who it is. */
  readonly connectMs: number
  /** For the answer to one command. */
  readonly answerMs: number
  /** A connection over which nothing came for so long, though something was asked, is given up. */
  readonly silenceMs: number
}

/** Within the 1.5 s that a publisher waits for its answer, most of the time (protocol.md §3.1). */
export const TIMING: Timing = { connectMs: 1000, answerMs: 1000, silenceMs: 3000 }
