import pLimit from 'p-limit'
import { PtpWatchError, PublisherError, reasonOf, StoreError } from '#shared/errors.ts'
import { type Normalised, normalise } from '#shared/events/normalise.ts'
import type { Log } from '#shared/log.ts'
import type { Client, CurrentState, Resource } from '#shared/publishers/client.ts'
import type { Keeper, Kept } from '#shared/publishers/keeper.ts'
import { withoutLacking } from '#shared/publishers/record.ts'
import type { Registry } from '#shared/publishers/registry.ts'
import type { Target } from '#shared/publishers/target.ts'
import { mergePulls, type Pull } from '#shared/state/merge-pull.ts'
import { emptyNodeState, type NewEntry } from '#shared/state/node-state.ts'
import type { MergeSettings } from '#shared/state/settings.ts'
import type { Store } from '#shared/state/store.ts'
import type { Clock } from '#shared/time.ts'
import type { PollMetrics } from './metrics.ts'

export type PollDeps = {
  readonly registry: Registry
  readonly keeper: Keeper
  readonly store: Pick<Store, 'update'>
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
}

export type Poller = {
  /**
   * Polls every target once: its subscriptions are kept, its resources pulled, what they say merged. `signal` ends
   * it early; nodes not reached then keep what is known of them. All are tried, whatever happens to one.
   * @throws StoreError when the store took none of it.
   */
  poll(
    targets: readonly Target[],
    options: { signal: AbortSignal; onDone?: (one: Polled) => void },
  ): Promise<Polled[]>
}

export function createPoller(deps: PollDeps): Poller {
  const { registry, keeper, store, clock, log, metrics, newId, settings, concurrency } = deps

  const pull = async (
    client: Client,
    resource: Resource,
    kept: Kept,
    signal: AbortSignal,
  ): Promise<Pull | string> => {
    const { kind } = resource
    const sentAt = clock.now()
    try {
      const answer = await client.currentState(resource.address, { signal })
      metrics.pulls.inc({ outcome: answer.outcome })
      const isLacking = kept.lacking.some((one) => one.kind === kind)
      return readAnswer(answer, { client, kind, held: kept.applied?.held.has(kind) ?? false, isLacking })
    } catch (error) {
      if (!(error instanceof PublisherError)) throw error
      metrics.pulls.inc({ outcome: 'failed' })
      return reasonOf(error)
    } finally {
      metrics.pullSeconds.observe({}, Math.max(0, clock.now() - sentAt) / 1000)
    }
  }

  const pollOne = async (target: Target, signal: AbortSignal): Promise<Polled> => {
    const startedAt = clock.now()
    const { node } = target
    const kept = await keeper.keep(target, { signal, handOver: true })
    const answers =
      kept.resources.length === 0
        ? []
        : await registry.client(target, { signal }).then(
            (client) => Promise.all(kept.resources.map((resource) => pull(client, resource, kept, signal))),
            // What the keeper found is still to be written.
            (error: unknown) => {
              if (!(error instanceof PublisherError)) throw error
              return [reasonOf(error)]
            },
          )
    const pulls = answers.filter((answer) => typeof answer !== 'string')
    const problems = [
      ...new Set([...kept.problems, ...answers.filter((answer) => typeof answer === 'string')]),
    ]
    const change = (current: Parameters<Parameters<typeof store.update>[1]>[0]) => {
      const before = current ?? emptyNodeState(node, newId())
      const named = pulls.flatMap((one) => (one.observations.length + one.named.length > 0 ? [one.kind] : []))
      const closed = withoutLacking(kept.closing?.(before) ?? before, named)
      const outcome = mergePulls(closed, pulls, settings, { now: clock.now(), poll: { startedAt } })
      const state = outcome.state ?? (closed === before ? undefined : closed)
      return { ...outcome, state, result: { ...outcome.result, entries: outcome.entries ?? [] } }
    }
    const { entries, disagreements, clockStepped } = await store.update(node, change, { fresh: true })
    announce(node, entries)
    if (clockStepped)
      log.warn('The clock of the publisher was set back: the order of its pushes starts anew', { node })
    if (disagreements.length > 0) {
      metrics.disagreements.inc({}, disagreements.length)
      log.warn('Pulls contradict what was pushed', { node, disagreements })
    }
    // A sidecar that is stuck before its first push contradicts nothing, but what it holds back is missed.
    const silent = kept.dialect === 'red-hat-v1' && entries.some(({ type }) => type === 'missed')
    if (disagreements.length > 0 || silent) {
      const cured = await keeper.cure(target, { signal })
      log.info('Cure of a silent publisher tried', { node, outcome: cured.outcome, problems: cured.problems })
    }
    metrics.polls.inc({ outcome: problems.length === 0 ? 'ok' : 'failed' })
    log.debug('polled', { node, problems, durationMs: clock.now() - startedAt })
    return { node, problems }
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

  const tryOne = async (target: Target, signal: AbortSignal): Promise<Tried> => {
    const { node } = target
    if (signal.aborted) return { node, problems: ['not reached: the poll was ended first'] }
    try {
      return await pollOne(target, signal)
    } catch (error) {
      if (!(error instanceof PtpWatchError)) throw error
      metrics.polls.inc({ outcome: 'failed' })
      return { node, problems: [reasonOf(error)], ...(error instanceof StoreError && { outage: error }) }
    }
  }

  return {
    async poll(targets, { signal, onDone }) {
      const tried = await pLimit(concurrency).map(targets, async (target) => {
        const one = await tryOne(target, signal)
        onDone?.(one)
        return one
      })
      const outage = tried.find((one) => one.outage !== undefined)?.outage
      if (outage !== undefined && tried.every((one) => one.outage !== undefined)) throw outage
      return tried
    },
  }
}

type Tried = Polled & { readonly outage?: StoreError }

/** An answer as the merge takes it, or why it says nothing. */
function readAnswer(
  answer: CurrentState,
  { client, kind, held, isLacking }: { client: Client; kind: string; held: boolean; isLacking: boolean },
): Pull | string {
  const { sentAt, receivedAt } = answer
  const base = { kind, via: 'poll', sentAt, receivedAt, queryTime: client.queryTime } as const
  if (answer.outcome === 'none') {
    // Only where our subscription is known to be there does "nothing" speak of the clocks (protocol.md §3.4).
    const none = held && (answer.cause === 'no-data' || (answer.cause === 'unknown' && client.listProves))
    return { ...base, observations: [], named: [], none }
  }
  const found = read(answer.body, { node: client.node, receivedAt, via: 'poll' })
  if (found === undefined) return `${kind}: the answer to the pull is not JSON`
  const [problem] = found.problems
  if (problem !== undefined) return `${kind}: ${problem.message}`
  const observations = found.observations.filter((reading) => reading.kind === kind)
  const named = found.named.filter((clock) => clock.kind === kind)
  // So does nothing of a kind that was refused while others were taken.
  const speaks = held || isLacking
  const none = speaks && observations.length + named.length === 0 && found.placeholders.every(isNotFound)
  return { ...base, observations, named, none }
}

function isNotFound({ means }: Normalised['placeholders'][number]): boolean {
  return means === 'event-not-found'
}

function read(body: string, context: Parameters<typeof normalise>[1]): Normalised | undefined {
  try {
    return normalise(JSON.parse(body), context)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
