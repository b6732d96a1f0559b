import { PublisherError } from '#shared/errors.ts'
import { type Normalised, normalise } from '#shared/events/normalise.ts'
import type { CallOptions, Client, CurrentState, Resource } from '#shared/publishers/dialects/client.ts'
import { nodesNamed } from '#shared/publishers/dialects/addresses.ts'
import type { Pull } from '#shared/state/merge/draft.ts'
import { answerIn } from '../advice.ts'

/** What one question for a CurrentState brought. */
export type Pulled = { readonly resource: Resource } & (
  | {
      readonly outcome: 'answered'
      readonly answer: Extract<CurrentState, { outcome: 'answered' }>
      /** Undefined where the body is no JSON. */
      readonly read: Normalised | undefined
    }
  | { readonly outcome: 'none'; readonly answer: Extract<CurrentState, { outcome: 'none' }> }
  | { readonly outcome: 'failed'; readonly error: PublisherError }
)

/** Pulls every resource. Nothing is written. */
export function pullAll(
  client: Client,
  resources: readonly Resource[],
  call: CallOptions,
): Promise<Pulled[]> {
  return Promise.all(resources.map((resource) => pullOne(client, resource, call)))
}

export async function pullOne(client: Client, resource: Resource, call: CallOptions): Promise<Pulled> {
  try {
    const answer = await client.currentState(resource.address, call)
    if (answer.outcome === 'none') return { resource, outcome: 'none', answer }
    const read = readBody(answer.body, { node: client.node, receivedAt: answer.receivedAt })
    return { resource, outcome: 'answered', answer, read }
  } catch (error) {
    if (!(error instanceof PublisherError)) throw error
    return { resource, outcome: 'failed', error }
  }
}

/** As the merge rules take it; undefined for what holds no reading of its kind. */
export function toPull(client: Client, pulled: Pulled): Pull | undefined {
  if (pulled.outcome !== 'answered' || pulled.read === undefined) return undefined
  const { kind } = pulled.resource
  const observations = pulled.read.observations.filter((reading) => reading.kind === kind)
  if (observations.length === 0) return undefined
  const { sentAt, receivedAt } = pulled.answer
  const named = pulled.read.named.filter((clock) => clock.kind === kind)
  const { queryTime } = client
  return { kind, via: 'poll', observations, named, sentAt, receivedAt, queryTime, none: false }
}

/** The node that a publisher speaks of in an answer, where it is another than the configured one. */
export function otherNodeIn(client: Client, pulls: readonly Pulled[]): string | undefined {
  for (const pulled of pulls) {
    if (pulled.outcome !== 'answered') continue
    const names = nodesNamed(pulled.answer.body)
    if (names.length > 0 && !names.includes(client.node)) return names[0]
  }
  return undefined
}

/** For people: what an answer says of the clocks, or why there is none. */
export function saidBy(pulled: Pulled): string {
  if (pulled.outcome === 'failed') return answerIn(pulled.error)
  if (pulled.outcome === 'none') return pulled.answer.reason
  if (pulled.read === undefined) return `no JSON: ${pulled.answer.body.slice(0, 60)}`
  const { observations, placeholders, named, problems } = pulled.read
  const readings = observations.map(({ instance, state, metrics }) => {
    const numbers = Object.entries(metrics).map(([name, value]) => `${name} ${value}`)
    return `${instance} ${[...(state === undefined ? [] : [state]), ...numbers].join(', ')}`
  })
  if (readings.length > 0) return readings.join('; ')
  const [placeholder] = placeholders
  if (placeholder !== undefined) return `a placeholder (${placeholder.means}), which is no state`
  if (named.length > 0) return 'numbers without a word of state'
  return problems[0]?.message ?? 'an answer that names no clock'
}

function readBody(body: string, about: { node: string; receivedAt: string }): Normalised | undefined {
  try {
    return normalise(JSON.parse(body), { ...about, via: 'poll' })
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
