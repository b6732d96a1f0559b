import pLimit from 'p-limit'
import { PtpWatchError, reasonOf, StoreError } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import type { Resource } from '#shared/publishers/dialects/client.ts'
import type { KeepOptions, Keeper, Kept } from '#shared/publishers/reconcile/reconciler.ts'
import { withoutLacking } from '#shared/publishers/reconcile/journal.ts'
import type { Registry } from '#shared/publishers/dialects/registry.ts'
import type { Target } from '#shared/publishers/target.ts'
import type { Ways } from '#shared/state/merge/blind.ts'
import { mergePulls } from '#shared/state/merge/pull.ts'
import type { Pull, MergeSettings } from '#shared/state/merge/draft.ts'
import { emptyNodeState, type NewEntry, type NodeState } from '#shared/state/document.ts'
import { createOutage } from '#shared/outage.ts'
import { OVERALL_KINDS } from '#shared/state/merge/overall.ts'
import type { Store } from '#shared/state/store/store.ts'
import { type Clock, isoTime, milliseconds } from '#shared/time.ts'
import type { PollMetrics } from './metrics.ts'
import { createPulls, namesClocks } from './pulls.ts'

export type PollDeps = {
  readonly registry: Registry
  readonly keeper: Keeper
  readonly store: Pick<Store, 'update' | 'remembered'>
  readonly clock: Clock
  readonly log: Log
  readonly metrics: PollMetrics
  readonly newId: () => string
  readonly settings: MergeSettings
  /** Publishers at once. */
  readonly concurrency: number
}

export type Polled = {
  readonly node: string
  /** One line each; none if all went well. */
  readonly problems: readonly string[]
  /** Old subscriptions of ours that were not deleted for want of a proof of our callback. */
  readonly withheld?: number
}

/** How publishers are asked; see KeepOptions. */
type Asking = Pick<KeepOptions, 'proof' | 'quiet'>

export type Poller = {
  /**
   * Polls every target once: its subscriptions are kept, its resources pulled, what they say merged. `signal` ends
   * it early; nodes not reached then keep what is known of them. All are tried, whatever happens to one.
   * @throws StoreError when the store took none of it.
   */
  poll(
    targets: readonly Target[],
    options: {
      signal: AbortSignal
      onDone?: (one: Polled) => void
    } & Asking,
  ): Promise<Polled[]>
  /**
   * One of many rounds, `everyMs` apart: a target is polled as above once a minute, and in between only asked for what
   * decides `overall`, or is in doubt. One that did not answer is polled as a whole at the next round, then ever more
   * seldom, down to once a minute. Those go last, so that they hold up nobody but each other.
   * @throws StoreError when the store took none of it.
   */
  round(
    targets: readonly Target[],
    options: { signal: AbortSignal; everyMs: number; random: () => number } & Asking,
  ): Promise<Polled[]>
}

/** How often a publisher is polled as a whole where rounds are seconds apart. */
const WHOLE_EVERY_MS = 60_000

/** What rounds remember of a publisher. Our times in milliseconds. */
type Memory = {
  /** What its last poll as a whole found it to offer; empty where it could not be learnt. */
  resources: readonly Resource[]
  /** What the pulls of that poll came to, by kind. */
  found: ReadonlyMap<string, 'clocks' | 'none' | 'nothing'>
  /** How many polls in a row it did not answer. */
  failures: number
  triedAt: number
  /** When it is to be polled as a whole. */
  wholeAt: number
  /** A light poll saw transitions that a v1 sidecar never pushed: the next poll as a whole tries to cure it. */
  missed: boolean
}

export function createPoller(deps: PollDeps): Poller {
  const { registry, keeper, store, clock, log, metrics, newId, settings, concurrency } = deps

  const storeOutage = createOutage(log, {
    failed: 'the store cannot be written: what was polled is lost, and is retried at the next poll',
    recovered: 'the store takes what is polled again',
  })
  // Weak: with discovery targets come and go.
  const memories = new WeakMap<Target, Memory>()

  const pullAll = createPulls({ registry, clock, metrics })

  /** Merges what a poll brought, with what else it makes of the document. */
  const merge = async (
    node: string,
    pulls: readonly Pull[],
    startedAt: number,
    closing: (state: NodeState) => NodeState,
    ways?: Ways,
  ) => {
    const merged = await store.update(node, (current) => {
      const before = current ?? emptyNodeState(node, newId())
      const named = pulls.flatMap((one) => (namesClocks(one) ? [one.kind] : []))
      const closed = withoutLacking(closing(before), named)
      const outcome = mergePulls(closed, pulls, settings, { now: clock.now(), poll: { startedAt, ways } })
      const state = outcome.state ?? (closed === before ? undefined : closed)
      return { ...outcome, state, result: { ...outcome.result, entries: outcome.entries ?? [] } }
    })
    announce(node, merged.entries)
    if (merged.clockStepped) log.warn('publisher clock went backwards; event ordering reset', { node })
    return merged
  }

  const pollWhole = async (target: Target, signal: AbortSignal, asking: Asking): Promise<Polled> => {
    const startedAt = clock.now()
    const { node } = target
    const kept = await keeper.keep(target, { signal, handOver: true, ...asking })
    if (kept.isNobody === true) {
      remember(target, [], [], startedAt)
      metrics.polls.inc({ outcome: 'failed' })
      return { node, problems: kept.problems }
    }
    const standing = (kind: string) => ({
      held: kept.applied?.held.has(kind) ?? false,
      isLacking: kept.lacking.some((one) => one.kind === kind),
    })
    const answers = await pullAll(target, kept.resources, standing, signal)
    const { pulls } = answers
    const problems = [...new Set([...kept.problems, ...answers.problems])]
    const closing = kept.closing ?? ((state: NodeState) => state)
    const { entries, disagreements } = await merge(node, pulls, startedAt, closing, waysOf(kept))
    if (disagreements.length > 0) {
      metrics.disagreements.inc({}, disagreements.length)
      log.warn('Pulls contradict what was pushed', { node, disagreements })
    }
    // A sidecar that is stuck before its first push contradicts nothing, but what it holds back is missed.
    const missed = memories.get(target)?.missed === true || entries.some(isMissed)
    if (disagreements.length > 0 || (kept.dialect === 'red-hat-v1' && missed)) {
      const cured = await keeper.cure(target, { signal, ...asking })
      log.info('Cure of a silent publisher tried', { node, outcome: cured.outcome, problems: cured.problems })
    }
    remember(target, kept.resources, pulls, startedAt)
    metrics.polls.inc({ outcome: problems.length === 0 ? 'ok' : 'failed' })
    log.debug('polled', { node, problems, durationMs: clock.now() - startedAt })
    return { node, problems, withheld: kept.applied?.withheld ?? 0 }
  }

  const remember = (
    target: Target,
    resources: readonly Resource[],
    pulls: readonly Pull[],
    startedAt: number,
  ) => {
    const before = memories.get(target)
    memories.set(target, {
      resources: resources.length > 0 ? resources : (before?.resources ?? []),
      found: new Map(
        pulls.map((one) => [one.kind, one.none ? 'none' : namesClocks(one) ? 'clocks' : 'nothing']),
      ),
      failures: pulls.length > 0 ? 0 : (before?.failures ?? 0) + 1,
      triedAt: startedAt,
      wholeAt: startedAt + WHOLE_EVERY_MS,
      missed: false,
    })
  }

  /** Only pulls, of what decides and what is in doubt; whatever is amiss is left to a poll as a whole. */
  const pollLight = async (target: Target, memory: Memory, signal: AbortSignal): Promise<Polled> => {
    const startedAt = clock.now()
    const { node } = target
    const doubtful = new Set(
      store
        .remembered(node)
        ?.clocks.filter(isInDoubt)
        .map(({ kind }) => kind),
    )
    const wanted = memory.resources.filter(({ kind }) => OVERALL_KINDS.has(kind) || doubtful.has(kind))
    memory.triedAt = startedAt
    // Where the subscription was there and the publisher had no such clock, it still has none.
    const standing = (kind: string) => ({ held: memory.found.get(kind) === 'none', isLacking: false })
    const { pulls, problems } = await pullAll(target, wanted, standing, signal)
    const { entries } = await merge(node, pulls, startedAt, (state) => checked(state, pulls, startedAt))
    if (entries.some(isMissed)) memory.missed = true
    const lost = pulls.some((one) => !namesClocks(one) && memory.found.get(one.kind) === 'clocks')
    if ((pulls.length === 0 && wanted.length > 0) || lost) memory.wholeAt = startedAt
    metrics.lightPolls.inc({ outcome: problems.length === 0 ? 'ok' : 'failed' })
    log.debug('polled lightly', { node, problems, durationMs: clock.now() - startedAt })
    return { node, problems }
  }

  /** That a publisher answered is written as seldom as a confirmation is. */
  const checked = (state: NodeState, pulls: readonly Pull[], now: number): NodeState => {
    const { publisher } = state
    if (pulls.length === 0 || publisher === undefined || !publisher.reachable) return state
    const ageMs = now - milliseconds(publisher.checkedAt)
    if (ageMs > -settings.settleMs && ageMs < settings.staleAfterMs / 3) return state
    return { ...state, publisher: { ...publisher, checkedAt: isoTime(now) } }
  }

  const announce = (node: string, entries: readonly NewEntry[]) => {
    for (const entry of entries) {
      log[entry.type === 'missed' || entry.type === 'stale' ? 'warn' : 'info']('transition', {
        node,
        ...entry,
      })
      if (entry.type === 'missed') metrics.missed.inc({})
    }
  }

  const tryOne = async (
    target: Target,
    signal: AbortSignal,
    asking: Asking,
    light?: Memory,
  ): Promise<Tried> => {
    const { node } = target
    if (signal.aborted) return { node, problems: ['not reached: the poll was ended first'] }
    try {
      const polled = await (light === undefined
        ? pollWhole(target, signal, asking)
        : pollLight(target, light, signal))
      storeOutage.worked(node)
      return polled
    } catch (error) {
      if (!(error instanceof PtpWatchError)) throw error
      if (error instanceof StoreError) storeOutage.failed(node, { reason: reasonOf(error) })
      metrics[light === undefined ? 'polls' : 'lightPolls'].inc({ outcome: 'failed' })
      return { node, problems: [reasonOf(error)], ...(error instanceof StoreError && { outage: error }) }
    }
  }

  const tryAll = async (
    targets: readonly Target[],
    one: (target: Target) => Promise<Tried>,
  ): Promise<Polled[]> => {
    const tried = await pLimit(concurrency).map(targets, one)
    const outage = tried.find((each) => each.outage !== undefined)?.outage
    if (outage !== undefined && tried.every((each) => each.outage !== undefined)) throw outage
    return tried
  }

  /** When a poll is due that looks at all of a publisher. */
  const wholeAt = ({ failures, triedAt, wholeAt }: Memory, everyMs: number): number =>
    failures === 0 ? wholeAt : triedAt + Math.min(WHOLE_EVERY_MS, everyMs * 2 ** Math.max(0, failures - 2))

  return {
    poll: (targets, { signal, onDone, ...asking }) =>
      tryAll(targets, async (target) => {
        const one = await tryOne(target, signal, asking)
        onDone?.(one)
        return one
      }),

    round(targets, { signal, everyMs, random, ...asking }) {
      const now = clock.now()
      const due = targets.flatMap((target) => {
        const memory = memories.get(target)
        // A round begins a little sooner or later than it is due; what is later than it can be, our clock was set back.
        const leftMs = memory === undefined ? 0 : wholeAt(memory, everyMs) - now
        const isWhole = memory === undefined || leftMs <= everyMs / 2 || leftMs > WHOLE_EVERY_MS
        if (!isWhole && memory.failures > 0) return []
        return [
          { target, memory, isWhole, order: memory?.triedAt ?? 0, isSilent: (memory?.failures ?? 0) > 0 },
        ]
      })
      due.sort((a, b) => Number(a.isSilent) - Number(b.isSilent) || a.order - b.order)
      const light = new Map(due.map(({ target, memory, isWhole }) => [target, isWhole ? undefined : memory]))
      return tryAll([...light.keys()], async (target) => {
        const known = memories.has(target)
        const one = await tryOne(target, signal, asking, light.get(target))
        // So that those that were polled together for the first time are not so each time.
        const memory = memories.get(target)
        if (!known && memory !== undefined) memory.wholeAt -= (random() * WHOLE_EVERY_MS) / 2
        return one
      })
    },
  }
}

/** What a run of the reconciler knows of the ways by which a node reaches us; undefined where it could not look. */
function waysOf({ reachable, applied }: Kept): Ways | undefined {
  if (reachable === false) return 'unreachable'
  if (reachable === undefined || applied === undefined) return undefined
  return applied.held.size > 0 ? 'open' : 'cut'
}

function isMissed({ type }: NewEntry): boolean {
  return type === 'missed'
}

/** What it says is to be settled by the next pull (design.md §3). */
function isInDoubt({ retired, suspect, contested, undated }: NodeState['clocks'][number]): boolean {
  return !retired && (suspect !== undefined || contested || undated !== undefined)
}

type Tried = Polled & { readonly outage?: StoreError }
