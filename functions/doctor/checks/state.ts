import { PublisherError, reasonOf } from '#shared/errors.ts'
import { nodesNamed } from '#shared/publishers/dialects/addresses.ts'
import { type Exam, type Pulled, Stop, type Verdict } from '../exam.ts'
import { FIX, fixFor } from '../words.ts'

/** The node that answers name, if it is not `node`. */
export function otherNodeIn(pulls: readonly Pulled[], node: string): string | undefined {
  return pulls
    .map(({ said }) => nodesNamed(said?.body ?? ''))
    .find((names) => names.length > 0 && !names.includes(node))?.[0]
}

/** Whether CurrentState names the configured node; without a list of addresses only that shows it. @throws Stop if not. */
export function checkNodeName({ client, pulls }: Exam): Verdict {
  const { dialect, node } = client
  const other = otherNodeIn(pulls, node)
  if (other !== undefined)
    throw new Stop('addresses', `CurrentState names node ${other}`, FIX.otherNode(other, node))
  const lists = `${dialect} has no list of addresses`
  return pulls.some(({ said }) => said !== undefined)
    ? ['ok', `CurrentState names ${node}; ${lists}`]
    : ['skipped', `${lists}, and no CurrentState names the node`]
}

/** The kinds that a node may well have no clock of. */
const OPTIONAL: ReadonlySet<string> = new Set(['gnss-sync-status', 'synce-lock-state', 'synce-clock-quality'])

/** What the publisher says of each resource. Any state passes: the check is whether it answers, not whether it is LOCKED. */
export function checkStates({ client, held, place, pulls, settings }: Exam): Verdict[] {
  const decides = ({ kind }: { kind: string }) => settings.overallKinds.includes(kind)
  const isKnown = pulls.some((pulled) => decides(pulled.resource) && isTold(pulled))
  const isStarlingX = client.dialect === 'starlingx-v2'
  return pulls.map((pulled): Verdict => {
    const { resource, answer } = pulled
    const result = `${resource.kind}: ${told(pulled)}`
    if (isTold(pulled)) return ['ok', result]
    if (answer instanceof PublisherError) {
      const isBehind = client.dialect === 'red-hat-v1' && answer.status === 400
      return ['failed', result, isBehind ? FIX.noPublisher : fixFor(answer, place)]
    }
    if (answer.outcome === 'none' && answer.cause === 'unregistered')
      return ['failed', result, FIX.unregistered]
    if (isStarlingX && answer.outcome === 'none')
      return [isKnown ? 'warning' : 'failed', result, FIX.starting(client.node)]
    // It never answers without a subscription (protocol.md §2.5, §3.4).
    if (!isStarlingX && !held.some(({ address }) => address === resource.address))
      return ['skipped', `${result}: nobody is subscribed to it`]
    if (OPTIONAL.has(resource.kind))
      return ['skipped', `${result}: the node has no such clock, or its state is not known yet`]
    if (isKnown || !decides(resource)) return ['warning', result, FIX.noClock]
    return ['failed', result, FIX.noPtp(place.shown)]
  })
}

function isTold({ resource, said }: Pulled): boolean {
  return said?.readings?.observations.some(({ kind }) => kind === resource.kind) === true
}

/** What an answer says of the clocks, or why there is none. */
function told({ answer }: Pulled): string {
  if (answer instanceof PublisherError) return reasonOf(answer)
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
