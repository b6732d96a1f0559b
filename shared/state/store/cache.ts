/** Remembers a value for each of at most `limit` nodes; the oldest is dropped first. */
type Cache<T> = {
  get(node: string): T | undefined
  set(node: string, known: T): void
  delete(node: string): void
}

export function createCache<T>(limit: number): Cache<T> {
  // A Map keeps insertion order, so its first key is the oldest.
  const known = new Map<string, T>()
  return {
    get: (node) => known.get(node),
    set(node, value) {
      known.set(node, value)
      const [oldest] = known.size > limit ? known.keys() : []
      if (oldest !== undefined) known.delete(oldest)
    },
    delete: (node) => void known.delete(node),
  }
}
