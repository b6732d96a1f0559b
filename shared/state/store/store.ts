import { setTimeout as sleep } from 'node:timers/promises'
import { ConflictError, reasonOf, StoreError } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import { createOutage } from '#shared/outage.ts'
import { applyAll, totalOf } from './batch.ts'
import type { Change, Decide } from './change.ts'
import { createDocumentCache, type Known } from './document-cache.ts'
import type { Driver, Page, PageRange, Versioned } from './driver.ts'
import { addWork, applyJob, createLane, type Job, type Lane, type Removal, settleJob } from './queue.ts'
import type { LogEntry, NodeState } from '#shared/state/document.ts'
import { trim } from './trim.ts'

/** The store that functions use: a driver behind group commit, conflict handling and trimming (design.md §4). */
export type Store = {
  /**
   * Serialises per node within the process, merges what waits for one node into one write, and resolves when
   * the write that holds the change is done. Re-reads on a conflict and applies the change anew.
   * `fresh`: shows the change a document that was read after this call.
   * @throws StoreError when the store is out of reach.
   */
  update<T>(node: string, change: Change<T>, options?: { fresh?: boolean }): Promise<T>
  read(node: string): Promise<NodeState | undefined>
  /** The document as this process last knew it, which others may have changed since; undefined if it does not. */
  remembered(node: string): NodeState | undefined
  list(page: PageRange): Promise<Page>
  /** The names of all nodes, without their documents. */
  names(): Promise<string[]>
  log(node: string, range: { after: number; limit: number }): Promise<LogEntry[]>
  /**
   * Removes a node after the changes that were called before, and with it what it counted. Where `decide` is given, only
   * if it says so of the document that is then there, and of none that somebody else has written since. Whether it did.
   */
  remove(node: string, decide?: Decide): Promise<boolean>
  ping(): Promise<void>
  /** Writes what was coalesced, then closes the driver. */
  close(): Promise<void>
}

export type { Page, Versioned }

/** Counts down in the background: `after` runs something once, later, and returns how to call it off. */
export type Timers = { after(ms: number, run: () => void): () => void }

export type StoreOptions = {
  /** How many log entries of a node are kept (design: HISTORY_PER_NODE). */
  readonly historyPerNode: number
  readonly log: Log
  /** For the pause before coalesced counters are written; the default holds no process open. */
  readonly timers?: Timers
  /** How long counters without a document to go with wait for one, in milliseconds. */
  readonly counterPauseMs?: number
  /** How many documents are remembered (some kilobytes each); the one known for longest is forgotten first. */
  readonly cachedDocuments?: number
  /** How often in a row another writer may come first before a caller is told so. */
  readonly conflictLimit?: number
  /** 0 to 1, for the jitter between attempts. */
  readonly random?: () => number
}

/** The store over a driver, which it closes with itself. */
export function createStore(driver: Driver, options: StoreOptions): Store {
  const { historyPerNode, log, timers = backgroundTimers, random = Math.random } = options
  const { counterPauseMs = 5000, cachedDocuments = 20_000, conflictLimit = 50 } = options
  const documents = createDocumentCache<Known>(cachedDocuments)
  const lanes = new Map<string, Lane>()
  const unpaid = createOutage(log, {
    failed: 'counters could not be written yet: they are kept and retried',
    recovered: 'counters are written again',
  })
  /** Those that begin at the end of this turn. */
  let due: Lane[] = []
  let calls = 0
  let closing: Promise<void> | undefined
  /** Why counters could not be written at the end. */
  let lastReason: string | undefined

  /** A lane begins at the end of the turn unless it runs already. */
  function enqueue(node: string, work: Job | Removal): void {
    let lane = lanes.get(node)
    if (lane !== undefined) {
      addWork(lane, work)
    } else {
      lane = createLane(node, work)
      lanes.set(node, lane)
    }
    if (lane.busy) return
    lane.busy = true
    if (due.push(lane) === 1) setImmediate(drainDue)
  }

  function enqueueChange<T>(node: string, change: Change<T>, fresh: boolean): Promise<T> {
    return new Promise((resolve, reject) => {
      checkName(node)
      const call = ++calls
      enqueue(node, { node, change, call, fresh, outcome: undefined, failure: undefined, resolve, reject })
    })
  }

  /**
   * What is called in one turn of the event loop is written together: changes of one node as one write, and the writes
   * of all nodes, and with them the replies to their callers, behind each other.
   */
  function drainDue(): void {
    const begun = due
    due = []
    for (const lane of begun) lane.running = drain(lane)
  }

  async function drain(lane: Lane): Promise<void> {
    for (let work = lane.waiting.shift(); work !== undefined; work = lane.waiting.shift()) {
      if (!Array.isArray(work)) {
        await removeNode(lane, work)
        continue
      }
      try {
        await attempt(lane, work, 0)
        tendOwed(lane)
        for (const job of work) settleJob(job)
      } catch (error) {
        documents.delete(lane.node)
        tendOwed(lane)
        for (const job of work) job.reject(error)
      }
    }
    lane.busy = false
    if (lane.owed === undefined) lanes.delete(lane.node)
  }

  /** Counters that are owed are paid after a pause, unless a write comes before. */
  function tendOwed(lane: Lane): void {
    if (lane.owed === undefined) unpaid.worked(lane.node)
    if (lane.owed !== undefined) {
      lane.callOff ??= timers.after(counterPauseMs, () => void payOwed(lane))
    } else if (lane.callOff !== undefined) {
      lane.callOff()
      lane.callOff = undefined
    }
  }

  /** Applies the jobs to the document as it is known, if that is new enough, and writes what they make of it. */
  function attempt(lane: Lane, jobs: Job[], conflicts: number): Promise<void> | undefined {
    const known = documents.get(lane.node)
    if (known === undefined || isTooOld(known, jobs)) return attemptFresh(lane, jobs, conflicts)
    const batch = applyAll(known.state, jobs, applyJob, lane.owed)
    if (batch.write !== undefined) return write(lane, jobs, known, batch.write, conflicts)
    if (isOlder(known, batch.uncertain)) return attemptFresh(lane, jobs, conflicts)
    lane.owed = batch.owed
    return undefined
  }

  async function attemptFresh(lane: Lane, jobs: Job[], conflicts: number): Promise<void> {
    const known = await load(lane.node)
    const batch = applyAll(known.state, jobs, applyJob, lane.owed)
    if (batch.write !== undefined) return write(lane, jobs, known, batch.write, conflicts)
    lane.owed = batch.owed
  }

  /** Where somebody else wrote the document first, all is done anew. */
  function write(
    lane: Lane,
    jobs: Job[],
    known: Known,
    { state, entries }: { state: NodeState; entries: readonly LogEntry[] },
    conflicts: number,
  ): Promise<void> {
    const { node } = lane
    // The write succeeds only if the document is still the newest one, so it proves as much as a read does.
    const asOf = calls
    const { state: before, version: expected } = known
    const { through, unsent } = trim(before, state, historyPerNode)
    return driver.write(node, { state, entries, expected, trimThrough: through }).then(
      (version) => {
        documents.set(node, { state, version, asOf })
        lane.owed = undefined
        if (unsent > 0)
          log.error('Log entries were dropped before the broker had them', { node, dropped: unsent })
      },
      (error: unknown) => {
        documents.delete(node)
        if (!(error instanceof ConflictError)) throw error
        return afterConflict(lane, jobs, conflicts + 1)
      },
    )
  }

  async function afterConflict(lane: Lane, jobs: Job[], conflicts: number): Promise<void> {
    if (conflicts >= conflictLimit) {
      throw new StoreError(
        `The document of node ${lane.node} was changed by others ${conflicts} times while it was being written`,
      )
    }
    if (conflicts > 1) await sleep(random() * Math.min(100, 2 ** conflicts))
    const [next] = lane.waiting
    if (Array.isArray(next)) {
      lane.waiting.shift()
      jobs.push(...next)
    }
    return attempt(lane, jobs, conflicts)
  }

  async function load(node: string): Promise<Known> {
    const asOf = calls
    const found = await driver.read(node)
    const known = { state: found?.state, version: found?.version, asOf }
    if (found === undefined) documents.delete(node)
    else documents.set(node, known)
    return known
  }

  async function removeNode(lane: Lane, removal: Removal): Promise<void> {
    const { node } = lane
    try {
      const removed = await removeIf(node, removal.decide)
      if (removed) lane.owed = undefined
      tendOwed(lane)
      removal.resolve(removed)
    } catch (error) {
      removal.reject(error)
    }
    documents.delete(node)
  }

  async function removeIf(node: string, decide: Decide | undefined): Promise<boolean> {
    if (decide === undefined) {
      await driver.remove(node)
      return true
    }
    for (let conflicts = 0; ; conflicts += 1) {
      documents.delete(node)
      const { state, version } = await load(node)
      if (state === undefined || !decide(state)) return false
      try {
        await driver.remove(node, version)
        return true
      } catch (error) {
        if (!(error instanceof ConflictError) || conflicts >= conflictLimit) throw error
      }
    }
  }

  /** Writes the counters that wait; they stay owed if the store is down. */
  async function payOwed(lane: Lane): Promise<void> {
    lane.callOff?.()
    lane.callOff = undefined
    if (lane.owed === undefined) return
    try {
      await enqueueChange(lane.node, (current) => ({ state: current, result: undefined }), false)
    } catch (error) {
      // At the end all that is owed is one line.
      if (closing === undefined) unpaid.failed(lane.node, { reason: reasonOf(error) })
      else lastReason = reasonOf(error)
    }
  }

  async function allDrained(): Promise<void> {
    drainDue()
    await Promise.all([...lanes.values()].map((lane) => lane.running))
  }

  async function finish(): Promise<void> {
    await allDrained()
    await Promise.all([...lanes.values()].map(payOwed))
    await allDrained()
    for (const { callOff } of lanes.values()) callOff?.()
    if (lanes.size > 0) {
      log.error('counters lost: the store could not be written before it was closed', {
        nodes: lanes.size,
        lost: totalOf([...lanes.values()].map(({ owed }) => owed)),
        reason: lastReason,
      })
    }
    await driver.close()
  }

  function checkOpen(): void {
    if (closing !== undefined) throw isClosed()
  }

  return {
    update: (node, change, { fresh = false } = {}) =>
      closing === undefined ? enqueueChange(node, change, fresh) : Promise.reject(isClosed()),
    async read(node) {
      checkOpen()
      const asOf = calls
      const before = documents.get(node)
      const found = await driver.read(node)
      // Unless a write or another read has shown something newer meanwhile.
      if (found !== undefined && documents.get(node) === before) documents.set(node, { ...found, asOf })
      return found?.state
    },
    remembered: (node) => documents.get(node)?.state,
    async list(page) {
      checkOpen()
      return driver.list(page)
    },
    async names() {
      checkOpen()
      return driver.names()
    },
    async log(node, range) {
      checkOpen()
      return driver.log(node, range)
    },
    async remove(node, decide) {
      checkOpen()
      return new Promise((resolve, reject) => enqueue(node, { decide, resolve, reject }))
    },
    async ping() {
      checkOpen()
      return driver.ping()
    },
    close() {
      closing ??= finish()
      return closing
    },
  }
}

const backgroundTimers: Timers = {
  after(ms, run) {
    const timer = setTimeout(run, ms).unref()
    return () => clearTimeout(timer)
  },
}

/** Whether one of the calls wants a document that was read after it. */
function isTooOld(known: Known, jobs: readonly Job[]): boolean {
  return jobs.some((job) => job.fresh && job.call > known.asOf)
}

/** Whether one of the calls came after the document had been read. */
function isOlder(known: Known, jobs: readonly Job[]): boolean {
  return jobs.some((job) => job.call > known.asOf)
}

function isClosed(): StoreError {
  return new StoreError('The store is closed', { retryable: false })
}

function checkName(node: string): void {
  if (node.isWellFormed()) return
  throw new StoreError(`${JSON.stringify(node)} is no well-formed node name`, { retryable: false })
}
