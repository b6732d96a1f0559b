/**
 * The result of a promise, unless it takes longer than `ms`. A result that arrived while this process was busy is not
 * late.
 * @throws what `late` returns, in that case.
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
