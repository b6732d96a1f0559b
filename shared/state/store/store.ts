import { setTimeout as sleep } from 'node:timers/promises'
import { ConflictError, StoreError } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import type { LogEntry, NodeState } from '#shared/state/document.ts'
import { createCache } from './cache.ts'
import { applyAll, type Change, type Decide, type Outcome } from './change.ts'
import type { Driver, Page, PageRange, Version, Versioned } from './driver.ts'
import { createQueue, type Job, type Removal } from './queue.ts'
import { trim } from './trim.ts'

/** The store that functions use: a driver plus group commit, conflict handling and trimming (design.md §4). */
export type Store = {
  /**
   * Serialises changes per node within the process, combines those waiting for one node into one write, and resolves
   * when that write is done. Reads again after a conflict, and before it believes "nothing to do".
   * @throws StoreError if the store is unreachable.
   */
  update<T>(node: string, change: Change<T>): Promise<T>
  read(node: string): Promise<NodeState | undefined>
  /** The document as this process last saw it, possibly changed by others since; undefined if it has not seen it. */
  remembered(node: string): NodeState | undefined
  list(page: PageRange): Promise<Page>
  /** The names of all nodes, in order, each with the version of its document. */
  versions(): Promise<Map<string, Version>>
  log(node: string, range: { after: number; limit: number }): Promise<LogEntry[]>
  /**
   * Removes a node, after the changes called before. With `decide`, only if that returns true for the current document,
   * and nobody has written since. Returns whether it was removed.
   */
  remove(node: string, decide?: Decide): Promise<boolean>
  ping(): Promise<void>
  /** Finishes pending work, then closes the driver. */
  close(): Promise<void>
}

export type { Page, Versioned }

export type StoreOptions = {
  /** How many log entries of a node are kept (design: HISTORY_PER_NODE). */
  readonly historyPerNode: number
  readonly log: Log
  /** How many documents are cached (a few kilobytes each); the oldest is dropped first. */
  readonly cachedDocuments?: number
  /** How many conflicts in a row with other writers are an error. */
  readonly conflictLimit?: number
  /** 0 to 1, for the jitter between attempts. */
  readonly random?: () => number
}

/** A store on top of a driver; closing the store closes the driver. */
export function createStore(driver: Driver, options: StoreOptions): Store {
  const { historyPerNode, log, random = Math.random } = options
  const { cachedDocuments = 20_000, conflictLimit = 50 } = options
  const documents = createCache<Versioned>(cachedDocuments)
  const queue = createQueue({ change, remove })
  let closing: Promise<void> | undefined

  /** Undefined where there is none. */
  async function load(node: string, known?: Versioned): Promise<Versioned | undefined> {
    const found = await driver.read(node, known)
    if (found === undefined) documents.delete(node)
    else documents.set(node, found)
    return found
  }

  async function change(node: string, jobs: Job[], more: () => Job[]): Promise<void> {
    try {
      const settled = await commit(node, jobs, more)
      jobs.forEach(({ resolve, reject }, index) => {
        const one = settled[index]
        if (one?.outcome === undefined) reject(one?.failure)
        else resolve(one.outcome.result)
      })
    } catch (error) {
      documents.delete(node)
      for (const { reject } of jobs) reject(error)
    }
  }

  /**
   * Changes start from the cached document; compare-and-set shows whether it is the newest. "Nothing to do", or an
   * exception, is believed only after the store has confirmed that.
   */
  async function commit(node: string, jobs: Job[], more: () => Job[]): Promise<readonly Settled[]> {
    const cached = documents.get(node)
    let known = cached ?? (await load(node))
    let isChecked = cached === undefined
    for (let conflicts = 0; ; ) {
      const settled: Settled[] = []
      const changed = applyAll(
        known?.state,
        jobs.map((job) => (current) => {
          const one = attempt(node, job, current)
          settled.push(one)
          return one.outcome
        }),
      )
      if (changed === undefined) {
        if (isChecked) return settled
        const newest = await load(node, known)
        if (newest === known) return settled
        known = newest
        isChecked = true
        continue
      }
      const { through, unsent } = trim(known?.state, changed.state, historyPerNode)
      try {
        const write = { ...changed, expected: known?.version, trimThrough: through }
        documents.set(node, { state: changed.state, version: await driver.write(node, write) })
        if (unsent > 0) log.error('log entries dropped before the broker had them', { node, dropped: unsent })
        return settled
      } catch (error) {
        if (!(error instanceof ConflictError)) throw error
      }
      conflicts += 1
      if (conflicts >= conflictLimit) {
        throw new StoreError(
          `Other processes changed node ${node} ${conflicts} times while it was being written`,
        )
      }
      if (conflicts > 1) await sleep(random() * Math.min(100, 2 ** conflicts))
      known = await load(node)
      isChecked = true
      jobs.push(...more())
    }
  }

  async function remove(node: string, { decide, resolve, reject }: Removal): Promise<void> {
    try {
      resolve(decide === undefined ? await removeAny(node) : await removeIf(node, decide))
    } catch (error) {
      reject(error)
    }
    documents.delete(node)
  }

  async function removeAny(node: string): Promise<boolean> {
    await driver.remove(node)
    return true
  }

  async function removeIf(node: string, decide: Decide): Promise<boolean> {
    for (let conflicts = 0; ; conflicts += 1) {
      const found = await load(node)
      if (found === undefined || !decide(found.state)) return false
      try {
        await driver.remove(node, found.version)
        return true
      } catch (error) {
        if (!(error instanceof ConflictError) || conflicts >= conflictLimit) throw error
      }
    }
  }

  async function finish(): Promise<void> {
    await queue.drained()
    await driver.close()
  }

  function checkOpen(): void {
    if (closing !== undefined) throw new StoreError('The store is closed', { retryable: false })
  }

  return {
    update(node, change) {
      return new Promise((resolve, reject) => {
        checkOpen()
        checkName(node)
        queue.add(node, { change, resolve, reject })
      })
    },
    async read(node) {
      checkOpen()
      const before = documents.get(node)
      const found = await driver.read(node)
      // Unless a write or another read has shown something newer meanwhile.
      if (found !== undefined && documents.get(node) === before) documents.set(node, found)
      return found?.state
    },
    remembered: (node) => documents.get(node)?.state,
    async list(page) {
      checkOpen()
      return driver.list(page)
    },
    async versions() {
      checkOpen()
      return driver.versions()
    },
    async log(node, range) {
      checkOpen()
      return driver.log(node, range)
    },
    async remove(node, decide) {
      checkOpen()
      return new Promise((resolve, reject) => queue.add(node, { decide, resolve, reject }))
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

/** The outcome of a change, or what it threw. */
type Settled = { readonly outcome?: Outcome<unknown>; readonly failure?: unknown }

function attempt(node: string, { change }: Job, current: NodeState | undefined): Settled {
  try {
    const outcome = change(current)
    if (outcome.state === undefined && current === undefined && outcome.entries?.length)
      throw new TypeError(`A change of node ${node} has log entries but no document`)
    return { outcome }
  } catch (failure) {
    return { failure }
  }
}

function checkName(node: string): void {
  if (node.isWellFormed()) return
  throw new StoreError(`${JSON.stringify(node)} is not a well-formed node name`, { retryable: false })
}
