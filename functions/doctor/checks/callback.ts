import { PublisherError } from '#shared/errors.ts'
import type { CallOptions, Resource } from '#shared/publishers/dialects/client.ts'
import { pause } from '#shared/publishers/backoff.ts'
import type { RecordDeps } from '#shared/publishers/reconcile/journal.ts'
import { isSyncE } from '#shared/publishers/dialects/addresses.ts'
import { redact } from '#shared/redact.ts'
import type { Callback } from '#shared/callback.ts'
import type { NodeState } from '#shared/state/document.ts'
import { adviceOn, answerIn } from '../advice.ts'
import { withExtra } from './extra.ts'
import type { Report } from '../report.ts'
import type { Pulled } from './pulls.ts'
import { otherNodeIn, pullOne } from './pulls.ts'
import type { Reached } from './reach.ts'
import type { Held } from './subscriptions.ts'

export type CallbackDeps = RecordDeps & {
  readonly callback: Callback
  readonly newId: () => string
  /** Whether the callback answered us from here; undefined where it was not asked. */
  readonly answersHere: boolean | undefined
  /** Nobody else writes to this store: it cannot show what ingest received. */
  readonly ownStore: boolean
  /** How long the store may take to show a notification, in ms. Counters alone wait for some seconds in ingest. */
  readonly arrivalMs?: number
}

/** What is left to do once nothing more is asked. */
export type Later = () => Promise<void>

/** Between looks at the store, in ms: the first, and the longest. */
const LOOK_MS = 150
const LONGEST_LOOK_MS = 2_000

/**
 * Proves that the publisher reaches ingest, and ingest this store.
 *
 * v2 and StarlingX post an initial notification while they create a subscription, and equal ones are refused: so one
 * more is made for a moment, whose endpoint has a query of its own. Those of the plan are not touched. Should it be
 * left behind, it counts as ours and as too many: the next poll takes it away.
 *
 * v1 has one subscription for a resource and only tries the endpoint, with an empty body: so one of ours is posted
 * again, which gives it back as it is (protocol.md §2.4). Only one that was made under a wrong name is deleted again.
 *
 * Gives what is left to do: to wait for the store, during which nobody is asked anything.
 */
export async function checkCallback(
  report: Report,
  reached: Reached,
  held: Held,
  pulls: readonly Pulled[],
  deps: CallbackDeps,
  call: CallOptions,
): Promise<Later | undefined> {
  const resource = chosen(reached, held, pulls)
  if (resource === undefined) {
    report.skipped('callback', 'a subscription to prove it by', 'it offers none of the wanted resources')
    return undefined
  }
  const asked = `POST ${reached.place.shown}/…/subscriptions, ${resource.kind} to our endpoint`
  try {
    return await (reached.client.sendsInitial
      ? proveByInitial(report, asked, reached, resource, pulls, deps, call)
      : proveByPostingAgain(report, asked, reached, held, resource, deps, call))
  } catch (error) {
    if (!(error instanceof PublisherError)) throw error
    const delivery = error.status === 400
    const { came, todo } = delivery
      ? { came: `it could not deliver: ${answerIn(error)}`, todo: onRefusal(deps) }
      : adviceOn(error, reached.place)
    report.failed('callback', asked, came, todo)
    return undefined
  }
}

/** One whose state is known tells most; v1 posts again what is there. Every release takes the first kinds. */
function chosen(
  { client }: Reached,
  { situation, kinds }: Held,
  pulls: readonly Pulled[],
): Resource | undefined {
  const able = situation.wanted.filter(({ kind }) => !isSyncE(kind))
  if (client.uniqueBy === 'resource') {
    const there = situation.held.map(({ address }) => address)
    return (
      able.find(({ kind }) => kinds.has(kind)) ??
      able.find(({ address }) => there.includes(address)) ??
      able[0]
    )
  }
  const told = pulls.flatMap(({ outcome, resource }) => (outcome === 'answered' ? [resource.kind] : []))
  return able.find(({ kind }) => told.includes(kind)) ?? able[0]
}

async function proveByInitial(
  report: Report,
  asked: string,
  { client }: Reached,
  resource: Resource,
  pulls: readonly Pulled[],
  deps: CallbackDeps,
  call: CallOptions,
): Promise<Later | undefined> {
  const endpoint = `${deps.callback.endpointFor(client.node)}?doctor=${deps.newId()}`
  const before = await deps.store.read(client.node)
  const startedAt = deps.clock.now()
  const known = pulls.find((one) => one.resource === resource)
  // Where nobody else is subscribed, it answers now.
  const pull = async () => (known?.outcome === 'answered' ? known : await pullOne(client, resource, call))
  const { created, result: pulled } = await withExtra(deps, client, resource, endpoint, call, pull)
  switch (created.outcome) {
    case 'created':
    case 'foreign':
      break
    case 'exists': {
      const todo =
        'Nothing to do if events come: releases of before 2024-12 take one subscription for a resource, and ours is there'
      report.skipped(
        'callback',
        asked,
        `409: it takes no second subscription. ${created.reason}`.trim(),
        todo,
      )
      return undefined
    }
    case 'not-ready': {
      const todo = 'It takes some seconds after a start; ask again. Its health does not show it'
      report.failed('callback', asked, created.reason, todo)
      return undefined
    }
  }
  const came = 'it posted the initial notification and got 204'
  if (deps.ownStore) {
    const todo = 'Set STATE_URL to the store of ingest: this one is in the memory of this process'
    report.warning('callback', asked, `${came}; this store cannot show it`, todo)
    return undefined
  }
  const isTold = pulled?.outcome === 'answered' && (pulled.read?.observations.length ?? 0) > 0
  if (!isTold) {
    report.ok('callback', asked, `${came}; it had no state to tell that the store would show`)
    return undefined
  }
  return async () => {
    if (await hasArrived(before, client.node, deps, call.signal)) {
      const tookMs = deps.clock.now() - startedAt
      const took = tookMs < 1_000 ? `${tookMs} ms` : `${(tookMs / 1_000).toFixed(1)} s`
      report.ok('callback', asked, `${came}; ${took} later the store had it`)
      return
    }
    const todo = `Who answers at ${redact(endpoint)}? If it is our ingest, it has another STATE_URL than this process, or its store is behind: look into its log`
    report.failed('callback', asked, `${came}, but this store has no trace of it`, todo)
  }
}

/** Until the document shows that something was received since `before`. */
async function hasArrived(
  before: NodeState | undefined,
  node: string,
  { store, arrivalMs = 10_000 }: CallbackDeps,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const over = AbortSignal.timeout(arrivalMs)
  const ended = signal === undefined ? over : AbortSignal.any([signal, over])
  for (let waitMs = LOOK_MS; ; waitMs = Math.min(waitMs * 2, LONGEST_LOOK_MS)) {
    const now = await store.read(node)
    if (now !== undefined && now.counters.received > (before?.counters.received ?? 0)) return true
    if (ended.aborted) return false
    await pause(waitMs, ended)
  }
}

async function proveByPostingAgain(
  report: Report,
  asked: string,
  { client }: Reached,
  { situation, kinds }: Held,
  { kind, address }: Resource,
  deps: CallbackDeps,
  call: CallOptions,
): Promise<undefined> {
  const endpoint = deps.callback.endpointFor(client.node)
  const created = await client.create({ address, endpoint }, call)
  const isNew = !situation.held.some((held) => held.address === address)
  if (isNew && created.outcome === 'created') {
    // Only what is subscribed to can be pulled: now it tells which node this is.
    const pulled = await pullOne(client, { kind, address }, call)
    const other = otherNodeIn(client, [pulled])
    if (other !== undefined) {
      await client.remove(created.id, call)
      report.failed(
        'callback',
        asked,
        `the sidecar is that of node ${other}`,
        `Set \`node\` to ${other} in PUBLISHERS, or \`url\` to the sidecar of ${client.node}. The subscription that showed it was deleted again`,
      )
      return undefined
    }
  }
  const isListed = async () => (await client.list(call)).some((one) => one.address === address)
  const made =
    isNew && !kinds.has(kind) && (await isListed())
      ? `; the subscription, which was missing, is there now`
      : ''
  report.ok(
    'callback',
    asked,
    `the sidecar tried our endpoint and got 204${made}. It sends no state with it: \`events\` shows whether some came`,
  )
}

function onRefusal({ answersHere, callback }: CallbackDeps): string {
  const reach = 'CALLBACK_URL must lead to ingest from where the publisher runs'
  if (answersHere === true) {
    return `Ingest answers from here, so look at the way from the publisher's pod: network policies, DNS, a proxy in its environment, a slow start of ingest (it gives us 2 s). ${reach}`
  }
  const secret = callback.secured ? ', and has it the same CALLBACK_SECRET' : ''
  return `Does ingest run${secret}? ${reach}`
}
