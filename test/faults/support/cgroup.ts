import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'

/** What a process under flood may take: the limit of the manifests (knative/base/ingest.yaml). Bytes. */
export const MEMORY = 256 * 1024 * 1024

/** A limit of memory for a process, by the kernel where this process may make one. */
export type MemoryLimit = {
  /** Options of Node.js that stand in for a limit that could not be made. */
  readonly options: readonly string[]
  add(pid: number): void
  /** How often the kernel has killed for want of memory; undefined where it is not the one who limits. */
  kills(): number | undefined
  remove(): void
}

/** Needs root and a memory controller of cgroups v1 or v2; else V8's heap is limited, and the test looks at the RSS. */
export function memoryLimit(name: string): MemoryLimit {
  for (const { folder, limit, events } of [
    { folder: '/sys/fs/cgroup/memory', limit: 'memory.limit_in_bytes', events: 'memory.oom_control' },
    { folder: '/sys/fs/cgroup', limit: 'memory.max', events: 'memory.events' },
  ]) {
    const path = `${folder}/ptp-watch-${name}-${process.pid}`
    try {
      mkdirSync(path)
    } catch {
      continue
    }
    try {
      writeFileSync(`${path}/${limit}`, String(MEMORY))
      return {
        options: [],
        add: (pid) => writeFileSync(`${path}/cgroup.procs`, String(pid)),
        kills: () => Number(/^oom_kill (\d+)$/m.exec(readFileSync(`${path}/${events}`, 'utf8'))?.[1] ?? 0),
        remove: () => rmdirSync(path),
      }
    } catch {
      rmdirSync(path)
    }
  }
  return { options: ['--max-old-space-size=160'], add() {}, kills: () => undefined, remove() {} }
}
