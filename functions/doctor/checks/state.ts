import { PublisherError, reasonOf, tried } from '#shared/errors.ts'
import { nodesNamed } from '#shared/publishers/dialects/addresses.ts'
import type { Resource } from '#shared/publishers/dialects/client.ts'
import { type Listed, type Pulled, type Reached, Stop } from '../exam.ts'
import type { Verdict } from '../report.ts'
import { FIX, fixFor } from '../words.ts'

/** Pulls resources; writes nothing. */
export function pullAll({ client, call }: Reached, resources: readonly Resource[]): Promise<Pulled[]> {
  return Promise.all(
    resources.map(async (resource): Promise<Pulled> => {
      const answer = await tried(client.currentState(resource.address, call))
      if (answer instanceof PublisherError) return { resource, answer: { outcome: 'failed', error: answer } }
      return { resource, answer }
    }),
  )
}

/** The node that the answers name, if it is not the configured one. */
export function otherNodeIn({ client }: Reached, pulls: readonly Pulled[]): string | undefined {
  return pulls
    .map(({ answer }) => (answer.outcome === 'answered' ? nodesNamed(answer.body) : []))
    .find((names) => names.length > 0 && !names.includes(client.node))?.[0]
}

/** Whether CurrentState names the configured node; without a list of addresses only that shows it. @throws Stop if not. */
export function checkNodeName(reached: Reached, pulls: readonly Pulled[]): Verdict {
  const { dialect, node } = reached.client
  const other = otherNodeIn(reached, pulls)
  if (other !== undefined)
    throw new Stop('addresses', `CurrentState names node ${other}`, FIX.addresses.otherState(other))
  const lists = `${dialect} has no list of addresses`
  return pulls.some(({ answer }) => answer.outcome === 'answered')
    ? ['ok', `CurrentState names ${node}; ${lists}`]
    : ['skipped', `${lists}, and no CurrentState names the node`]
}

/** The kinds that a node may well have no clock of. */
const OPTIONAL: ReadonlySet<string> = new Set(['gnss-sync-status', 'synce-lock-state', 'synce-clock-quality'])

/** What the publisher says of each resource. Any state passes: the check is whether it answers, not whether it is LOCKED. */
export function checkStates(listed: Listed, pulls: readonly Pulled[]): Verdict[] {
  const deciding: readonly string[] = listed.deps.settings.overallKinds
  const isKnown = pulls.some((pulled) => deciding.includes(pulled.resource.kind) && isTold(pulled))
  return pulls.map((pulled) => {
    if (isTold(pulled)) return ['ok', `${pulled.resource.kind}: ${told(pulled)}`]
    return untold(listed, pulled, { isKnown, decides: deciding.includes(pulled.resource.kind) })
  })
}

/** `isKnown`: a clock that decides is known. `decides`: this is one of those. */
function untold(
  { client, held, place }: Listed,
  pulled: Pulled,
  { isKnown, decides }: { isKnown: boolean; decides: boolean },
): Verdict {
  const { resource, answer } = pulled
  const isStarlingX = client.dialect === 'starlingx-v2'
  const result = `${resource.kind}: ${told(pulled)}`
  if (answer.outcome === 'failed') {
    const isBehind = client.dialect === 'red-hat-v1' && answer.error.status === 400
    return ['failed', result, isBehind ? FIX.state.noPublisher : fixFor(answer.error, place)]
  }
  if (answer.outcome === 'none' && answer.cause === 'unregistered')
    return ['failed', result, FIX.state.unregistered]
  if (isStarlingX && answer.outcome === 'none')
    return [isKnown ? 'warning' : 'failed', result, FIX.state.starting(client.node)]
  // It never answers without a subscription (protocol.md §2.5, §3.4).
  if (!isStarlingX && !held.some(({ address }) => address === resource.address))
    return ['skipped', `${result}: nobody is subscribed to it`]
  if (OPTIONAL.has(resource.kind))
    return ['skipped', `${result}: the node has no such clock, or its state is not known yet`]
  if (isKnown || !decides) return ['warning', result, FIX.state.noClock]
  return ['failed', result, FIX.state.noPtp(place.shown)]
}

function isTold({ resource, answer }: Pulled): boolean {
  if (answer.outcome !== 'answered') return false
  return answer.readings?.observations.some(({ kind }) => kind === resource.kind) === true
}

/** What an answer says of the clocks, or why there is none. */
function told({ answer }: Pulled): string {
  if (answer.outcome === 'failed') return reasonOf(answer.error)
  if (answer.outcome === 'none') return answer.reason
  if (answer.readings === undefined) return `invalid JSON: ${answer.body.slice(0, 60)}`
  const { observations, placeholders, named, problems } = answer.readings
  const readings = observations.map(({ instance, state, metrics }) => {
    const numbers = Object.entries(metrics).map(([name, value]) => `${name} ${value}`)
    return `${instance} ${[...(state === undefined ? [] : [state]), ...numbers].join(', ')}`
  })
  if (readings.length > 0) return readings.join('; ')
  const [placeholder] = placeholders
  if (placeholder !== undefined) return `a placeholder (${placeholder.means}), no state`
  if (named.length > 0) return 'numbers without a state'
  return problems[0]?.message ?? 'the answer names no clock'
}
