import type { Callback } from '#shared/callback.ts'
import { PublisherError } from '#shared/errors.ts'
import { blocked } from '#shared/publishers/reconcile/apply.ts'
import type { CallOptions, HeldSubscription, Offer, Resource } from '#shared/publishers/dialects/client.ts'
import { othersIn, planOf, type Situation, type Step } from '#shared/publishers/reconcile/plan.ts'
import { isInMemory } from '#shared/publishers/reconcile/attempt.ts'
import { isSyncE, nodeOfAddress } from '#shared/publishers/dialects/addresses.ts'
import type { Target } from '#shared/publishers/target.ts'
import type { NodeState } from '#shared/state/document.ts'
import { adviceOn } from '../advice.ts'
import type { Report } from '../report.ts'
import { type Unserved, unservedIn } from './first-served.ts'
import type { Reached } from './reach.ts'

type Offered = Extract<Offer, { outcome: 'offered' }>

/**
 * Which of the wanted resources the publisher has, under which addresses. Only v2 lists them; those of the others are
 * made of the configured name, and proved by what CurrentState names.
 */
export async function checkAddresses(
  report: Report,
  { client, place }: Reached,
  target: Target,
  kinds: readonly string[],
  call: CallOptions,
): Promise<Offered | undefined> {
  const lists = client.dialect === 'red-hat-v2'
  const asked = lists ? `GET ${place.shown}/…/publishers` : 'addresses made of the configured name'
  try {
    const offer = await client.offer(kinds, call)
    if (offer.outcome === 'not-ready') {
      report.failed(
        'addresses',
        asked,
        offer.reason,
        'It takes some seconds after a start. If it stays so, PTP does not run on this node: look for its PtpConfig and into the log of linuxptp-daemon',
      )
      return undefined
    }
    if (offer.node !== undefined && offer.node !== target.node) {
      report.failed(
        'addresses',
        asked,
        `it publishes for node ${offer.node}`,
        `Set \`node\` to ${offer.node} in PUBLISHERS, or \`url\` to the publisher of ${target.node}`,
      )
      return undefined
    }
    if (lists) {
      const without = offer.unpublished.length === 0 ? '' : `, without ${offer.unpublished.join(' ')}`
      report.ok('addresses', asked, `${count(offer.resources, 'resource')} of ${target.node}${without}`)
    }
    return offer
  } catch (error) {
    if (!(error instanceof PublisherError)) throw error
    const { came, todo } = adviceOn(error, place)
    report.failed('addresses', asked, came, todo)
    return undefined
  }
}

/** What a publisher holds, and whose it is. */
export type Held = {
  readonly situation: Situation
  /** The wanted kinds that a subscription of ours, as it should be, is there for. */
  readonly kinds: ReadonlySet<string>
  readonly strangers: number
}

export type SubscriptionDeps = {
  readonly callback: Callback
  /** The nodes of every configured publisher. */
  readonly configured: ReadonlySet<string>
}

/** Whether our subscriptions are there. Strangers' are counted, and left alone. */
export async function checkSubscriptions(
  report: Report,
  { client, place }: Reached,
  offer: Offered,
  state: NodeState | undefined,
  { callback, configured }: SubscriptionDeps,
  call: CallOptions,
): Promise<Held | undefined> {
  const asked = `GET ${place.shown}/…/subscriptions`
  try {
    const situation: Situation = {
      node: client.node,
      facts: client,
      wanted: offer.resources,
      unpublished: offer.unpublished,
      ownName: offer.node,
      held: await client.list(call),
      callback,
      configured,
    }
    const plan = planOf(situation)
    const kinds = new Set(plan.flatMap((step) => (step.do === 'keep' ? [step.resource.kind] : [])))
    const strangers = othersIn(situation).length
    const otherName = client.uniqueBy === 'resource' && kinds.size === 0 ? otherNameIn(situation) : undefined
    if (otherName !== undefined) {
      report.failed(
        'subscriptions',
        asked,
        `it holds our subscriptions of node ${otherName}, and none of ${client.node}`,
        `A sidecar serves one node. Set \`node\` to ${otherName} in PUBLISHERS, or \`url\` to the sidecar of ${client.node}`,
      )
      return undefined
    }
    const [first] = plan.flatMap((step) => (step.do === 'create' ? [step.resource.address] : []))
    const isUnlisted =
      client.uniqueBy === 'resource' && first !== undefined && (await isInMemory(client, first, call))
    const unserved = client.dialect === 'starlingx-v2' ? unservedIn(situation, kinds) : undefined
    judge(report, asked, { isUnlisted, plan, kinds, strangers, wanted: offer.resources, state, unserved })
    return { situation, kinds, strangers }
  } catch (error) {
    if (!(error instanceof PublisherError)) throw error
    const { came, todo } = adviceOn(error, place)
    report.failed('subscriptions', asked, came, todo)
    return undefined
  }
}

function judge(
  report: Report,
  asked: string,
  about: {
    /** A v1 sidecar holds in memory what it does not list. */
    isUnlisted: boolean
    plan: readonly Step[]
    kinds: ReadonlySet<string>
    strangers: number
    wanted: readonly Resource[]
    state: NodeState | undefined
    unserved: Unserved | undefined
  },
): void {
  const { isUnlisted, plan, kinds, strangers, wanted, state, unserved } = about
  const others = strangers === 0 ? '' : `; ${strangers} of others, left alone`
  const stranger = plan.find((step) => step.do === 'blocked')
  const missing = plan.flatMap((step) => (step.do === 'create' ? [step.resource.kind] : []))
  // SyncE is published by 4.17 to 4.19, but only 4.20 and later take a subscription to it (protocol.md §5).
  const untaken = missing.filter((kind) => isSyncE(kind) && kinds.size > 0 && !wasHeld(state, kind))
  const lacking = missing.filter(
    (kind) => !untaken.includes(kind) && state?.lacking?.some((one) => one.kind === kind),
  )
  const lost = missing.filter((kind) => !untaken.includes(kind) && !lacking.includes(kind))
  const leftOver = leftOverIn(plan)
  const came = `${kinds.size} of ${wanted.length} of ours are there`
  if (stranger !== undefined) {
    const text = blocked(stranger.resource, stranger.by.endpoint)
    report.failed('subscriptions', asked, `${came}${others}`, text)
    return
  }
  if (lost.length > 0 && isUnlisted) {
    report.warning(
      'subscriptions',
      asked,
      `${came}, not listed: ${lost.join(' ')}; but the sidecar holds them in memory, and delivers from there${others}`,
      'Restart the sidecar (its pod), which then forgets them; the next poll or `ptp-watch subscribe` creates them. Before that neither can change what the sidecar has in memory',
    )
    return
  }
  if (lost.length > 0) {
    const why = kinds.size === 0 && leftOver.length > 0 ? ' under the present CALLBACK_URL and secret' : ''
    report.failed(
      'subscriptions',
      asked,
      `${came}${why}, missing: ${lost.join(' ')}${others}`,
      'Run `ptp-watch subscribe`; a poll makes them anew too. If they go again, see `callback`: ten failed deliveries in a row and a publisher drops them',
    )
    return
  }
  if (leftOver.length > 0) {
    report.warning(
      'subscriptions',
      asked,
      `${came}, and ${leftOver.length} more of ours that are not wanted${others}`,
      'Run `ptp-watch subscribe`, or wait for the next poll: they are taken away',
    )
    return
  }
  if (unserved !== undefined) {
    const text = `${came}, but ${unserved.text}`
    if (unserved.who === 'others') report.warning('subscriptions', asked, text, OTHERS_STARVE)
    else if (unserved.sometimes) report.warning('subscriptions', asked, text, `${ONLY_TWICE} ${OWN_SIDECAR}`)
    else report.failed('subscriptions', asked, text, `${FIRST_ALONE} ${OWN_SIDECAR}`)
    return
  }
  const unasked = untaken.length === 0 ? '' : ` (${untaken.join(' ')}: not taken by releases before 4.20)`
  const without = lacking.length === 0 ? '' : ` (not offered by the host: ${lacking.join(' ')})`
  report.ok('subscriptions', asked, `${came}${unasked}${without}${others}`)
}

const FIRST_ALONE =
  'The sidecar delivers each event to the first matching subscription alone, even if nobody answers there, so none of these events reaches us.'

const ONLY_TWICE =
  'The sidecar delivers each event to the first matching subscription alone. Ours are served only because a subscription to /sync makes each event come in twice.'

const OWN_SIDECAR =
  'Run a sidecar of its own for PTP Watch, or delete the other subscription and create it again after ours'

const OTHERS_STARVE =
  'The sidecar delivers each event to the first matching subscription alone, so none of these events reaches the other consumer. Run a sidecar of its own for PTP Watch'

function leftOverIn(plan: readonly Step[]): HeldSubscription[] {
  return plan.flatMap((step) => {
    if (step.do === 'remove' || step.do === 'retire') return [step.subscription]
    return step.do === 'create' && step.replaces !== undefined ? [step.replaces] : []
  })
}

/** The name under which a v1 sidecar has subscriptions of ours: it serves one node. */
function otherNameIn({ node, held, callback }: Situation): string | undefined {
  const names = held.flatMap(({ address, endpoint }) => {
    const name = callback.read(endpoint)?.node
    return name !== undefined && name !== node && nodeOfAddress(address) === name ? [name] : []
  })
  return names[0]
}

function wasHeld(state: NodeState | undefined, kind: string): boolean {
  return state?.subscriptions.some((held) => held.kind === kind) ?? false
}

export function count(list: readonly unknown[] | number, what: string): string {
  const number = typeof list === 'number' ? list : list.length
  return `${number} ${what}${number === 1 ? '' : 's'}`
}
