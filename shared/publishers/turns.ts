/** Lets so many at once be at work; the others wait, in the order in which they came. */
export type Turns = {
  /** Undefined where there is room at once. Whoever was let in says so with `leave` when it is done. */
  enter(): Promise<void> | undefined
  leave(): void
}

export function createTurns(limit: number): Turns {
  const waiting: (() => void)[] = []
  let inside = 0
  return {
    enter() {
      if (inside >= limit) return new Promise((resolve) => waiting.push(resolve))
      inside += 1
      return undefined
    },
    leave() {
      const next = waiting.shift()
      if (next === undefined) inside -= 1
      else next()
    },
  }
}
