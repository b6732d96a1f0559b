/** What came of working on one node. */
export type Worked =
  /** Nothing of it is left. `answered`: the sink was asked and answered, so it is there. */
  | { readonly done: true; readonly answered: boolean }
  /** `afterMs`: not before that. `sink`: it is the sink that failed, which may concern all nodes. */
  | { readonly done: false; readonly sink: boolean; readonly afterMs?: number | undefined }

/** Which nodes are worked on, and when: each by one at a time, a bounded number at once, with back-off. */
export type Queue = {
  /** Works on a node soon, or after so many milliseconds; one that waits for its next try is not hurried. */
  add(node: string, afterMs?: number): void
  /** Works on all that waits, now. True when nothing is left; false when the sink is down, or `signal` aborted. */
  settle(signal: AbortSignal): Promise<boolean>
  /** Takes nothing more and calls off all that waits. Resolves when nothing is under way. */
  close(): Promise<void>
}

export type QueueOptions = {
  /** [0, 1), for jitter. */
  readonly random: () => number
  /** How many nodes are worked on at once. */
  readonly concurrency: number
  /** Told how many nodes wait or are under way, when that changes. */
  readonly onSize?: (size: number) => void
}

/** Pauses between tries: doubled each time, half of each by chance (milliseconds). */
const FIRST_PAUSE = 500
const LONGEST_PAUSE = 30_000
/** So many failures in a row, of whatever nodes, and the sink is taken to be down: it is then tried by one alone. */
const DOWN_AFTER = 3

/** A queue of the nodes that `work` is to be done on; `work` never throws. */
export function createQueue(work: (node: string) => Promise<Worked>, options: QueueOptions): Queue {
  const { random, concurrency, onSize = () => {} } = options
  const ready = new Set<string>()
  /** Nodes under way; true: something was added meanwhile. */
  const active = new Map<string, boolean>()
  const later = new Map<string, NodeJS.Timeout>()
  /** By node: how often in a row it failed. */
  const failures = new Map<string, number>()
  const watchers = new Set<() => void>()
  let failuresInRow = 0
  let pause: NodeJS.Timeout | undefined
  let planned: NodeJS.Immediate | undefined
  let closed = false

  const backoff = (times: number) =>
    Math.min(FIRST_PAUSE * 2 ** Math.min(times - 1, 16), LONGEST_PAUSE) * (0.5 + random() / 2)

  const size = () => ready.size + active.size + later.size

  const changed = () => {
    onSize(size())
    for (const watcher of watchers) watcher()
  }

  /** In a turn of its own: what made the node wait is answered first. */
  const plan = () => {
    planned ??= setImmediate(() => {
      planned = undefined
      const limit = failuresInRow >= DOWN_AFTER ? 1 : concurrency
      for (const node of ready) {
        if (pause !== undefined || active.size >= limit) return
        ready.delete(node)
        active.set(node, false)
        void run(node)
      }
    })
  }

  const hurry = () => {
    for (const [node, timer] of later) {
      clearTimeout(timer)
      ready.add(node)
    }
    later.clear()
  }

  const postpone = (node: string, ms: number) => {
    const timer = setTimeout(() => {
      later.delete(node)
      ready.add(node)
      plan()
    }, ms)
    later.set(node, timer.unref())
  }

  const failed = (node: string, { sink, afterMs = 0 }: Extract<Worked, { done: false }>) => {
    const times = (failures.get(node) ?? 0) + 1
    failures.set(node, times)
    postpone(node, Math.max(backoff(times), afterMs))
    // Those that were under way when it was found to be down tell nothing new.
    if (!sink || pause !== undefined) return
    failuresInRow += 1
    if (failuresInRow < DOWN_AFTER && afterMs === 0) return
    pause = setTimeout(
      () => {
        pause = undefined
        plan()
      },
      Math.max(backoff(failuresInRow), afterMs),
    ).unref()
  }

  const run = async (node: string) => {
    const worked = await work(node)
    const again = active.get(node) === true
    active.delete(node)
    if (closed) return changed()
    if (!worked.done) failed(node, worked)
    else {
      failures.delete(node)
      if (worked.answered) {
        if (failuresInRow >= DOWN_AFTER) hurry()
        failuresInRow = 0
      }
      if (again) ready.add(node)
    }
    changed()
    plan()
  }

  return {
    add(node, afterMs = 0) {
      if (closed || ready.has(node)) return
      if (active.has(node)) {
        active.set(node, true)
        return
      }
      const waiting = later.get(node)
      if (waiting !== undefined) {
        if (failures.has(node) || afterMs > 0) return
        clearTimeout(waiting)
        later.delete(node)
      }
      if (afterMs > 0) postpone(node, afterMs)
      else {
        ready.add(node)
        plan()
      }
      changed()
    },

    settle(signal) {
      hurry()
      plan()
      return new Promise((resolve) => {
        const look = () => {
          const idle = ready.size + active.size === 0
          if (!idle && pause === undefined && !signal.aborted && !closed) return
          watchers.delete(look)
          signal.removeEventListener('abort', look)
          resolve(size() === 0)
        }
        watchers.add(look)
        signal.addEventListener('abort', look)
        look()
      })
    },

    async close() {
      closed = true
      clearImmediate(planned)
      clearTimeout(pause)
      for (const timer of later.values()) clearTimeout(timer)
      later.clear()
      ready.clear()
      changed()
      await new Promise<void>((resolve) => {
        const look = () => {
          if (active.size > 0) return
          watchers.delete(look)
          resolve()
        }
        watchers.add(look)
        look()
      })
    },
  }
}
