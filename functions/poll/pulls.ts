import { PublisherError, reasonOf } from '#shared/errors.ts'
import type { Normalised } from '#shared/events/normalise.ts'
import type { Observation } from '#shared/events/observation.ts'
import type { Client, CurrentState, Resource } from '#shared/publishers/dialects/client.ts'
import type { Registry } from '#shared/publishers/dialects/registry.ts'
import type { Target } from '#shared/publishers/target.ts'
import type { Pull } from '#shared/state/merge/draft.ts'
import { type Clock, nanoseconds } from '#shared/time.ts'
import type { PollMetrics } from './metrics.ts'

/** What is known of our subscription of a kind: it is there, or was refused since the host lacks such clocks. */
export type Standing = { readonly held: boolean; readonly isLacking: boolean }

export function namesClocks({ observations, named }: Pull): boolean {
  return observations.length + named.length > 0
}

export type Pulled = {
  readonly pulls: readonly Pull[]
  /** Why others brought nothing; one line each. */
  readonly problems: readonly string[]
}

/** Pulls these resources of a publisher. Its failure to answer at all is one problem of all of them. */
export type PullAll = (
  target: Target,
  resources: readonly Resource[],
  standing: (kind: string) => Standing,
  signal: AbortSignal,
) => Promise<Pulled>

export function createPulls({
  registry,
  clock,
  metrics,
}: {
  registry: Registry
  clock: Clock
  metrics: PollMetrics
}): PullAll {
  const pull = async (
    client: Client,
    resource: Resource,
    known: Standing,
    signal: AbortSignal,
  ): Promise<Pull | string> => {
    const { kind } = resource
    const sentAt = clock.now()
    try {
      const answer = await client.currentState(resource.address, { signal })
      metrics.pulls.inc({ outcome: answer.outcome })
      return readAnswer(answer, { client, kind, ...known })
    } catch (error) {
      if (!(error instanceof PublisherError)) throw error
      metrics.pulls.inc({ outcome: 'failed' })
      return reasonOf(error)
    } finally {
      metrics.pullSeconds.observe({}, Math.max(0, clock.now() - sentAt) / 1000)
    }
  }

  return async (
    target: Target,
    resources: readonly Resource[],
    standing: (kind: string) => Standing,
    signal: AbortSignal,
  ): Promise<Pulled> => {
    if (resources.length === 0) return { pulls: [], problems: [] }
    const answers = await registry.client(target, { signal }).then(
      (client) =>
        Promise.all(resources.map((resource) => pull(client, resource, standing(resource.kind), signal))),
      (error: unknown): (Pull | string)[] => {
        if (!(error instanceof PublisherError)) throw error
        return [reasonOf(error)]
      },
    )
    return {
      pulls: answers.filter((answer) => typeof answer !== 'string'),
      problems: [...new Set(answers.filter((answer) => typeof answer === 'string'))],
    }
  }
}

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
  const found = answer.readings
  if (found === undefined) return `${kind}: the answer to the pull is not JSON`
  const [problem] = found.problems
  if (problem !== undefined) return `${kind}: ${problem.message}`
  const observations = found.observations.filter((reading) => reading.kind === kind)
  const named = found.named.filter((clock) => clock.kind === kind)
  // So does nothing of a kind that was refused while others were taken.
  const speaks = held || isLacking
  const none = speaks && observations.length + named.length === 0 && found.placeholders.every(isNotFound)
  const queryTime = client.queryTime && observations.every((reading) => isQueryTime(reading, answer.date))
  return { ...base, queryTime, observations, named, none }
}

/** A publisher answers a question within seconds: an older time is that of the last change. Milliseconds. */
const LONGEST_ANSWER = 10_000

/** Whether a pull's time is that of the question; both it and the answer's `Date` are by the publisher's clock. */
function isQueryTime({ at, timeFrom }: Observation, date: string | undefined): boolean {
  if (timeFrom !== undefined) return false
  const answered = date === undefined ? Number.NaN : Date.parse(date)
  return Number.isNaN(answered) || answered - Number(nanoseconds(at) / 1_000_000n) < LONGEST_ANSWER
}

function isNotFound({ means }: Normalised['placeholders'][number]): boolean {
  return means === 'event-not-found'
}
