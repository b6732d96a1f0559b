import { PublisherError, reasonOf } from '#shared/errors.ts'
import type { Normalised } from '#shared/events/normalise.ts'
import { nodesNamed } from '#shared/publishers/dialects/addresses.ts'
import type { CallOptions, Client, CurrentState, Resource } from '#shared/publishers/dialects/client.ts'
import { fixFor } from '../advice.ts'
import type { Listed, Reached } from '../exam.ts'
import type { Status } from '../report.ts'

type Answered = Extract<CurrentState, { outcome: 'answered' }>
type None = Extract<CurrentState, { outcome: 'none' }>

/** The outcome of one pull. `read`: undefined where the body is no JSON. */
export type Pulled = { readonly resource: Resource } & (
  | { readonly outcome: 'answered'; readonly answer: Answered; readonly read: Normalised | undefined }
  | { readonly outcome: 'none'; readonly answer: None }
  | { readonly outcome: 'failed'; readonly error: PublisherError }
)

/** Pulls every resource; writes nothing. */
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
    return { resource, outcome: 'answered', answer, read: answer.readings }
  } catch (error) {
    if (!(error instanceof PublisherError)) throw error
    return { resource, outcome: 'failed', error }
  }
}

/** The node that the answers name, if it is not the configured one. */
export function otherNodeIn(client: Client, pulls: readonly Pulled[]): string | undefined {
  return pulls
    .map((pulled) => (pulled.outcome === 'answered' ? nodesNamed(pulled.answer.body) : []))
    .find((names) => names.length > 0 && !names.includes(client.node))?.[0]
}

/** Without a list of addresses, only CurrentState shows whether the configured node name is right. */
export function checkNodeName({ report, client }: Reached, pulls: readonly Pulled[]): boolean {
  const other = otherNodeIn(client, pulls)
  if (client.dialect === 'red-hat-v2') return other === undefined
  const lists = `${client.dialect} has no list of addresses`
  if (other !== undefined) {
    const fix = `Set \`node\` to ${other} in PUBLISHERS: under another name no events arrive`
    report.failed('addresses', `CurrentState names node ${other}`, fix)
  } else if (pulls.some(({ outcome }) => outcome === 'answered')) {
    report.ok('addresses', `CurrentState names ${client.node}; ${lists}`)
  } else report.skipped('addresses', `${lists}, and no CurrentState names the node`)
  return other === undefined
}

/** The kinds that a node may well have no clock of. */
const OPTIONAL: ReadonlySet<string> = new Set(['gnss-sync-status', 'synce-lock-state', 'synce-clock-quality'])

/** What the publisher says of each resource. FREERUN is as good an answer as any. */
export function checkStates(listed: Listed, pulls: readonly Pulled[]): void {
  const deciding = pulls.filter(({ resource }) =>
    listed.deps.settings.overallKinds.some((kind) => kind === resource.kind),
  )
  const isUnknown = !deciding.some(isTold)
  for (const pulled of pulls) {
    const isFatal = isUnknown && deciding.includes(pulled)
    const [status, fix, more = ''] = judge(listed, pulled, isUnknown, isFatal)
    listed.report[status]('current-state', `${pulled.resource.kind}: ${told(pulled)}${more}`, fix ?? '')
  }
}

/** `isUnknown`: no clock that decides is known. `isFatal`: this is one of those. */
function judge(
  { client, held, place }: Listed,
  pulled: Pulled,
  isUnknown: boolean,
  isFatal: boolean,
): [status: Status, fix?: string, more?: string] {
  const { kind, address } = pulled.resource
  if (isTold(pulled)) return ['ok']
  if (pulled.outcome === 'failed') {
    const isBehind = client.dialect === 'red-hat-v1' && pulled.error.status === 400
    return ['failed', isBehind ? NO_PUBLISHER : fixFor(pulled.error, place)]
  }
  if (pulled.outcome === 'none' && pulled.answer.cause === 'unregistered')
    return ['failed', 'Run `ptp-watch subscribe`: posting our subscription makes the sidecar register again']
  if (client.dialect === 'starlingx-v2') {
    if (pulled.outcome === 'none')
      return [
        isUnknown ? 'failed' : 'warning',
        `This takes some seconds after a start: run doctor again. If it stays so, the sidecar receives nothing of ${client.node}: check that name, and whether the notification service runs on the node`,
      ]
  } else if (!held.some((one) => one.address === address)) {
    // It never answers without a subscription (protocol.md §2.5, §3.4).
    return ['skipped', '', ': nobody is subscribed to it']
  }
  if (OPTIONAL.has(kind))
    return ['skipped', '', ': the node has no such clock, or its state is not known yet']
  return isFatal
    ? [
        'failed',
        `Check that PTP runs on this node: see the log of linuxptp-daemon, and whether ${place.shown} is still starting`,
      ]
    : [
        'warning',
        'If the node should have such a clock, see the log of its PTP processes; a node without one never has a state',
      ]
}

const NO_PUBLISHER =
  'The sidecar runs, but not the publisher behind it: check its --http-event-publishers, and the linuxptp-daemon of the node'

function isTold(pulled: Pulled): boolean {
  const { kind } = pulled.resource
  return pulled.outcome === 'answered' && pulled.read?.observations.some((one) => one.kind === kind) === true
}

/** What an answer says of the clocks, or why there is none. */
function told(pulled: Pulled): string {
  if (pulled.outcome === 'failed') return reasonOf(pulled.error)
  if (pulled.outcome === 'none') return pulled.answer.reason
  if (pulled.read === undefined) return `invalid JSON: ${pulled.answer.body.slice(0, 60)}`
  const { observations, placeholders, named, problems } = pulled.read
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
