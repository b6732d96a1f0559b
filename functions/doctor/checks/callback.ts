import { PublisherError, reasonOf, tried } from '#shared/errors.ts'
import { pause } from '#shared/publishers/backoff.ts'
import { isSyncE } from '#shared/publishers/dialects/addresses.ts'
import type { Created, Resource } from '#shared/publishers/dialects/client.ts'
import { createJournal } from '#shared/publishers/reconcile/journal.ts'
import { redact } from '#shared/redact.ts'
import { amount, type Exam, type Pulled, pullAll, type Verdict } from '../exam.ts'
import { FIX, fixFor } from '../words.ts'
import { otherNodeIn } from './state.ts'

/** How long the store may take to show a notification: ingest writes a mere confirmation after 5 s. Milliseconds. */
const ARRIVAL_MS = 10_000
/** Between looks at the store: the first and the longest, in ms. */
const LOOK_MS = 150
const LONGEST_LOOK_MS = 2_000
/** Limit for deleting the extra subscription, in ms; not even the end of the process shortens it. */
const CLEANUP_MS = 5_000

/** How to wait for the store, during which the publisher is asked nothing. */
type Waiting = () => Promise<Verdict>

/**
 * Proves that the publisher reaches ingest, and ingest this store.
 *
 * v2 and StarlingX post an initial notification while they create a subscription, and refuse an equal one: so we create
 * an extra one for a moment, whose endpoint has a query. If it is left behind, the next poll deletes it.
 *
 * v1 has one subscription for each resource and only tries the endpoint, with an empty body: so we post one of ours
 * again, which changes nothing (protocol.md §2.4). One that was made under a wrong name is deleted again.
 */
export async function checkCallback(exam: Exam): Promise<Verdict | Waiting> {
  const { client, place, callback, ingestUp } = exam
  const pulled = chosen(exam)
  if (pulled === undefined) return ['skipped', 'the publisher offers none of the wanted resources']
  const verdict = await tried(
    client.sendsInitial ? proveByInitial(exam, pulled) : proveByPostingAgain(exam, pulled.resource),
  )
  if (!(verdict instanceof PublisherError)) return verdict
  if (verdict.status !== 400) return ['failed', reasonOf(verdict), fixFor(verdict, place)]
  const fix = ingestUp ? FIX.way : FIX.ingest(callback.secured)
  return ['failed', `the publisher cannot deliver: ${reasonOf(verdict)}`, fix]
}

/** Best one whose state is known; at v1 one that is there. Every release takes the kinds that are not SyncE. */
function chosen({ client, held, kinds, pulls }: Exam): Pulled | undefined {
  const able = pulls.filter(({ resource }) => !isSyncE(resource.kind))
  if (client.uniqueBy !== 'resource') return able.find(({ said }) => said !== undefined) ?? able[0]
  const isThere = ({ resource }: Pulled) => held.some(({ address }) => address === resource.address)
  return able.find(({ resource }) => kinds.has(resource.kind)) ?? able.find(isThere) ?? able[0]
}

async function proveByInitial(exam: Exam, { resource, said }: Pulled): Promise<Verdict | Waiting> {
  const { client, store, clock, callback, call } = exam
  const { kind, address } = resource
  const endpoint = `${callback.endpointFor(client.node)}?doctor=${exam.newId()}`
  const before = (await store.read(client.node))?.counters.received ?? 0
  const startedAt = clock.now()
  // As long as it may be posting, the kind is pending, so that it merges as what it is (design.md §3, rule 9).
  const journal = createJournal(exam.journal, client.node)
  await journal.pending(kind, client.queryTime)
  let shown = said
  let created: Created | PublisherError | undefined
  try {
    created = await tried(client.create({ address, endpoint }, call))
    // Without an answer the publisher may still be creating: the entry stands until it expires.
    if (!(created instanceof PublisherError) || created.status !== undefined) {
      journal.answered(kind)
      await journal.flush()
    }
    if (created instanceof PublisherError) throw created
    // Where nobody is subscribed, it answers a pull only while the extra one is there.
    if (created.outcome === 'created') shown ??= (await pullAll(exam, [resource]))[0]?.said
  } finally {
    await tried(removeExtra(exam, created, endpoint))
  }
  if (created.outcome === 'exists') {
    const found = `409, no second subscription is allowed. ${created.reason}`
    return ['skipped', found.trim(), FIX.oneEach]
  }
  if (created.outcome === 'not-ready') return ['failed', created.reason, FIX.notReady]
  const result = 'the publisher posted an initial notification and got 204'
  if (exam.ownStore) return ['warning', `${result}; this store cannot show it`, FIX.ownStore]
  if ((shown?.readings?.observations.length ?? 0) === 0)
    return ['ok', `${result}; it held no state that the store would show`]
  return async () => {
    if (await hasArrived(exam, before))
      return ['ok', `${result}; the store had it after ${amount(clock.now() - startedAt)}`]
    return ['failed', `${result}, but this store did not receive it`, FIX.otherStore(redact(endpoint))]
  }
}

/** @throws PublisherError if it could not be deleted: the next poll deletes it. */
async function removeExtra(
  { client }: Exam,
  created: Created | PublisherError | undefined,
  endpoint: string,
) {
  const call = { deadlineMs: CLEANUP_MS }
  if (created !== undefined && 'outcome' in created) {
    if (created.outcome === 'created') await client.remove(created.id, call)
    return
  }
  // Without an answer it may have been created all the same.
  for (const held of await client.list(call))
    if (held.endpoint === endpoint) await client.remove(held.id, call)
}

/** Until the document shows that more than `before` was received. */
async function hasArrived({ store, client, call }: Exam, before: number): Promise<boolean> {
  const ended = AbortSignal.any([AbortSignal.timeout(ARRIVAL_MS), ...(call.signal ? [call.signal] : [])])
  for (let waitMs = LOOK_MS; ; waitMs = Math.min(waitMs * 2, LONGEST_LOOK_MS)) {
    const now = await store.read(client.node)
    if (now !== undefined && now.counters.received > before) return true
    if (ended.aborted) return false
    await pause(waitMs, ended)
  }
}

async function proveByPostingAgain(exam: Exam, resource: Resource): Promise<Verdict> {
  const { client, callback, call, held, kinds } = exam
  const { kind, address } = resource
  const created = await client.create({ address, endpoint: callback.endpointFor(client.node) }, call)
  const isNew = !held.some((one) => one.address === address)
  if (isNew && created.outcome === 'created') {
    // Only what is subscribed to can be pulled: now it tells which node this is.
    const other = otherNodeIn(await pullAll(exam, [resource]), client.node)
    if (other !== undefined) {
      await client.remove(created.id, call)
      const result = `this is the sidecar of node ${other}. The subscription that showed it was deleted again`
      return ['failed', result, FIX.otherNode(other, client.node)]
    }
  }
  const isListed = async () => (await client.list(call)).some((one) => one.address === address)
  const made =
    isNew && !kinds.has(kind) && (await isListed()) ? '; that created the missing subscription' : ''
  const result = `the sidecar tried our endpoint and got 204${made}. It sends no state with it: \`events\` shows whether some arrived`
  return ['ok', result]
}
