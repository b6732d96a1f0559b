import { adviceOn } from '../advice.ts'
import type { Report } from '../report.ts'
import type { Pulled } from './pulls.ts'
import { otherNodeIn, saidBy } from './pulls.ts'
import type { Reached } from './reach.ts'
import type { Held } from './subscriptions.ts'

/** The kinds that a node may well have no clock of. */
const OPTIONAL: ReadonlySet<string> = new Set(['gnss-sync-status', 'synce-lock-state', 'synce-clock-quality'])

/**
 * What the publisher says of each resource. FREERUN is an answer like any other: whether the clocks are well is for
 * `ptp-watch status` to say. `deciding`: the kinds without which nothing is known of the node.
 */
export function checkStates(
  report: Report,
  reached: Reached,
  pulls: readonly Pulled[],
  held: Held,
  deciding: readonly string[],
): void {
  const { client, place } = reached
  const isTold = (pulled: Pulled) =>
    pulled.outcome === 'answered' &&
    pulled.read?.observations.some(({ kind }) => kind === pulled.resource.kind) === true
  const nothing = !pulls.some((pulled) => deciding.includes(pulled.resource.kind) && isTold(pulled))
  const someHeld = (address: string) => held.situation.held.some((one) => one.address === address)

  for (const pulled of pulls) {
    const { kind, address } = pulled.resource
    const asked = `${kind}, GET ${address}/CurrentState`
    const came = saidBy(pulled)
    if (isTold(pulled)) {
      report.ok('current-state', asked, came)
    } else if (pulled.outcome === 'failed') {
      report.failed('current-state', asked, came, adviceOnPull(pulled.error, reached))
    } else if (pulled.outcome === 'none' && pulled.answer.cause === 'unregistered') {
      const todo = 'Run `ptp-watch subscribe`: posting ours again makes the sidecar register anew'
      report.failed('current-state', asked, came, todo)
    } else if (client.dialect === 'starlingx-v2' && pulled.outcome === 'none') {
      const todo = `It takes some seconds after a start: run the doctor again. If it stays so, the sidecar does not hear of ${client.node}: check that name, and whether the notification service runs on the node`
      report[nothing ? 'failed' : 'warning']('current-state', asked, came, todo)
    } else if (client.dialect !== 'starlingx-v2' && !someHeld(address)) {
      // Without anybody's subscription it never answers (protocol.md §2.5, §3.4).
      report.skipped('current-state', asked, `${came}: nobody is subscribed to it`)
    } else if (OPTIONAL.has(kind)) {
      report.skipped('current-state', asked, `${came}: the node has no such clock, or it is not known yet`)
    } else if (nothing && deciding.includes(kind)) {
      const todo = `Nothing is known of this node's clocks: does PTP run there? Look into the log of linuxptp-daemon, and whether ${place.shown} is still starting`
      report.failed('current-state', asked, came, todo)
    } else {
      const todo =
        'If the node should have such a clock, look into the log of its PTP processes; a node without one says so for ever'
      report.warning('current-state', asked, came, todo)
    }
  }
}

function adviceOnPull(error: Extract<Pulled, { outcome: 'failed' }>['error'], { client, place }: Reached) {
  if (client.dialect === 'red-hat-v1' && error.status === 400) {
    return 'The sidecar is there, the publisher behind it is not: check its --http-event-publishers, and whether the linuxptp-daemon of the node is up'
  }
  return adviceOn(error, place).todo
}

/** Without a list of addresses, only what CurrentState names shows whether the node is the configured one. */
export function checkNamed(report: Report, { client }: Reached, pulls: readonly Pulled[]): void {
  if (client.dialect === 'red-hat-v2') return
  const asked = 'the name of the node in CurrentState'
  const other = otherNodeIn(client, pulls)
  if (other !== undefined) {
    const todo = `Set \`node\` to ${other} in PUBLISHERS: under another name no event ever comes`
    report.failed('addresses', asked, `it speaks of node ${other}`, todo)
  } else if (pulls.some(({ outcome }) => outcome === 'answered')) {
    report.ok('addresses', asked, `${client.node}; ${client.dialect} has no list of addresses`)
  } else {
    report.skipped(
      'addresses',
      asked,
      `${client.dialect} has no list of addresses, and no state names the node`,
    )
  }
}
