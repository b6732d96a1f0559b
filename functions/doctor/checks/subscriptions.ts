import { isSyncE, nodeOfAddress } from '#shared/publishers/dialects/addresses.ts'
import type { Offer } from '#shared/publishers/dialects/client.ts'
import { blockedText } from '#shared/publishers/reconcile/apply.ts'
import { isInMemory } from '#shared/publishers/reconcile/unstick.ts'
import { foreignIn, planOf, type Situation, type Step } from '#shared/publishers/reconcile/plan.ts'
import { redact } from '#shared/redact.ts'
import type { NodeState } from '#shared/state/document.ts'
import { asking, type Listed, type Reached } from '../exam.ts'
import { count, type Status, Stop, type Verdict } from '../report.ts'

type Offered = Extract<Offer, { outcome: 'offered' }>

/**
 * Which of the wanted resources the publisher offers. Only v2 lists them; for the others we make the addresses from the
 * configured name, and CurrentState shows whether that is right. @throws Stop if it offers none for this node.
 */
export async function offerOf(exam: Reached): Promise<Offered> {
  const { deps, report, client, target, call } = exam
  const offer = await asking(exam, 'addresses', () => client.offer(deps.kinds, call))
  if (offer.outcome === 'not-ready') throw new Stop('addresses', offer.reason, NOT_READY)
  const { node = target.node, resources, unpublished } = offer
  if (node !== target.node) {
    const fix = `Set \`node\` to ${node} in PUBLISHERS, or \`url\` to the publisher of ${target.node}`
    throw new Stop('addresses', `it publishes for node ${node}`, fix)
  }
  if (client.dialect === 'red-hat-v2') {
    const without = unpublished.length === 0 ? '' : `, without ${unpublished.join(' ')}`
    report.add('addresses', ['ok', `${count(resources.length, 'resource')} of ${node}${without}`])
  }
  return offer
}

const NOT_READY =
  'This takes some seconds after a start. If it stays so, PTP does not run on this node: check its PtpConfig and the log of linuxptp-daemon'

/** Whether our subscriptions are there. Foreign ones are counted and left alone. @throws Stop at another node's sidecar. */
export async function checkSubscriptions(
  exam: Reached,
  { resources: wanted, unpublished, node: ownName }: Offered,
  state: NodeState | undefined,
): Promise<Listed> {
  const { report, client, call } = exam
  const { callback, configured } = exam.deps
  const held = await asking(exam, 'subscriptions', () => client.list(call))
  const ours = { node: client.node, facts: client, callback, configured }
  const situation = { ...ours, wanted, unpublished, ownName, held }
  const plan = planOf(situation)
  const kinds = new Set(plan.flatMap((step) => (step.do === 'keep' ? [step.resource.kind] : [])))
  const other = client.uniqueBy === 'resource' && kinds.size === 0 ? otherNameIn(situation) : undefined
  if (other !== undefined) {
    const fix = `A sidecar serves one node: set \`node\` to ${other} in PUBLISHERS, or \`url\` to the sidecar of ${client.node}`
    throw new Stop(
      'subscriptions',
      `it holds our subscriptions for node ${other}, none for ${client.node}`,
      fix,
    )
  }
  const listed: Listed = { ...exam, wanted, held, kinds, foreign: foreignIn(situation).length }
  report.add('subscriptions', await judge(listed, situation, plan, state))
  return listed
}

/** The first that applies, the gravest first. */
async function judge(
  { client, call, kinds, foreign, wanted }: Listed,
  situation: Situation,
  plan: readonly Step[],
  state: NodeState | undefined,
): Promise<Verdict> {
  const theirs = foreign === 0 ? '' : `; ${count(foreign, 'foreign subscription')} left alone`
  const ours = `${kinds.size} of ${wanted.length} subscriptions present`
  const block = plan.find((step) => step.do === 'blocked')
  if (block !== undefined)
    return ['failed', `${ours}${theirs}`, blockedText(block.resource, block.by.endpoint)]

  const missing = plan.flatMap((step) => (step.do === 'create' ? [step.resource] : []))
  // SyncE is published by 4.17 to 4.19, but only 4.20 and later take a subscription to it (protocol.md §5).
  const wasHeld = (kind: string) => state?.subscriptions.some((one) => one.kind === kind) === true
  const refused = missing.filter(({ kind }) => isSyncE(kind) && kinds.size > 0 && !wasHeld(kind))
  const rest = missing.filter((resource) => !refused.includes(resource))
  const lacking = rest.filter(({ kind }) => state?.lacking?.some((one) => one.kind === kind))
  const lost = rest.filter((resource) => !lacking.includes(resource))
  const leftOver = plan.filter(
    (step) => step.do === 'remove' || step.do === 'retire' || ('replaces' in step && step.replaces),
  ).length
  const [first] = lost
  if (first !== undefined) {
    if (client.uniqueBy === 'resource' && (await isInMemory(client, first.address, call))) {
      const text = `not listed: ${namesOf(lost)}; the sidecar delivers them from memory`
      return ['warning', `${ours}, ${text}${theirs}`, RESTART]
    }
    const why = kinds.size === 0 && leftOver > 0 ? ' with the current CALLBACK_URL and CALLBACK_SECRET' : ''
    return ['failed', `${ours}${why}, missing: ${namesOf(lost)}${theirs}`, RECREATE]
  }
  if (leftOver > 0) return ['warning', `${ours}, and ${leftOver} unwanted of ours${theirs}`, DELETED]
  const unserved = client.dialect === 'starlingx-v2' ? unservedIn(situation, kinds) : undefined
  if (unserved !== undefined) return [unserved[0], `${ours}, but ${unserved[1]}`, unserved[2]]
  const unasked = refused.length === 0 ? '' : ` (${namesOf(refused)}: not supported before 4.20)`
  const without = lacking.length === 0 ? '' : ` (not offered by the host: ${namesOf(lacking)})`
  return ['ok', `${ours}${unasked}${without}${theirs}`]
}

const DELETED = 'Run `ptp-watch subscribe`, or wait for the next poll: both delete them'
const RECREATE =
  'Run `ptp-watch subscribe`; polls recreate them too. If they vanish again, see `callback`: a publisher drops a subscription after ten failed deliveries in a row'
const RESTART =
  'Restart the sidecar (its pod), which then forgets them; the next poll or `ptp-watch subscribe` recreates them. Until then neither can change what it has in memory'
const FIRST_ONLY = 'The sidecar delivers each event only to the first matching subscription'
const ONLY_TWICE = 'We get them only because a subscription to /sync makes each arrive twice'
const OTHERS_STARVE = 'the other consumer gets none of these. Run a separate sidecar for PTP Watch'
const OWN_SIDECAR =
  'Run a separate sidecar for PTP Watch, or delete the other subscription and recreate it after ours'

const namesOf = (resources: readonly { kind: string }[]) => resources.map(({ kind }) => kind).join(' ')

/** The name under which a v1 sidecar, which serves one node, has subscriptions of ours. */
function otherNameIn({ node, held, callback }: Situation): string | undefined {
  const names = held.map(({ address, endpoint }) => {
    const name = callback.read(endpoint)?.node
    return nodeOfAddress(address) === name ? name : undefined
  })
  return names.find((name) => name !== undefined && name !== node)
}

/**
 * Who gets no events because StarlingX's sidecar serves the first matching subscription only (starlingx.md); undefined
 * where no foreign subscription meets one of ours. `kinds`: those that we hold.
 */
function unservedIn(
  situation: Situation,
  kinds: ReadonlySet<string>,
): [status: Status, text: string, fix: string] | undefined {
  const { held, wanted, callback, node } = situation
  const endpoint = callback.endpointFor(node)
  // Beside a subscription to all, each notification arrives twice, and the first two are served.
  const served = held.some(({ address }) => pathOf(address) === '/sync') ? 2 : 1
  const meetings = wanted.flatMap(({ kind, address }) => {
    if (!kinds.has(kind)) return []
    const own = held.findIndex((one) => one.address === address && one.endpoint === endpoint)
    const all = foreignIn(situation).filter((other) => matches(other.address, address))
    const before = all.filter((other) => held.indexOf(other) < own)
    return [{ kind, before, after: all.length - before.length }]
  })
  const behind = meetings.filter(({ before }) => before.length > 0)
  const starved = behind.filter(({ before }) => before.length >= served)
  if (behind.length > 0) {
    const whose = new Set(behind.flatMap(({ before }) => before.map((other) => redact(other.endpoint))))
    const text = (lost: typeof behind) =>
      `another consumer is served before us: ${namesOf(lost)} (${[...whose].join(', ')})`
    return starved.length > 0
      ? ['failed', text(starved), `${FIRST_ONLY}, even if nobody answers there: we get none. ${OWN_SIDECAR}`]
      : ['warning', text(behind), `${FIRST_ONLY}. ${ONLY_TWICE}. ${OWN_SIDECAR}`]
  }
  const starving = meetings.filter(({ before, after }) => before.length + 1 >= served && after > 0)
  if (starving.length === 0) return undefined
  return [
    'warning',
    `another consumer comes after us: ${namesOf(starving)}`,
    `${FIRST_ONLY}: ${OTHERS_STARVE}`,
  ]
}

/** As the sidecar compares: a common start of the path, of the same node, of all, or of its own. */
function matches(other: string, ours: string): boolean {
  const [theirs, own] = [pathOf(other), pathOf(ours)]
  const node = other.split('/')[2]
  const isSame = node === '.' || node === '*' || node === ours.split('/')[2]
  return isSame && theirs !== undefined && own?.startsWith(theirs) === true
}

const pathOf = (address: string) => /\/sync(?:\/.*)?$/i.exec(address)?.[0].toLowerCase()
