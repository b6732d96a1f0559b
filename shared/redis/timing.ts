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

/** What the promise gives, unless that takes longer than so many milliseconds. @throws what `late` gives, then */
export async function within<T>(ms: number, promise: Promise<T>, late: () => Error): Promise<T> {
  const deadline = Promise.withResolvers<never>()
  const callOff = inTime(ms, () => deadline.reject(late()))
  try {
    return await Promise.race([promise, deadline.promise])
  } finally {
    callOff()
  }
}

/**
 * Runs `late` after so many milliseconds, unless it is called off with what this returns. What came while this
 * process was busy is heard before it is called late.
 */
export function inTime(ms: number, late: () => void): () => void {
  let immediate: NodeJS.Immediate | undefined
  const timer = setTimeout(() => {
    immediate = setImmediate(late)
  }, ms)
  return () => {
    clearTimeout(timer)
    clearImmediate(immediate)
  }
}
