/**
 * What the promise gives, unless that takes longer than so many milliseconds. What came while this process was busy is
 * heard before it is called late. @throws what `late` gives, then
 */
export async function within<T>(ms: number, promise: Promise<T>, late: () => unknown): Promise<T> {
  const deadline = Promise.withResolvers<never>()
  let immediate: NodeJS.Immediate | undefined
  const timer = setTimeout(() => {
    immediate = setImmediate(() => deadline.reject(late()))
  }, ms)
  try {
    return await Promise.race([promise, deadline.promise])
  } finally {
    clearTimeout(timer)
    clearImmediate(immediate)
  }
}
