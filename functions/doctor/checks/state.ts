import { PublisherError, reasonOf } from '#shared/errors.ts'
import { nodesNamed } from '#shared/publishers/dialects/addresses.ts'
import type { CallOptions, Client, CurrentState, Resource } from '#shared/publishers/dialects/client.ts'
import { fixFor } from '../advice.ts'
import type { Listed } from '../exam.ts'
import { Stop, type Verdict } from '../report.ts'

/** What one pull brought. */
export type Pulled = {
  readonly resource: Resource
  readonly answer: CurrentState | { readonly outcome: 'failed'; readonly error: PublisherError }
}

/** Pulls every resource; writes nothing. */
export function pullAll(
  client: Client,
  resources: readonly Resource[],
  call: CallOptions,
): Promise<Pulled[]> {
  return Promise.all(resources.map((resource) => pullOne(client, resource, call)))
}

export async function pullOne(client: Client, resource: Resource, call: CallOptions): Promise<Pulled> {
  const answer = await client.currentState(resource.address, call).catch((error: unknown) => {
    if (!(error instanceof PublisherError)) throw error
    return { outcome: 'failed', error } as const
  })
  return { resource, answer }
}

/** The node that the answers name, if it is not the configured one. */
export function otherNodeIn(client: Client, pulls: readonly Pulled[]): string | undefined {
  return pulls
    .map(({ answer }) => (answer.outcome === 'answered' ? nodesNamed(answer.body) : []))
    .find((names) => names.length > 0 && !names.includes(client.node))?.[0]
}

/** Whether CurrentState names the configured node; without a list of addresses only that shows it. @throws Stop if not. */
export function checkNodeName({ client }: Listed, pulls: readonly Pulled[]): Verdict {
  const other = otherNodeIn(client, pulls)
  if (other !== undefined) {
    const fix = `Set \`node\` to ${other} in PUBLISHERS: under another name no events arrive`
    throw new Stop('addresses', `CurrentState names node ${other}`, fix)
  }
  const lists = `${client.dialect} has no list of addresses`
  return pulls.some(({ answer }) => answer.outcome === 'answered')
    ? ['ok', `CurrentState names ${client.node}; ${lists}`]
    : ['skipped', `${lists}, and no CurrentState names the node`]
}

/** The kinds that a node may well have no clock of. */
const OPTIONAL: ReadonlySet<string> = new Set(['gnss-sync-status', 'synce-lock-state', 'synce-clock-quality'])

/** What the publisher says of each resource. Any state passes: the check is whether it answers, not whether it is LOCKED. */
export function checkStates(listed: Listed, pulls: readonly Pulled[]): Verdict[] {
  const kinds: readonly string[] = listed.deps.settings.overallKinds
  const isUnknown = !pulls.some((pulled) => kinds.includes(pulled.resource.kind) && isTold(pulled))
  return pulls.map((pulled) => stateOf(listed, pulled, isUnknown, kinds.includes(pulled.resource.kind)))
}

/** `isUnknown`: no clock that decides is known. `isDeciding`: this is one of those. */
function stateOf(
  { client, held, place }: Listed,
  pulled: Pulled,
  isUnknown: boolean,
  isDeciding: boolean,
): Verdict {
  const { resource, answer } = pulled
  const { dialect, node } = client
  const isStarlingX = dialect === 'starlingx-v2'
  const result = `${resource.kind}: ${told(pulled)}`
  if (isTold(pulled)) return ['ok', result]
  if (answer.outcome === 'failed') {
    const isBehind = dialect === 'red-hat-v1' && answer.error.status === 400
    return ['failed', result, isBehind ? NO_PUBLISHER : fixFor(answer.error, place)]
  }
  if (answer.outcome === 'none' && answer.cause === 'unregistered') return ['failed', result, REGISTER]
  if (isStarlingX && answer.outcome === 'none')
    return [isUnknown ? 'failed' : 'warning', result, `${STARTING} ${node}: check that name. ${SERVICE}`]
  // It never answers without a subscription (protocol.md §2.5, §3.4).
  if (!isStarlingX && !held.some(({ address }) => address === resource.address))
    return ['skipped', `${result}: nobody is subscribed to it`]
  if (OPTIONAL.has(resource.kind))
    return ['skipped', `${result}: the node has no such clock, or its state is not known yet`]
  return isUnknown && isDeciding
    ? ['failed', result, `${NO_PTP}, and whether ${place.shown} is still starting`]
    : ['warning', result, NO_CLOCK]
}

const NO_PUBLISHER =
  'The sidecar runs, but not the publisher behind it: check its --http-event-publishers, and the linuxptp-daemon of the node'
const REGISTER = 'Run `ptp-watch subscribe`: posting our subscription makes the sidecar register again'
const STARTING =
  'This takes some seconds after a start: run doctor again. If it stays so, the sidecar receives nothing of'
const SERVICE = 'Also check that the notification service runs on the node'
const NO_PTP = 'Check that PTP runs on this node: see the log of linuxptp-daemon'
const NO_CLOCK =
  'If the node should have such a clock, see the log of its PTP processes; a node without one never has a state'

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
    return `${instance} ${[state, ...numbers].filter((word) => word !== undefined).join(', ')}`
  })
  if (readings.length > 0) return readings.join('; ')
  const [placeholder] = placeholders
  if (placeholder !== undefined) return `a placeholder (${placeholder.means}), no state`
  if (named.length > 0) return 'numbers without a state'
  return problems[0]?.message ?? 'the answer names no clock'
}
