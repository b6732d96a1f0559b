import type { Version } from '#shared/state/store/driver.ts'

/** The logs that this process has read or written last: a write needs the one that it adds to. */
export type KnownLogs = {
  /** The log as it is in that version; undefined where it is not known. */
  get(node: string, version: Version): string | undefined
  set(node: string, version: Version, log: string): void
  delete(node: string): void
}

/** Remembers up to `maxLength` characters of logs, those used last. */
export function createKnownLogs(maxLength: number): KnownLogs {
  const logs = new Map<string, { version: Version; log: string }>()
  let length = 0

  const remove = (node: string) => {
    length -= logs.get(node)?.log.length ?? 0
    logs.delete(node)
  }

  return {
    get(node, version) {
      const known = logs.get(node)
      return known?.version === version ? known.log : undefined
    },
    set(node, version, log) {
      remove(node)
      // A Map yields its keys in the order in which they were set: the first was used longest ago.
      logs.set(node, { version, log })
      length += log.length
      for (const oldest of logs.keys()) {
        if (length <= maxLength) break
        remove(oldest)
      }
    },
    delete: remove,
  }
}
