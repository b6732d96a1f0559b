import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Change, Decide } from './change.ts'

/** A change waiting to be written. */
export type Job = {
  readonly change: Change<unknown>
  resolve(result: unknown): void
  reject(error: unknown): void
}

/** A removal that waits for the changes before it; without `decide` it removes whatever is there. */
export type Removal = {
  readonly decide: Decide | undefined
  /** Whether it was removed. */
  resolve(removed: boolean): void
  reject(error: unknown): void
}

type Queue = {
  add(node: string, work: Job | Removal): void
  /** Resolves when everything added so far is done. */
  drained(): Promise<void>
}

export type Work = {
  /** `more` takes the changes queued since, up to the next removal. Never throws. */
  change(node: string, jobs: Job[], more: () => Job[]): Promise<void>
  /** Never throws. */
  remove(node: string, removal: Removal): Promise<void>
}

/**
 * Processes the work of each node in order; changes waiting together become one write. A node starts at the end of the
 * turn of the event loop, so that all calls of one turn share a write.
 */
export function createQueue({ change, remove }: Work): Queue {
  const lanes = new Map<string, { readonly waiting: (Job | Removal)[]; done: Promise<void> }>()
  let turn: Promise<void> | undefined

  /** Shared by all nodes, so that their replies are sent in one go. */
  const endOfTurn = () => {
    turn ??= nextTurn().then(() => {
      turn = undefined
    })
    return turn
  }

  async function drain(node: string, waiting: (Job | Removal)[]): Promise<void> {
    await endOfTurn()
    for (;;) {
      const jobs = takeJobs(waiting)
      const removal = jobs.length === 0 ? waiting.shift() : undefined
      if (jobs.length > 0) await change(node, jobs, () => takeJobs(waiting))
      else if (removal !== undefined && isRemoval(removal)) await remove(node, removal)
      else break
    }
    lanes.delete(node)
  }

  return {
    add(node, work) {
      const lane = lanes.get(node)
      if (lane !== undefined) lane.waiting.push(work)
      else {
        const waiting = [work]
        lanes.set(node, { waiting, done: drain(node, waiting) })
      }
    },
    async drained() {
      await Promise.all([...lanes.values()].map(({ done }) => done))
    },
  }
}

function takeJobs(waiting: (Job | Removal)[]): Job[] {
  const jobs: Job[] = []
  for (let [first] = waiting; first !== undefined && !isRemoval(first); [first] = waiting) {
    jobs.push(first)
    waiting.shift()
  }
  return jobs
}

function isRemoval(work: Job | Removal): work is Removal {
  return 'decide' in work
}
