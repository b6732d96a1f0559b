import { PublisherError, reasonOf } from '#shared/errors.ts'
import { pause } from '#shared/publishers/backoff.ts'
import { isSyncE } from '#shared/publishers/dialects/addresses.ts'
import type { Created, Resource } from '#shared/publishers/dialects/client.ts'
import { createJournal } from '#shared/publishers/reconcile/journal.ts'
import { redact } from '#shared/redact.ts'
import type { NodeState } from '#shared/state/document.ts'
import { fixFor } from '../advice.ts'
import type { DoctorDeps, Listed } from '../exam.ts'
import type { Verdict } from '../report.ts'
import { otherNodeIn, type Pulled, pullOne } from './state.ts'

/** How long the store may take to show a notification: ingest writes a mere confirmation after 5 s. Milliseconds. */
const ARRIVAL_MS = 10_000
/** Between looks at the store: the first and the longest, in ms. */
const LOOK_MS = 150
const LONGEST_LOOK_MS = 2_000
/** Limit for deleting the extra subscription, in ms; not even the end of the process shortens it. */
const CLEANUP_MS = 5_000

/**
 * Proves that the publisher reaches ingest, and ingest this store.
 *
 * v2 and StarlingX post an initial notification while they create a subscription, and refuse an equal one: so we create
 * an extra one for a moment, whose endpoint has a query. If it is left behind, the next poll deletes it.
 *
 * v1 has one subscription for each resource and only tries the endpoint, with an empty body: so we post one of ours
 * again, which changes nothing (protocol.md §2.4). One that was made under a wrong name is deleted again.
 *
 * Gives the verdict, or how to wait for the store, during which nobody is asked anything.
 */
export async function checkCallback(
  listed: Listed,
  pulls: readonly Pulled[],
): Promise<Verdict | (() => Promise<Verdict>)> {
  const { client, place, deps } = listed
  const resource = chosen(listed, pulls)
  if (resource === undefined) return ['skipped', 'the publisher offers none of the wanted resources']
  try {
    return await (client.sendsInitial
      ? proveByInitial(listed, resource, pulls)
      : proveByPostingAgain(listed, resource))
  } catch (error) {
    if (!(error instanceof PublisherError)) throw error
    if (error.status !== 400) return ['failed', reasonOf(error), fixFor(error, place)]
    return ['failed', `the publisher cannot deliver: ${reasonOf(error)}`, fixDelivery(deps)]
  }
}

/** Best one whose state is known; at v1 one that is there. Every release takes the kinds that are not SyncE. */
function chosen({ client, wanted, held, kinds }: Listed, pulls: readonly Pulled[]): Resource | undefined {
  const able = wanted.filter(({ kind }) => !isSyncE(kind))
  const answered = pulls.flatMap(({ answer, resource }) => (answer.outcome === 'answered' ? [resource] : []))
  const best =
    client.uniqueBy === 'resource'
      ? (able.find(({ kind }) => kinds.has(kind)) ??
        able.find(({ address }) => held.some((one) => one.address === address)))
      : able.find((resource) => answered.includes(resource))
  return best ?? able[0]
}

async function proveByInitial(
  listed: Listed,
  resource: Resource,
  pulls: readonly Pulled[],
): Promise<Verdict | (() => Promise<Verdict>)> {
  const { client, deps, call } = listed
  const endpoint = `${deps.callback.endpointFor(client.node)}?doctor=${deps.newId()}`
  const before = await deps.store.read(client.node)
  const startedAt = deps.clock.now()
  const known = pulls.find((one) => one.resource === resource)?.answer
  // Where nobody is subscribed, it answers a pull only while the extra one is there.
  const pull = async () =>
    known?.outcome === 'answered' ? known : (await pullOne(client, resource, call)).answer
  const { created, result: answer } = await withExtra(listed, resource, endpoint, pull)
  if (created.outcome === 'exists')
    return ['skipped', `409, no second subscription is allowed. ${created.reason}`.trim(), ONE_EACH]
  if (created.outcome === 'not-ready') return ['failed', created.reason, NOT_READY]
  const result = 'the publisher posted an initial notification and got 204'
  if (deps.ownStore) return ['warning', `${result}; this store cannot show it`, OTHER_STORE]
  if (answer?.outcome !== 'answered' || (answer.readings?.observations.length ?? 0) === 0)
    return ['ok', `${result}; it held no state that the store would show`]
  return async () => {
    const isThere = await hasArrived(listed, before)
    const tookMs = deps.clock.now() - startedAt
    const took = tookMs < 1_000 ? `${tookMs} ms` : `${(tookMs / 1_000).toFixed(1)} s`
    if (isThere) return ['ok', `${result}; the store had it after ${took}`]
    const fix = `Check what answers at ${redact(endpoint)}: if it is our ingest, it uses another STATE_URL, or its store is slow: see its log`
    return ['failed', `${result}, but this store did not receive it`, fix]
  }
}

const ONE_EACH =
  'None needed if events arrive: releases before 2024-12 allow one subscription for each resource, and ours is there'
const NOT_READY = 'This takes some seconds after a start, and health does not show it: run doctor again'
const OTHER_STORE = 'Set STATE_URL to the store of ingest: the present one is in the memory of this process'

/** Until the document shows that something was received since `before`. */
async function hasArrived({ deps, client, call }: Listed, before: NodeState | undefined): Promise<boolean> {
  const over = AbortSignal.timeout(ARRIVAL_MS)
  const ended = call.signal === undefined ? over : AbortSignal.any([call.signal, over])
  for (let waitMs = LOOK_MS; ; waitMs = Math.min(waitMs * 2, LONGEST_LOOK_MS)) {
    const now = await deps.store.read(client.node)
    if (now !== undefined && now.counters.received > (before?.counters.received ?? 0)) return true
    if (ended.aborted) return false
    await pause(waitMs, ended)
  }
}

/**
 * Creates an extra subscription, does `meanwhile`, and deletes it again, whatever happens. As long as the publisher may
 * be posting its initial notification, the document has its kind as pending, so that it merges as what it is
 * (design.md §3, rule 9).
 */
async function withExtra<T>(
  { deps, client, call }: Listed,
  { kind, address }: Resource,
  endpoint: string,
  meanwhile: () => Promise<T>,
): Promise<{ created: Created; result: T | undefined }> {
  const journal = createJournal(deps, client.node)
  await journal.pending(kind, client.queryTime)
  let created: Created | undefined
  const answered = () => {
    journal.answered(kind)
    return journal.flush()
  }
  try {
    created = await client.create({ address, endpoint }, call)
    await answered()
    return { created, result: created.outcome === 'created' ? await meanwhile() : undefined }
  } catch (error) {
    // Without an answer the publisher may still be creating: the entry stands until it expires.
    if (created === undefined && error instanceof PublisherError && error.status !== undefined)
      await answered()
    throw error
  } finally {
    await removeExtra(client, created, endpoint)
  }
}

async function removeExtra(
  client: Listed['client'],
  created: Created | undefined,
  endpoint: string,
): Promise<void> {
  const call = { deadlineMs: CLEANUP_MS }
  try {
    if (created?.outcome === 'created') await client.remove(created.id, call)
    if (created !== undefined) return
    // It may have been created all the same.
    for (const held of await client.list(call))
      if (held.endpoint === endpoint) await client.remove(held.id, call)
  } catch (error) {
    // The next poll deletes it.
    if (!(error instanceof PublisherError)) throw error
  }
}

async function proveByPostingAgain(listed: Listed, { kind, address }: Resource): Promise<Verdict> {
  const { client, deps, call, held, kinds } = listed
  const created = await client.create({ address, endpoint: deps.callback.endpointFor(client.node) }, call)
  const isNew = !held.some((one) => one.address === address)
  if (isNew && created.outcome === 'created') {
    // Only what is subscribed to can be pulled: now it tells which node this is.
    const other = otherNodeIn(client, [await pullOne(client, { kind, address }, call)])
    if (other !== undefined) {
      await client.remove(created.id, call)
      const fix = `Set \`node\` to ${other} in PUBLISHERS, or \`url\` to the sidecar of ${client.node}. The subscription that showed it was deleted again`
      return ['failed', `this is the sidecar of node ${other}`, fix]
    }
  }
  const isListed = async () => (await client.list(call)).some((one) => one.address === address)
  const made =
    isNew && !kinds.has(kind) && (await isListed()) ? '; that created the missing subscription' : ''
  return ['ok', `the sidecar tried our endpoint and got 204${made}. ${NO_STATE}`]
}

const NO_STATE = 'It sends no state with it: `events` shows whether some arrived'

function fixDelivery({ ingestUp, callback }: DoctorDeps): string {
  const reach = 'CALLBACK_URL must lead to ingest from where the publisher runs'
  if (ingestUp)
    return `Ingest answers from here, so check the way from the publisher's pod: network policies, DNS, a proxy in its environment, a slow start of ingest (it waits 2 s). ${reach}`
  return `Check that ingest runs${callback.secured ? ' with the same CALLBACK_SECRET' : ''}. ${reach}`
}
