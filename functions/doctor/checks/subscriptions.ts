import { isSyncE, nodeOfAddress } from '#shared/publishers/dialects/addresses.ts'
import type { Offer } from '#shared/publishers/dialects/client.ts'
import { blockedText } from '#shared/publishers/reconcile/apply.ts'
import { foreignIn, planOf, type Situation, type Step } from '#shared/publishers/reconcile/plan.ts'
import { isInMemory } from '#shared/publishers/reconcile/unstick.ts'
import { redact } from '#shared/redact.ts'
import type { NodeState } from '#shared/state/document.ts'
import { answered, type Listed, type Reached, Stop } from '../exam.ts'
import { count, type Verdict } from '../report.ts'
import { FIX } from '../words.ts'

type Offered = Extract<Offer, { outcome: 'offered' }>

/**
 * Which of the wanted resources the publisher offers. Only v2 lists them; for the others we make the addresses from the
 * configured name, and CurrentState shows whether that is right. @throws Stop if it offers none for this node.
 */
export async function offerOf(exam: Reached): Promise<Offered> {
  const { deps, client, target, call } = exam
  const unnamed = deps.unnamed.get(target)
  if (unnamed !== undefined)
    throw new Stop('addresses', `the name of its node is unknown: ${unnamed}`, FIX.addresses.unnamed)
  const offer = await answered(exam, 'addresses', client.offer(deps.kinds, call))
  if (offer.outcome === 'not-ready') throw new Stop('addresses', offer.reason, FIX.addresses.notReady)
  const { node = target.node } = offer
  if (node !== target.node)
    throw new Stop('addresses', `it publishes for node ${node}`, FIX.addresses.other(node, target.node))
  return offer
}

/** What v2 lists. */
export function checkAddresses({ resources, unpublished }: Offered, node: string): Verdict {
  const without = unpublished.length === 0 ? '' : `, without ${unpublished.join(' ')}`
  return ['ok', `${count(resources.length, 'resource')} of ${node}${without}`]
}

/** Whether our subscriptions are there. Foreign ones are counted and left alone. @throws Stop at another node's sidecar. */
export async function checkSubscriptions(
  exam: Reached,
  { resources: wanted, unpublished, node: ownName }: Offered,
  state: NodeState | undefined,
): Promise<{ listed: Listed; verdict: Verdict }> {
  const { client, call } = exam
  const { callback, configured } = exam.deps
  const held = await answered(exam, 'subscriptions', client.list(call))
  const ours = { node: client.node, facts: client, callback, configured }
  const situation = { ...ours, wanted, unpublished, ownName, held }
  const plan = planOf(situation)
  const kinds = new Set(plan.flatMap((step) => (step.do === 'keep' ? [step.resource.kind] : [])))
  const other = client.uniqueBy === 'resource' && kinds.size === 0 ? otherNameIn(situation) : undefined
  if (other !== undefined) {
    const result = `it holds our subscriptions for node ${other}, none for ${client.node}`
    throw new Stop('subscriptions', result, FIX.subscriptions.other(other, client.node))
  }
  const listed: Listed = { ...exam, wanted, held, kinds, foreign: foreignIn(situation).length }
  return { listed, verdict: await judge(listed, situation, plan, state) }
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
  const leftOver = plan.filter((step) => step.do === 'remove' || ('replaces' in step && step.replaces)).length
  const [first] = lost
  if (first !== undefined) {
    const text = namesOf(lost)
    if (client.uniqueBy === 'resource' && (await isInMemory(client, first.address, call))) {
      const found = `${ours}, not listed: ${text}; the sidecar delivers them from memory${theirs}`
      return ['warning', found, FIX.subscriptions.inMemory]
    }
    const why = kinds.size === 0 && leftOver > 0 ? ' with the current CALLBACK_URL and CALLBACK_SECRET' : ''
    return ['failed', `${ours}${why}, missing: ${text}${theirs}`, FIX.subscriptions.lost]
  }
  if (leftOver > 0)
    return ['warning', `${ours}, and ${leftOver} unwanted of ours${theirs}`, FIX.subscriptions.leftOver]
  const unserved = client.dialect === 'starlingx-v2' ? unservedIn(situation, kinds, ours) : undefined
  if (unserved !== undefined) return unserved
  const unasked = refused.length === 0 ? '' : ` (${namesOf(refused)}: not supported before 4.20)`
  const without = lacking.length === 0 ? '' : ` (not offered by the host: ${namesOf(lacking)})`
  return ['ok', `${ours}${unasked}${without}${theirs}`]
}

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
 * where no foreign subscription meets one of ours. `kinds`: those that we hold; `ours`: how many, in words.
 */
function unservedIn(situation: Situation, kinds: ReadonlySet<string>, ours: string): Verdict | undefined {
  const { held, wanted, callback, node } = situation
  const endpoint = callback.endpointFor(node)
  // Beside a subscription to all, each notification arrives twice, and the first two are served.
  const served = held.some(({ address }) => pathOf(address) === '/sync') ? 2 : 1
  const meetings = wanted
    .filter(({ kind }) => kinds.has(kind))
    .map(({ kind, address }) => {
      const own = held.findIndex((one) => one.address === address && one.endpoint === endpoint)
      const all = foreignIn(situation).filter((other) => matches(other.address, address))
      const before = all.filter((other) => held.indexOf(other) < own)
      return { kind, before, after: all.length - before.length }
    })
  const behind = meetings.filter(({ before }) => before.length > 0)
  if (behind.length > 0) {
    const starved = behind.filter(({ before }) => before.length >= served)
    const whose = new Set(behind.flatMap(({ before }) => before.map((other) => redact(other.endpoint))))
    const lost = starved.length > 0 ? starved : behind
    const text = `${ours}, but another consumer is served before us: ${namesOf(lost)} (${[...whose].join(', ')})`
    return starved.length > 0
      ? ['failed', text, FIX.subscriptions.starved]
      : ['warning', text, FIX.subscriptions.twice]
  }
  const starving = meetings.filter(({ before, after }) => before.length + 1 >= served && after > 0)
  if (starving.length === 0) return undefined
  return [
    'warning',
    `${ours}, but another consumer comes after us: ${namesOf(starving)}`,
    FIX.subscriptions.starving,
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
