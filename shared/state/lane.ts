import type { Step } from './batch.ts'
import type { Counters } from './node-state.ts'
import type { Change, Decide, Outcome } from './store.ts'

/** A change that waits for the write that will hold it. */
export type Job = Step & {
  /** The number of the call. */
  readonly call: number
  /** Whether the document it is shown must have been read after the call. */
  readonly fresh: boolean
  /** Tells the caller what came of the last time that the change was applied. */
  settle(): void
  reject(error: unknown): void
}

export function createJob<T>(change: Change<T>, { node, call, fresh, resolve, reject }: JobCall<T>): Job {
  let outcome: Outcome<T> | undefined
  let failure: unknown
  return {
    call,
    fresh,
    apply(current) {
      try {
        outcome = change(current)
        if (outcome.state !== undefined || current !== undefined || !outcome.entries?.length) return outcome
        throw new TypeError(`A change of node ${node} has log entries but no document`)
      } catch (error) {
        outcome = undefined
        failure = error
        return undefined
      }
    },
    settle: () => (outcome === undefined ? reject(failure) : resolve(outcome.result)),
    reject,
  }
}

/** Who calls for a change, and what he waits for. */
type JobCall<T> = Pick<Job, 'call' | 'fresh' | 'reject'> & {
  readonly node: string
  resolve(result: T): void
}

/** A removal that waits for its turn among the changes. */
export type Removal = {
  /** Undefined where it is removed whatever it holds. */
  readonly removal: Decide | undefined
  /** Whether it was removed. */
  resolve(removed: boolean): void
  reject(error: unknown): void
}

/** What one node's callers wait for, in order; there is one while anything waits, runs or is owed. */
export type Lane = {
  readonly node: string
  waiting: (Job | Removal)[]
  /** Something runs, or begins at the end of the turn. */
  busy: boolean
  /** What ran last. */
  running: Promise<void> | undefined
  /** Counters that no write has carried yet. */
  owed: Counters | undefined
  /** Calls off the pause after which they are written on their own. */
  callOff: (() => void) | undefined
}

/** Takes the changes that wait, up to the first removal. */
export function takeJobs(lane: Lane): Job[] {
  const jobs: Job[] = []
  for (const work of lane.waiting) {
    if ('removal' in work) break
    jobs.push(work)
  }
  lane.waiting.splice(0, jobs.length)
  return jobs
}
