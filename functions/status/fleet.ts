import pLimit from 'p-limit'
import { reasonOf, StoreError } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import { turnsOf } from '#shared/state/merge/spent.ts'
import type { Store } from '#shared/state/store/store.ts'
import { isoTime, milliseconds } from '#shared/time.ts'
import type { Picture, Row } from './http/schemas.ts'
import { type Deps, readShown, rowOf, shownOf } from './shown.ts'
import { type NodeSeries, seriesOf } from './metrics/series.ts'

/** How often the store is checked while anybody follows, and how old a one-off picture may be. Milliseconds. */
const EVERY_MS = 2_000
const READS_AT_ONCE = 64
/** Removed nodes are remembered for followers; beyond this many, a follower gets everything again. */
const MOST_REMOVED = 10_000

/** `shownStore`: what the store is, for people, without credentials. */
type FleetDeps = Pick<Deps, 'clock' | 'settings'> & {
  readonly store: Pick<Store, 'read' | 'versions'>
  readonly log: Log
  readonly shownStore: string
}

/** A row, and the number of the look at the store that found it. */
export type Known = {
  readonly row: Row
  readonly json: string
  /** Undefined for a node that is gone. */
  readonly series: NodeSeries | undefined
  readonly look: number
  readonly version: string
  /** When it must be read again even if its document is unchanged. Milliseconds. */
  readonly dueAt: number
}

export type Fleet = ReturnType<typeof createFleet>

/**
 * Looks at the store on behalf of everybody who is shown the fleet. `id` distinguishes this process's looks from
 * another's.
 */
export function createFleet(deps: FleetDeps, id: string) {
  const { store, clock, settings, log, shownStore } = deps
  const known = new Map<string, Known>()
  const removed = new Map<string, number>()
  const followers = new Set<() => void>()
  let forgottenThrough = 0
  let look = 0
  let latest = Number.NEGATIVE_INFINITY
  let lookedAt = Number.NEGATIVE_INFINITY
  let polledAt: string | null = null
  let downSince: string | null = null
  let looking: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined
  let isRunning = false

  /** Reads what has changed, and what time alone may have changed; the first look reads everything. */
  const lookOnce = async () => {
    const next = look + 1
    const versions = await store.versions()
    const gone = [...known.keys()].filter((node) => !versions.has(node))
    const now = clock.now()
    // Our own clock was set back: times that had passed lie ahead again, and prove nothing.
    const isSetBack = now < latest
    latest = now
    const due = [...versions].filter(([node, version]) => {
      const before = known.get(node)
      return before === undefined || before.version !== version || before.dueAt <= now || isSetBack
    })
    await pLimit(READS_AT_ONCE).map(due, async ([node, version]) => {
      const state = await readShown(store, node)
      if (state === undefined) return
      const before = known.get(node)
      const view = shownOf(state, now, settings)
      const row = rowOf(view)
      const json = JSON.stringify(row)
      const series = seriesOf(state, view, before?.series)
      // Whether a node is within its specification changes when its budget runs out.
      const turns = [...turnsOf(state, settings), milliseconds(view.holdover?.endsAt ?? '')]
      const dueAt = Math.min(...turns.filter((time) => time > now))
      known.set(node, { row, json, series, version, dueAt, look: before?.json === json ? before.look : next })
      removed.delete(node)
    })
    for (const node of gone) {
      known.delete(node)
      removed.set(node, next)
    }
    if (removed.size > MOST_REMOVED) {
      removed.clear()
      forgottenThrough = next
    }
    polledAt = null
    for (const { row } of known.values()) {
      if (row.checkedAt !== null && (polledAt === null || row.checkedAt > polledAt)) polledAt = row.checkedAt
    }
    look = next
  }

  const lookAndTell = async () => {
    try {
      await lookOnce()
      if (downSince !== null) log.info('store readable again', { downSince })
      downSince = null
    } catch (error) {
      const reason = reasonOf(error)
      if (downSince === null)
        log.warn('cannot read the store; the page shows the last known states', { reason })
      downSince ??= isoTime(clock.now())
      throw error
    } finally {
      lookedAt = performance.now()
      looking = undefined
    }
  }

  /** One look at a time; callers that come meanwhile wait for it. */
  const refresh = () => {
    looking ??= lookAndTell()
    return looking
  }

  const run = async () => {
    isRunning = true
    await refresh().catch(() => {})
    isRunning = false
    for (const onLook of followers) onLook()
    timer = followers.size === 0 ? undefined : setTimeout(run, EVERY_MS)
  }

  return {
    id,
    known,
    /** The number of the last look. Numbers of another process mean nothing, so compare `id` first. */
    look: () => look,
    /** The rows by node, at most 2 s old. @throws StoreError if the store could not be read. */
    async current(): Promise<ReadonlyMap<string, Known>> {
      if (performance.now() - lookedAt > EVERY_MS || downSince !== null) await refresh()
      return known
    },
    picture: (): Picture => ({
      now: isoTime(clock.now()),
      polledAt,
      staleAfterMs: settings.staleAfterMs,
      storeDownSince: downSince,
      store: shownStore,
    }),
    /**
     * Follows the fleet until `signal`: `onLook` is called after each look at the store, including failed ones. One
     * loop serves all followers and ends with the last.
     */
    follow(onLook: () => void, signal: AbortSignal): void {
      if (signal.aborted) return
      followers.add(onLook)
      signal.addEventListener(
        'abort',
        () => {
          followers.delete(onLook)
          if (followers.size > 0) return
          clearTimeout(timer)
          timer = undefined
        },
        { once: true },
      )
      // A follower that arrives during a look is served by it: a second loop would never end.
      if (!isRunning) timer ??= setTimeout(run, 0)
    },
    /** What changed after look `since`; undefined if that was too long ago to say. */
    changedSince(since: number) {
      if (since < forgottenThrough || since > look) return undefined
      return {
        rows: [...known.values()].filter((each) => each.look > since),
        removed: [...removed].flatMap(([node, at]) => (at > since ? [node] : [])),
      }
    },
  }
}

/** Undefined if the store cannot be read. */
export function readable<T>(reading: Promise<T>): Promise<T | undefined> {
  return reading.catch((error: unknown) => {
    if (error instanceof StoreError) return undefined
    throw error
  })
}
