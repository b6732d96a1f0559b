import { PublisherError, reasonOf, tried } from '#shared/errors.ts'
import type { Observation } from '#shared/events/observation.ts'
import type { Client, CurrentState, Resource } from '#shared/publishers/dialects/client.ts'
import type { Registry } from '#shared/publishers/dialects/registry.ts'
import type { Target } from '#shared/publishers/target.ts'
import type { Pull } from '#shared/state/merge/draft.ts'
import { type Clock, nanoseconds } from '#shared/time.ts'
import type { PollMetrics } from './metrics.ts'

export type PullDeps = {
  readonly registry: Registry
  readonly clock: Clock
  readonly metrics: PollMetrics
}

/** What is known of our subscription to a kind. `lacking`: rejected because the host has no such clocks. */
type Subscription = 'held' | 'lacking' | undefined

/**
 * Pulls these resources of a publisher. `problems`: why others returned nothing, one line each; a publisher that does
 * not answer at all is one problem.
 */
export async function pullAll(
  { registry, clock, metrics }: PullDeps,
  target: Target,
  resources: readonly Resource[],
  signal: AbortSignal,
  subscriptionOf: (kind: string) => Subscription,
) {
  const client = resources.length === 0 ? undefined : await tried(registry.client(target, { signal }))
  if (client === undefined) return { pulls: [], problems: [] }
  if (client instanceof PublisherError) return { pulls: [], problems: [reasonOf(client)] }
  const asked = resources.map(async ({ kind, address }) => {
    const sentAt = clock.now()
    const answer = await tried(client.currentState(address, { signal }))
    metrics.pullSeconds.observe({}, Math.max(0, clock.now() - sentAt) / 1000)
    const isFailed = answer instanceof PublisherError
    metrics.pulls.inc({ outcome: isFailed ? 'failed' : answer.outcome })
    return isFailed ? reasonOf(answer) : readAnswer(answer, client, kind, subscriptionOf(kind))
  })
  const answers = await Promise.all(asked)
  return {
    pulls: answers.filter((answer) => typeof answer !== 'string'),
    problems: [...new Set(answers.filter((answer) => typeof answer === 'string'))],
  }
}

export function namesClocks({ observations, named }: Pull): boolean {
  return observations.length + named.length > 0
}

/** Converts an answer for the merge, or says why it is unusable. */
function readAnswer(
  answer: CurrentState,
  { listProves, queryTime }: Client,
  kind: string,
  subscription: Subscription,
): Pull | string {
  const { sentAt, receivedAt } = answer
  const base = { kind, via: 'poll', sentAt, receivedAt, queryTime } as const
  if (answer.outcome === 'none') {
    // "Nothing" says something about clocks only while our subscription is known to exist (protocol.md §3.4).
    const isAbsent = answer.cause === 'no-data' || (answer.cause === 'unknown' && listProves)
    return { ...base, observations: [], named: [], none: subscription === 'held' && isAbsent }
  }
  const found = answer.readings
  if (found === undefined) return `${kind}: the answer to the pull is not JSON`
  const [problem] = found.problems
  if (problem !== undefined) return `${kind}: ${problem.message}`
  const observations = found.observations.filter((reading) => reading.kind === kind)
  const named = found.named.filter((clock) => clock.kind === kind)
  const isNothing =
    observations.length + named.length === 0 &&
    found.placeholders.every(({ means }) => means === 'event-not-found')
  return {
    ...base,
    queryTime: queryTime && observations.every((reading) => isQueryTime(reading, answer.date)),
    observations,
    named,
    none: subscription !== undefined && isNothing,
  }
}

/** A publisher answers a query within seconds: an older time is that of the last change. Milliseconds. */
const LONGEST_ANSWER = 10_000

/** Whether a pull's time is that of the query; both it and the answer's `Date` are by the publisher's clock. */
function isQueryTime({ at, timeFrom }: Observation, date: string | undefined): boolean {
  if (timeFrom !== undefined) return false
  const answered = date === undefined ? Number.NaN : Date.parse(date)
  return Number.isNaN(answered) || answered - Number(nanoseconds(at) / 1_000_000n) < LONGEST_ANSWER
}
