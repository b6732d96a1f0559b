/** What the promise gives, unless that takes longer than so many milliseconds. @throws what `late` gives, then */
export async function within<T>(ms: number, promise: Promise<T>, late: () => unknown): Promise<T> {
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
