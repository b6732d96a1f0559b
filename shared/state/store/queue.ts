import type { Counters, NodeState } from '#shared/state/document.ts'
import type { Change, Decide, Outcome } from './change.ts'

/** A change that waits for the write that will hold it. */
export type Job = {
  readonly node: string
  readonly change: Change<unknown>
  /** The number of the call. */
  readonly call: number
  /** Whether the document it is shown must have been read after the call. */
  readonly fresh: boolean
  /** What came of the last time that the change was applied. */
  outcome: Outcome<unknown> | undefined
  /** What it threw instead. */
  failure: unknown
  resolve(result: unknown): void
  reject(error: unknown): void
}

/** Applies a change, maybe not for the last time. Undefined where it threw. */
export function applyJob(job: Job, current: NodeState | undefined): Outcome<unknown> | undefined {
  try {
    const outcome = job.change(current)
    if (outcome.state === undefined && current === undefined && outcome.entries?.length)
      throw new TypeError(`A change of node ${job.node} has log entries but no document`)
    job.outcome = outcome
  } catch (error) {
    job.outcome = undefined
    job.failure = error
  }
  return job.outcome
}

/** Tells the caller what came of the last time that the change was applied. */
export function settleJob({ outcome, failure, resolve, reject }: Job): void {
  if (outcome === undefined) reject(failure)
  else resolve(outcome.result)
}

/** A removal that waits for its turn among the changes. */
export type Removal = {
  /** Undefined where it is removed whatever it holds. */
  readonly decide: Decide | undefined
  /** Whether it was removed. */
  resolve(removed: boolean): void
  reject(error: unknown): void
}

/** What one node's callers wait for, in order; there is one while anything waits, runs or is owed. */
export type Lane = {
  readonly node: string
  /** Changes that are written together, and removals between them. */
  readonly waiting: (Job[] | Removal)[]
  /** Something runs, or begins at the end of the turn. */
  busy: boolean
  /** What ran last. */
  running: Promise<void> | undefined
  /** Counters that no write has carried yet. */
  owed: Counters | undefined
  /** Calls off the pause after which they are written on their own. */
  callOff: (() => void) | undefined
}

export function createLane(node: string, first: Job | Removal): Lane {
  const waiting = ['decide' in first ? first : [first]]
  return { node, waiting, busy: false, running: undefined, owed: undefined, callOff: undefined }
}

/** Queues a removal, or a change with those before it up to the last removal. */
export function addWork({ waiting }: Lane, work: Job | Removal): void {
  const last = waiting.at(-1)
  if ('decide' in work) waiting.push(work)
  else if (Array.isArray(last)) last.push(work)
  else waiting.push([work])
}
