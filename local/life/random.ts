export interface Random {
  /** From 0 up to but not including 1. */
  next(): number
  pick<T>(items: readonly [T, ...T[]]): T
  /** A whole number from `low` to `high`, both included. */
  between(low: number, high: number): number
}

/** The same numbers for the same seed (mulberry32). */
export function createRandom(seed: number): Random {
  let state = seed >>> 0
  function next() {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return {
    next,
    pick: (items) => items[Math.floor(next() * items.length)] ?? items[0],
    between: (low, high) => low + Math.floor(next() * (high - low + 1)),
  }
}
