import { PublisherError, reasonOf, tried } from '#shared/errors.ts'
import { backoffMs, pause } from '#shared/publishers/backoff.ts'
import { isSyncE } from '#shared/publishers/dialects/addresses.ts'
import type { Client, Created, Resource } from '#shared/publishers/dialects/client.ts'
import { blockedText } from '#shared/publishers/reconcile/apply.ts'
import { createJournal } from '#shared/publishers/reconcile/journal.ts'
import { isInMemory } from '#shared/publishers/reconcile/unstick.ts'
import { redact } from '#shared/redact.ts'
import { otherNodeIn } from './answers.ts'
import { type Exam, type Pulled, pullEach } from './exam.ts'
import { amount, plural, type Verdict } from './report.ts'
import { FIX, fixFor } from './words.ts'

/** Whether our subscriptions exist. Returns the first verdict that applies, worst first. */
export async function checkSubscriptions(exam: Exam): Promise<Verdict> {
  const { client, call, state, wanted, plan, kinds, foreign } = exam
  const theirs = foreign.length === 0 ? '' : `; ${plural(foreign.length, 'foreign subscription')} left alone`
  const present = `${kinds.size} of ${wanted.length} subscriptions present`
  const block = plan.find((step) => step.do === 'blocked')
  if (block !== undefined)
    return ['failed', `${present}${theirs}`, blockedText(block.resource, block.by.endpoint)]

  const missing = plan.flatMap((step) => (step.do === 'create' ? [step.resource] : []))
  const wasHeld = (kind: string) => state?.subscriptions.some((one) => one.kind === kind) === true
  // SyncE is published by 4.17 to 4.19, but only 4.20 and later take a subscription to it (protocol.md §5).
  const isRefused = ({ kind }: Resource) => isSyncE(kind) && kinds.size > 0 && !wasHeld(kind)
  const isLacking = ({ kind }: Resource) => state?.lacking?.some((one) => one.kind === kind) === true
  const lost = missing.filter((one) => !isRefused(one) && !isLacking(one))
  const leftOver = plan.filter((step) => step.do === 'remove' || ('replaces' in step && step.replaces)).length
  if (lost[0] !== undefined) {
    const unlisted = `${present}, not listed: ${namesOf(lost)}; the sidecar delivers them from memory${theirs}`
    if (client.uniqueBy === 'resource' && (await isInMemory(client, lost[0].address, call)))
      return ['warning', unlisted, FIX.inMemory]
    const why = kinds.size === 0 && leftOver > 0 ? ' with the current CALLBACK_URL and CALLBACK_SECRET' : ''
    return ['failed', `${present}${why}, missing: ${namesOf(lost)}${theirs}`, FIX.subscriptionsLost]
  }
  if (leftOver > 0) return ['warning', `${present}, and ${leftOver} unwanted of ours${theirs}`, FIX.leftOver]
  const unserved = client.dialect === 'starlingx-v2' ? unservedIn(exam, present) : undefined
  if (unserved !== undefined) return unserved
  const refused = namesOf(missing.filter(isRefused))
  const lacking = namesOf(missing.filter((one) => !isRefused(one)))
  const unasked = refused === '' ? '' : ` (${refused}: not supported before 4.20)`
  const without = lacking === '' ? '' : ` (not offered by the host: ${lacking})`
  return ['ok', `${present}${unasked}${without}${theirs}`]
}

const namesOf = (resources: readonly { kind: string }[]) => resources.map(({ kind }) => kind).join(' ')

/** Who gets no events because StarlingX's sidecar only serves the first matching subscription (starlingx.md). */
function unservedIn(exam: Exam, present: string): Verdict | undefined {
  const { client, callback, wanted, held, foreign, kinds } = exam
  const own = callback.endpointFor(client.node)
  // Next to a subscription to everything, each notification arrives twice, and the first two subscriptions are served.
  const served = held.some(({ address }) => pathOf(address) === '/sync') ? 2 : 1
  const meetings = wanted
    .filter(({ kind }) => kinds.has(kind))
    .map(({ kind, address }) => {
      const place = held.findIndex((one) => one.address === address && one.endpoint === own)
      const met = foreign.filter((one) => matches(one.address, address))
      const before = met.filter((one) => held.indexOf(one) < place)
      return { kind, before, after: met.length - before.length }
    })
  const starved = meetings.filter(({ before }) => before.length >= served)
  const behind = starved.length > 0 ? starved : meetings.filter(({ before }) => before.length > 0)
  const whose = new Set(behind.flatMap(({ before }) => before.map(({ endpoint }) => redact(endpoint))))
  const text = `${present}, but another consumer is served before us: ${namesOf(behind)} (${[...whose].join(', ')})`
  if (starved.length > 0) return ['failed', text, FIX.starved]
  if (behind.length > 0) return ['warning', text, FIX.twice]
  const starving = namesOf(served === 1 ? meetings.filter(({ after }) => after > 0) : [])
  if (starving === '') return undefined
  return ['warning', `${present}, but another consumer comes after us: ${starving}`, FIX.starving]
}

/** Compares as the sidecar does: a common path prefix, of the same node, of all nodes, or of its own. */
function matches(other: string, ours: string): boolean {
  const [theirs, own] = [pathOf(other), pathOf(ours)]
  const node = other.split('/')[2]
  const isSame = node === '.' || node === '*' || node === ours.split('/')[2]
  return isSame && theirs !== undefined && own?.startsWith(theirs) === true
}

const pathOf = (address: string) => /\/sync(?:\/.*)?$/i.exec(address)?.[0].toLowerCase()

/**
 * Proves that the publisher reaches ingest, and ingest this store. v2 and StarlingX post an initial notification during
 * a create, and reject a duplicate: so we briefly create an extra subscription whose endpoint has a query. v1 has one
 * subscription per resource and only tries the endpoint with an empty body: so we post one of ours again, which changes
 * nothing (protocol.md §2.4). Returns how to wait for the store, if that is left to do.
 */
export async function checkCallback(exam: Exam): Promise<Verdict | (() => Promise<Verdict>)> {
  const { client, place, callback, ingestUp } = exam
  const pulled = chosen(exam)
  if (pulled === undefined) return ['skipped', 'the publisher offers none of the wanted resources']
  const proving = client.sendsInitial ? proveByInitial(exam, pulled) : proveByPostingAgain(exam, pulled)
  const verdict = await tried(proving)
  if (!(verdict instanceof PublisherError)) return verdict
  if (verdict.status !== 400) return ['failed', reasonOf(verdict), fixFor(verdict, place)]
  const fix = ingestUp ? FIX.way : FIX.ingest(callback.secured)
  return ['failed', `the publisher cannot deliver: ${reasonOf(verdict)}`, fix]
}

/**
 * Preferably one whose state is known; for v1, one that is subscribed to. Every release accepts the kinds other than
 * SyncE.
 */
function chosen({ client, held, kinds, pulls }: Exam): Pulled | undefined {
  const able = pulls.filter(({ resource }) => !isSyncE(resource.kind))
  if (client.uniqueBy !== 'resource') return able.find(({ said }) => said !== undefined) ?? able[0]
  const isThere = ({ resource }: Pulled) => held.some(({ address }) => address === resource.address)
  return able.find(({ resource }) => kinds.has(resource.kind)) ?? able.find(isThere) ?? able[0]
}

async function proveByInitial(exam: Exam, { resource, said }: Pulled): ReturnType<typeof checkCallback> {
  const { client, store, clock, callback, call } = exam
  const { kind, address } = resource
  const endpoint = `${callback.endpointFor(client.node)}?doctor=${exam.newId()}`
  const before = (await store.read(client.node))?.counters.received ?? 0
  const startedAt = clock.now()
  // While it may be posting, the kind is pending, so that its notification is merged correctly (design.md §3, rule 9).
  const journal = createJournal(exam.journal, client.node)
  await journal.pending(kind, client.queryTime)
  let shown = said
  let created: Created | PublisherError
  try {
    created = await tried(client.create({ address, endpoint }, call))
    // Without an answer the publisher may still be creating: the entry stands until it expires.
    if (!(created instanceof PublisherError) || created.status !== undefined) {
      journal.answered(kind)
      await journal.flush()
    }
    if (created instanceof PublisherError) throw created
    // Without another subscription, it only answers a pull while the extra one exists.
    if (created.outcome === 'created') shown ??= (await pullEach(exam, [resource]))[0]?.said
  } finally {
    await tried(removeExtra(client, endpoint))
  }
  if (created.outcome === 'exists')
    return ['skipped', `409, no second subscription is allowed. ${created.reason}`.trim(), FIX.oneEach]
  if (created.outcome === 'not-ready') return ['failed', created.reason, FIX.notReady]
  const result = 'the publisher posted an initial notification and got 204'
  if (exam.stateUrl === 'memory:') return ['warning', `${result}; this store cannot show it`, FIX.ownStore]
  if ((shown?.readings?.observations.length ?? 0) === 0)
    return ['ok', `${result}; it held no state that the store would show`]
  return async () => {
    if (await hasArrived(exam, before))
      return ['ok', `${result}; the store had it after ${amount(clock.now() - startedAt)}`]
    return ['failed', `${result}, but this store did not receive it`, FIX.otherStore(redact(endpoint))]
  }
}

/** It may have been created even without an answer. @throws PublisherError: the next poll deletes what is left. */
async function removeExtra(client: Client, endpoint: string) {
  // Not even the end of the process cuts this short.
  const call = { deadlineMs: 5_000 }
  for (const held of await client.list(call))
    if (held.endpoint === endpoint) await client.remove(held.id, call)
}

/**
 * Whether the document counts more than `before` received, within 10 s: ingest writes a mere confirmation after 5 s.
 */
async function hasArrived({ store, client, call, random }: Exam, before: number): Promise<boolean> {
  const ended = AbortSignal.any([AbortSignal.timeout(10_000), call.signal])
  for (let look = 1; ; look += 1) {
    if (((await store.read(client.node))?.counters.received ?? 0) > before) return true
    if (ended.aborted) return false
    await pause(backoffMs(look, random), ended)
  }
}

async function proveByPostingAgain(exam: Exam, { resource }: Pulled): Promise<Verdict> {
  const { client, callback, call, held } = exam
  const { address } = resource
  const created = await client.create({ address, endpoint: callback.endpointFor(client.node) }, call)
  const isNew = !held.some((one) => one.address === address)
  if (isNew && created.outcome === 'created') {
    // Only subscribed resources can be pulled: now the answer shows which node this is.
    const other = otherNodeIn(await pullEach(exam, [resource]), client.node)
    if (other !== undefined) {
      await client.remove(created.id, call)
      const result = `this is the sidecar of node ${other}. The subscription that showed it was deleted again`
      return ['failed', result, FIX.otherNode(other, client.node)]
    }
  }
  const isListed = async () => (await client.list(call)).some((one) => one.address === address)
  const made = isNew && (await isListed()) ? '; that created the missing subscription' : ''
  const result = `the sidecar tried our endpoint and got 204${made}. It sends no state with it: \`events\` shows whether some arrived`
  return ['ok', result]
}
