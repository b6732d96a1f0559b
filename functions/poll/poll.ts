import pLimit from 'p-limit'
import { PtpWatchError, reasonOf, StoreError } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import { createOutage } from '#shared/outage.ts'
import type { Resource } from '#shared/publishers/dialects/client.ts'
import { type DocumentChange, withoutLacking } from '#shared/publishers/reconcile/journal.ts'
import type { Reconciled, ReconcileOptions, Reconciler } from '#shared/publishers/reconcile/reconciler.ts'
import type { Target } from '#shared/publishers/target.ts'
import { emptyNodeState, type NodeState } from '#shared/state/document.ts'
import type { Ways } from '#shared/state/merge/blind.ts'
import type { MergeSettings, Pull } from '#shared/state/merge/draft.ts'
import { OVERALL_KINDS } from '#shared/state/merge/overall.ts'
import { mergePulls } from '#shared/state/merge/pull.ts'
import type { Store } from '#shared/state/store/store.ts'
import { isoTime, milliseconds } from '#shared/time.ts'
import { namesClocks, type PullDeps, pullAll } from './pulls.ts'

export type Poller = ReturnType<typeof createPoller>

type PollDeps = PullDeps & {
  readonly reconciler: Reconciler
  readonly store: Pick<Store, 'update' | 'remembered'>
  readonly log: Log
  readonly newId: () => string
  readonly settings: MergeSettings
  /** How many publishers are polled at once. */
  readonly concurrency: number
}

type Polled = {
  readonly node: string
  /** One line each; none if all went well. */
  readonly problems: readonly string[]
  /** Old subscriptions of ours that were not deleted because our callback is not proven. */
  readonly withheld?: number
  /** Why the store did not accept the results. */
  readonly outage?: StoreError
}

/** `signal` ends a poll early. */
type PollOptions = { readonly signal: AbortSignal } & Pick<ReconcileOptions, 'proof' | 'quiet'>

/** How often a publisher gets a full poll while rounds are seconds apart. Milliseconds. */
const WHOLE_EVERY_MS = 60_000

/** What is remembered of a publisher between rounds. Our times in milliseconds. */
type Memory = {
  /** The resources that its last full poll found; empty if unknown. */
  resources: readonly Resource[]
  /** What the pulls of that poll returned, by kind. */
  found: ReadonlyMap<string, 'clocks' | 'none' | 'nothing'>
  /** How many polls in a row it did not answer. */
  failures: number
  triedAt: number
  /** When its next full poll is due. */
  wholeAt: number
  /** A light poll saw transitions that a v1 sidecar never pushed: the next full poll tries to unstick it. */
  missed: boolean
}

export function createPoller(deps: PollDeps) {
  const { reconciler, store, clock, log, metrics, newId, settings, concurrency } = deps
  const storeOutage = createOutage(log, {
    failed: 'cannot write to the store: poll results are lost, retrying at the next poll',
    recovered: 'the store accepts poll results again',
  })
  // Weak: with discovery, targets come and go.
  const memories = new WeakMap<Target, Memory>()

  /** Merges the results of a poll and its `closing` change; logs the transitions. */
  const merge = async (
    node: string,
    pulls: readonly Pull[],
    startedAt: number,
    closing: DocumentChange,
    ways?: Ways,
  ) => {
    const named = pulls.filter(namesClocks).map(({ kind }) => kind)
    const { entries, disagreements, clockStepped } = await store.update(node, (current) => {
      const before = current ?? emptyNodeState(node, newId())
      const closed = withoutLacking(closing(before), named)
      const outcome = mergePulls(closed, pulls, settings, { now: clock.now(), poll: { startedAt, ways } })
      const state = outcome.state ?? (closed === before ? undefined : closed)
      return { ...outcome, state, result: { ...outcome.result, entries: outcome.entries ?? [] } }
    })
    for (const entry of entries) {
      const level = entry.type === 'missed' || entry.type === 'stale' ? 'warn' : 'info'
      log[level]('transition', { node, ...entry })
    }
    const missed = entries.filter(({ type }) => type === 'missed').length
    metrics.missed.inc({}, missed)
    if (clockStepped) log.warn('publisher clock went backwards; event ordering reset', { node })
    return { disagreements, isMissed: missed > 0 }
  }

  const pollWhole = async (target: Target, startedAt: number, options: PollOptions): Promise<Polled> => {
    const { node } = target
    const found = await reconciler.reconcile(target, { ...options, handOver: true })
    const { resources, applied, lacking, closing = (state) => state } = found
    if (found.isNobody === true) {
      remember(target, resources, [], startedAt)
      return { node, problems: found.problems }
    }
    const { pulls, ...answers } = await pullAll(deps, target, resources, options.signal, (kind) => {
      if (applied?.held.has(kind)) return 'held'
      return lacking.some((one) => one.kind === kind) ? 'lacking' : undefined
    })
    const { disagreements, isMissed } = await merge(node, pulls, startedAt, closing, waysOf(found))
    if (disagreements.length > 0) {
      metrics.disagreements.inc({}, disagreements.length)
      log.warn('pulls contradict pushes', { node, disagreements })
    }
    // A sidecar that got stuck before its first push contradicts nothing, but its transitions are missed.
    const missed = memories.get(target)?.missed === true || isMissed
    if (disagreements.length > 0 || (found.dialect === 'red-hat-v1' && missed)) {
      await reconciler.unstick(target, options)
    }
    remember(target, resources, pulls, startedAt)
    const problems = [...new Set([...found.problems, ...answers.problems])]
    return { node, problems, withheld: applied?.withheld ?? 0 }
  }

  const remember = (target: Target, offered: Memory['resources'], pulls: readonly Pull[], now: number) => {
    const { resources = [], failures = 0 } = memories.get(target) ?? {}
    const foundBy = (pull: Pull) => (namesClocks(pull) ? 'clocks' : 'nothing')
    memories.set(target, {
      resources: offered.length > 0 ? offered : resources,
      found: new Map(pulls.map((pull) => [pull.kind, pull.none ? 'none' : foundBy(pull)])),
      failures: pulls.length > 0 ? 0 : failures + 1,
      triedAt: now,
      wholeAt: now + WHOLE_EVERY_MS,
      missed: false,
    })
  }

  /** Only pulls the deciding kinds and what is in doubt; problems are left to the next full poll. */
  const pollLight = async (target: Target, startedAt: number, signal: AbortSignal, memory: Memory) => {
    const { node } = target
    const doubtful = store.remembered(node)?.clocks.filter(isInDoubt) ?? []
    const wanted = memory.resources.filter(
      ({ kind }) => OVERALL_KINDS.has(kind) || doubtful.some((clock) => clock.kind === kind),
    )
    memory.triedAt = startedAt
    // If the publisher had no such clock at the last full poll, an empty answer still means that.
    const { pulls, problems } = await pullAll(deps, target, wanted, signal, (kind) =>
      memory.found.get(kind) === 'none' ? 'held' : undefined,
    )
    const { isMissed } = await merge(node, pulls, startedAt, (state) => checked(state, pulls, startedAt))
    if (isMissed) memory.missed = true
    const lost = pulls.some((one) => !namesClocks(one) && memory.found.get(one.kind) === 'clocks')
    if ((pulls.length === 0 && wanted.length > 0) || lost) memory.wholeAt = startedAt
    return { node, problems }
  }

  /** Records that a publisher answered, as rarely as a confirmation is written. */
  const checked = (state: NodeState, pulls: readonly Pull[], now: number): NodeState => {
    const { publisher } = state
    if (pulls.length === 0 || publisher === undefined || !publisher.reachable) return state
    const ageMs = now - milliseconds(publisher.checkedAt)
    if (ageMs > -settings.settleMs && ageMs < settings.staleAfterMs / 3) return state
    return { ...state, publisher: { ...publisher, checkedAt: isoTime(now) } }
  }

  /** One poll of a publisher: a full one, or a light one if given what is remembered. */
  const tryOne = async (target: Target, options: PollOptions, light?: Memory): Promise<Polled> => {
    const { node } = target
    if (options.signal.aborted) return { node, problems: ['not reached: the poll was ended first'] }
    const startedAt = clock.now()
    let polled: Polled
    try {
      polled = await (light
        ? pollLight(target, startedAt, options.signal, light)
        : pollWhole(target, startedAt, options))
      storeOutage.worked(node)
    } catch (error) {
      if (!(error instanceof PtpWatchError)) throw error
      const reason = reasonOf(error)
      const isOutage = error instanceof StoreError
      if (isOutage) storeOutage.failed(node, { reason })
      polled = { node, problems: [reason], ...(isOutage && { outage: error }) }
    }
    const { problems } = polled
    metrics[light ? 'lightPolls' : 'polls'].inc({ outcome: problems.length === 0 ? 'ok' : 'failed' })
    log.debug(light ? 'polled lightly' : 'polled', { node, problems, durationMs: clock.now() - startedAt })
    return polled
  }

  const tryAll = async <Each>(all: readonly Each[], one: (each: Each) => Promise<Polled>) => {
    const polled = await pLimit(concurrency).map(all, one)
    const outage = polled[0]?.outage
    if (outage !== undefined && polled.every((each) => each.outage !== undefined)) throw outage
    return polled
  }

  return {
    /**
     * Polls every target once: reconciles its subscriptions, pulls its resources, and merges the answers. `signal` ends
     * it early; nodes not reached by then keep their state. A failure of one target does not stop the others.
     * @throws StoreError if the store accepted none of it.
     */
    poll: (targets: readonly Target[], { onDone, ...options }: PollOptions & { onDone?: () => void }) =>
      tryAll(targets, (target) => tryOne(target, options).finally(onDone)),

    /**
     * One of many rounds, `everyMs` apart: each target gets a full poll once a minute, and in between only pulls of the
     * deciding kinds and of clocks in doubt. A target that did not answer gets a full poll in the next round, then less
     * and less often, down to once a minute. Such targets go last, so that they only hold up each other.
     * @throws StoreError if the store accepted none of it.
     */
    round(
      targets: readonly Target[],
      { everyMs, random, ...options }: PollOptions & { everyMs: number; random: () => number },
    ) {
      const now = clock.now()
      const due = targets.flatMap((target) => {
        const memory = memories.get(target)
        const { triedAt = 0, failures = 0 } = memory ?? {}
        const isWhole = memory === undefined || isWholeDue(memory, everyMs, now)
        return isWhole || failures === 0 ? [{ target, memory, isWhole, triedAt, failures }] : []
      })
      // Silent publishers go last; otherwise the least recently tried go first.
      due.sort((a, b) => Math.sign(a.failures) - Math.sign(b.failures) || a.triedAt - b.triedAt)
      return tryAll(due, async ({ target, memory, isWhole }) => {
        const one = await tryOne(target, options, isWhole ? undefined : memory)
        // Spreads full polls over the minute: otherwise all publishers would be due in the same round.
        const first = memory === undefined ? memories.get(target) : undefined
        if (first !== undefined) first.wholeAt -= (random() * WHOLE_EVERY_MS) / 2
        return one
      })
    },
  }
}

/** Whether a full poll of a publisher is due in a round that starts now. */
function isWholeDue({ failures, triedAt, wholeAt }: Memory, everyMs: number, now: number): boolean {
  const retryAt = triedAt + Math.min(WHOLE_EVERY_MS, everyMs * 2 ** Math.max(0, failures - 2))
  const leftMs = (failures === 0 ? wholeAt : retryAt) - now
  // Rounds vary a little in time. If more than the interval is left, our clock was set back.
  return leftMs <= everyMs / 2 || leftMs > WHOLE_EVERY_MS
}

/** How the state of a node can reach us, as the reconciler found; undefined if it could not check. */
function waysOf({ reachable, applied }: Reconciled): Ways | undefined {
  if (reachable === false) return 'unreachable'
  if (reachable === undefined || applied === undefined) return undefined
  return applied.held.size > 0 ? 'open' : 'cut'
}

/** Whether the next pull has to settle the state of a clock (design.md §3). */
function isInDoubt({ retired, suspect, contested, undated }: NodeState['clocks'][number]): boolean {
  return !retired && (suspect !== undefined || contested || undated !== undefined)
}
