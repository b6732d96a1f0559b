import { isSyncE, nodeOfAddress } from '#shared/publishers/dialects/addresses.ts'
import type { HeldSubscription, Offer } from '#shared/publishers/dialects/client.ts'
import { blockedText } from '#shared/publishers/reconcile/apply.ts'
import { foreignIn, planOf, type Situation } from '#shared/publishers/reconcile/plan.ts'
import { isInMemory } from '#shared/publishers/reconcile/unstick.ts'
import { redact } from '#shared/redact.ts'
import type { NodeState } from '#shared/state/document.ts'
import { answered, count, type Reached, Stop, type Verdict } from '../exam.ts'
import { FIX } from '../words.ts'

/** Our subscriptions, and whether they are as they should be. Foreign ones are counted and left alone. @throws Stop at another node's sidecar. */
export async function checkSubscriptions(
  reached: Reached,
  { resources: wanted, unpublished, node: ownName }: Extract<Offer, { outcome: 'offered' }>,
  state: NodeState | undefined,
) {
  const { client, callback, configured, call } = reached
  const held = await answered(reached, 'subscriptions', client.list(call))
  const ours = { node: client.node, facts: client, callback, configured }
  const situation = { ...ours, wanted, unpublished, ownName, held }
  const plan = planOf(situation)
  const kinds = new Set(plan.flatMap((step) => (step.do === 'keep' ? [step.resource.kind] : [])))
  const other = client.uniqueBy === 'resource' && kinds.size === 0 ? otherNameIn(situation) : undefined
  if (other !== undefined) {
    const result = `it holds our subscriptions for node ${other}, none for ${client.node}`
    throw new Stop('subscriptions', result, FIX.otherNode(other, client.node))
  }
  const foreign = foreignIn(situation)

  /** The first that applies, the gravest first. */
  const judge = async (): Promise<Verdict> => {
    const theirs = foreign.length === 0 ? '' : `; ${count(foreign.length, 'foreign subscription')} left alone`
    const present = `${kinds.size} of ${wanted.length} subscriptions present`
    const block = plan.find((step) => step.do === 'blocked')
    if (block !== undefined)
      return ['failed', `${present}${theirs}`, blockedText(block.resource, block.by.endpoint)]

    const missing = plan.flatMap((step) => (step.do === 'create' ? [step.resource] : []))
    // SyncE is published by 4.17 to 4.19, but only 4.20 and later take a subscription to it (protocol.md §5).
    const wasHeld = (kind: string) => state?.subscriptions.some((one) => one.kind === kind) === true
    const refused = missing.filter(({ kind }) => isSyncE(kind) && kinds.size > 0 && !wasHeld(kind))
    const rest = missing.filter((resource) => !refused.includes(resource))
    const lacking = rest.filter(({ kind }) => state?.lacking?.some((one) => one.kind === kind))
    const lost = rest.filter((resource) => !lacking.includes(resource))
    const leftOver = plan.filter(
      (step) => step.do === 'remove' || ('replaces' in step && step.replaces),
    ).length
    const [first] = lost
    if (first !== undefined) {
      if (client.uniqueBy === 'resource' && (await isInMemory(client, first.address, call))) {
        const found = `${present}, not listed: ${namesOf(lost)}; the sidecar delivers them from memory${theirs}`
        return ['warning', found, FIX.inMemory]
      }
      const why = kinds.size === 0 && leftOver > 0 ? ' with the current CALLBACK_URL and CALLBACK_SECRET' : ''
      return ['failed', `${present}${why}, missing: ${namesOf(lost)}${theirs}`, FIX.subscriptionsLost]
    }
    if (leftOver > 0)
      return ['warning', `${present}, and ${leftOver} unwanted of ours${theirs}`, FIX.leftOver]
    const unserved =
      client.dialect === 'starlingx-v2' ? unservedIn(situation, foreign, kinds, present) : undefined
    if (unserved !== undefined) return unserved
    const unasked = refused.length === 0 ? '' : ` (${namesOf(refused)}: not supported before 4.20)`
    const without = lacking.length === 0 ? '' : ` (not offered by the host: ${namesOf(lacking)})`
    return ['ok', `${present}${unasked}${without}${theirs}`]
  }
  return { wanted, held, kinds, foreign: foreign.length, verdict: await judge() }
}

const namesOf = (resources: readonly { kind: string }[]) => resources.map(({ kind }) => kind).join(' ')

/** The name under which a v1 sidecar, which serves one node, has subscriptions of ours. */
function otherNameIn({ node, held, callback }: Situation): string | undefined {
  return held
    .filter(({ address, endpoint }) => nodeOfAddress(address) === callback.read(endpoint)?.node)
    .map(({ address }) => nodeOfAddress(address))
    .find((name) => name !== undefined && name !== node)
}

/**
 * Who gets no events because StarlingX's sidecar serves the first matching subscription only (starlingx.md); undefined
 * where no foreign subscription meets one of ours. `kinds`: those that we hold.
 */
function unservedIn(
  { held, wanted, callback, node }: Situation,
  foreign: readonly HeldSubscription[],
  kinds: ReadonlySet<string>,
  present: string,
): Verdict | undefined {
  const own = callback.endpointFor(node)
  // Beside a subscription to all, each notification arrives twice, and the first two are served.
  const served = held.some(({ address }) => pathOf(address) === '/sync') ? 2 : 1
  const meetings = wanted
    .filter(({ kind }) => kinds.has(kind))
    .map(({ kind, address }) => {
      const isMet = (one: HeldSubscription) =>
        foreign.includes(one)
          ? matches(one.address, address)
          : one.address === address && one.endpoint === own
      const met = held.filter(isMet)
      const place = met.findIndex(({ endpoint }) => endpoint === own)
      return { kind, before: met.slice(0, place), after: met.length - place - 1 }
    })
  const starved = meetings.filter(({ before }) => before.length >= served)
  const behind = starved.length > 0 ? starved : meetings.filter(({ before }) => before.length > 0)
  if (behind.length > 0) {
    const whose = new Set(behind.flatMap(({ before }) => before.map(({ endpoint }) => redact(endpoint))))
    const text = `${present}, but another consumer is served before us: ${namesOf(behind)} (${[...whose].join(', ')})`
    return starved.length > 0 ? ['failed', text, FIX.starved] : ['warning', text, FIX.twice]
  }
  const starving = served === 1 ? meetings.filter(({ after }) => after > 0) : []
  const text = `${present}, but another consumer comes after us: ${namesOf(starving)}`
  return starving.length === 0 ? undefined : ['warning', text, FIX.starving]
}

/** As the sidecar compares: a common start of the path, of the same node, of all, or of its own. */
function matches(other: string, ours: string): boolean {
  const [theirs, own] = [pathOf(other), pathOf(ours)]
  const node = other.split('/')[2]
  const isSame = node === '.' || node === '*' || node === ours.split('/')[2]
  return isSame && theirs !== undefined && own?.startsWith(theirs) === true
}

const pathOf = (address: string) => /\/sync(?:\/.*)?$/i.exec(address)?.[0].toLowerCase()
