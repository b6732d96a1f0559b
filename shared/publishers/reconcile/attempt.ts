import type { Callback } from '#shared/callback.ts'
import { PublisherError, reasonOf } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import type { Clock } from '#shared/time.ts'
import { type Applied, applyPlan, blocked } from './apply.ts'
import type { CallOptions, Client, Resource } from '#shared/publishers/dialects/client.ts'
import { type Lacking, stillLacking } from './lacking.ts'
import { othersIn, ownerOf, planOf, removalPlanOf, type Situation, type Step } from './plan.ts'
import type { Proof } from './proof.ts'
import type { Record } from './journal.ts'
import type { Registry } from '#shared/publishers/dialects/registry.ts'
import { nodesNamed } from '#shared/publishers/dialects/addresses.ts'
import { placeOf, type Target } from '#shared/publishers/target.ts'

/** What one try at one publisher came to. */
export type Tried = {
  /** Undefined where it could not be found out what it speaks, or it stopped answering. */
  readonly client: Client | undefined
  readonly resources: readonly Resource[]
  readonly plan: readonly Step[]
  readonly applied: Applied | undefined
  /** What the tries before it in the same run have done. */
  readonly earlier?: Applied | undefined
  /** For people, redacted. */
  readonly problems: readonly string[]
  /** What its host lacks, found now or before. */
  readonly lacking: readonly Lacking[]
  readonly strangers: number
  /** What works but needs looking after; for people, redacted. */
  readonly notes: readonly string[]
  /** A later try may succeed. */
  readonly again: boolean
  readonly reachable: boolean
  /** The publisher's node has another name than the configured one. */
  readonly mismatch: boolean
}

export const NOTHING_TRIED = {
  client: undefined,
  resources: [],
  plan: [],
  applied: undefined,
  problems: [],
  lacking: [],
  notes: [],
  strangers: 0,
  again: false,
  reachable: true,
  mismatch: false,
} as const satisfies Tried

/**
 * One try, from learning what the publisher offers to the end. What it leaves to `record` is not written yet.
 * Throws PublisherError and StoreError.
 */
export type Attempt = (
  target: Target,
  record: Record,
  call: CallOptions,
  options: { readonly dryRun: boolean; readonly proof: Proof['outcome'] | 'refused' },
) => Promise<Tried>

export type AttemptDeps = {
  readonly registry: Registry
  readonly callback: Callback
  readonly clock: Clock
  readonly log: Log
}

/** Brings the subscriptions of a publisher to plan. `configured`: the nodes of every configured publisher. */
export function createKeepAttempt(
  deps: AttemptDeps,
  options: { kinds: readonly string[]; configured: ReadonlySet<string> },
): Attempt {
  const { registry, callback, log, clock } = deps

  return async (target, record, call, { dryRun, proof }) => {
    const client = await registry.client(target, call)
    const tried: Tried = { ...NOTHING_TRIED, client }
    const offer = await client.offer(options.kinds, call)
    if (offer.outcome === 'not-ready') return { ...tried, problems: [offer.reason], again: true }
    if (offer.node !== undefined && offer.node !== target.node) {
      return { ...tried, ...misnamed(target, offer.node) }
    }
    const { unpublished, node: ownName } = offer
    const held = await client.list(call)
    const remembered = record.remembered()
    const before = remembered ?? (await record.read())
    const known = stillLacking(before, client, clock.now())
    const skipped = known.map(({ kind }) => kind)
    const resources = offer.resources.filter(({ kind }) => !skipped.includes(kind))
    const situation: Situation = {
      node: target.node,
      facts: client,
      wanted: resources,
      unpublished: [...unpublished, ...skipped],
      ownName,
      held,
      callback,
      configured: options.configured,
    }
    const plan = planOf(situation)
    const strangers = othersIn(situation).length
    const looked = { ...tried, resources, plan, strangers, lacking: known }
    // Where it holds subscriptions it can tell its name before anything is done under a wrong one.
    const early =
      client.listProves || held.length === 0 ? undefined : await checkName(client, resources, call)
    if (early?.outcome === 'other') return { ...looked, ...misnamed(target, early.name), resources: [] }
    if (dryRun) return { ...looked, problems: blockedIn(plan) }
    // A publisher is asked for nothing with a token that ingest does not take; what is there may well work.
    if (proof === 'refused') return looked

    const isFresh = remembered === undefined
    const applied = await applyPlan(
      { client, record, log, clock, before, isFresh, proof },
      plan,
      situation,
      call,
    )
    if (applied.failure !== undefined) {
      // What it offers is known: that it takes no subscription just now must not keep it from being pulled.
      const { again, reachable, reason } = consequencesOf(registry, target, applied.failure)
      return { ...looked, applied, problems: [...applied.problems, reason], again, reachable }
    }
    const lacking = [...known, ...applied.lacking]
    if (applied.lacking.length > 0) record.lacking(lacking)
    for (const { kind } of applied.lacking) {
      if (before?.lacking?.some((one) => one.kind === kind)) continue
      log.info('Not offered by the host: no subscription to it', { node: target.node, kind })
    }
    // Those that answer are pulled all the same: that they have no clock is worth knowing, and so is their first one.
    const pulled = offer.resources.filter(({ kind }) =>
      lacking.every((one) => one.kind !== kind || one.answers),
    )
    const { problems, again } = applied
    const notes = await notesOn(client, plan, applied, call)
    const done = { ...looked, resources: pulled, lacking, applied, problems, notes, again }
    if (client.listProves) return done

    const isTold = early !== undefined && early.outcome !== 'unknown'
    const check = isTold ? early : await checkName(client, resources, call)
    switch (check.outcome) {
      case 'own':
        // That the sidecar took our endpoint is as good a proof.
        if (applied.held.size > 0) await removeStale(client, situation, applied, call)
        return done
      case 'unknown':
        return done
      case 'other':
        // What it says is that node's: it is not pulled.
        return { ...done, ...misnamed(target, check.name), resources: [] }
      case 'failed':
        return {
          ...done,
          problems: [...done.problems, reasonOf(check.error)],
          again: done.again || check.error.retryable,
          reachable: false,
        }
    }
  }
}

/** Takes all of ours away from a publisher. */
export function createRemoveAttempt(deps: AttemptDeps, configured: ReadonlySet<string>): Attempt {
  const { registry, callback, log, clock } = deps
  return async (target, record, call, { dryRun }) => {
    const client = await registry.client(target, call)
    const situation: Situation = {
      node: target.node,
      facts: client,
      wanted: [],
      unpublished: [],
      ownName: undefined,
      held: await client.list(call),
      callback,
      configured,
    }
    const plan = removalPlanOf(situation)
    const looked = { ...NOTHING_TRIED, client, plan, strangers: othersIn(situation).length }
    if (dryRun) return looked
    const remembered = record.remembered()
    const before = remembered ?? (await record.read())
    const isFresh = remembered === undefined
    const applied = await applyPlan(
      { client, record, log, clock, before, isFresh, proof: 'proven' },
      plan,
      situation,
      call,
    )
    if (applied.failure !== undefined) throw applied.failure
    const notes = await leftInMemory(client, plan, applied, call)
    return { ...looked, applied, problems: applied.problems, notes, again: applied.again }
  }
}

/** What follows from a publisher that did not answer as it should. One that answers otherwise may have been upgraded. */
export function consequencesOf(
  registry: Pick<Registry, 'forget'>,
  target: Target,
  error: PublisherError,
): { reason: string; again: boolean; reachable: boolean } {
  const reachable = error.code === 'status' || error.code === 'body'
  if (reachable) registry.forget(target)
  return { reason: reasonOf(error), again: error.retryable, reachable }
}

type NameCheck =
  | { readonly outcome: 'own' | 'unknown' }
  | { readonly outcome: 'other'; readonly name: string }
  | { readonly outcome: 'failed'; readonly error: PublisherError }

/**
 * v1 answers pulls of a wrong node name with the real node's values, and never pushes (protocol.md §2.5). The same
 * pull shows whether the publisher behind the sidecar is there at all.
 */
async function checkName(
  client: Client,
  [first]: readonly Resource[],
  call: CallOptions,
): Promise<NameCheck> {
  if (first === undefined) return { outcome: 'unknown' }
  try {
    const state = await client.currentState(first.address, call)
    const names = state.outcome === 'answered' ? nodesNamed(state.body) : []
    const [name] = names
    if (name === undefined) return { outcome: 'unknown' }
    return names.includes(client.node) ? { outcome: 'own' } : { outcome: 'other', name }
  } catch (error) {
    if (!(error instanceof PublisherError)) throw error
    return { outcome: 'failed', error }
  }
}

/** A v1 sidecar that delivers from memory what its list, and so its next start, does not know (protocol.md §2.4). */
const UNLISTED =
  'the sidecar delivers these from memory but does not list them, and forgets them when it restarts. Restart it (its pod): the next poll or subscribe then creates them'

const STILL_DELIVERED =
  'the sidecar still holds deleted subscriptions in memory and delivers them until it restarts: restart it (its pod)'

/** Whether a v1 sidecar lists what it has just said it made. */
async function notesOn(
  client: Client,
  plan: readonly Step[],
  applied: Applied,
  call: CallOptions,
): Promise<readonly string[]> {
  const made = plan.flatMap((step) => (step.do === 'create' ? [step.resource] : []))
  const held = made.filter(({ kind }) => applied.held.has(kind))
  if (client.uniqueBy !== 'resource' || held.length === 0) return []
  const listed = await client.list(call).catch(ignoring)
  if (listed === undefined) return []
  const unlisted = held.filter(({ address }) => !listed.some((one) => one.address === address))
  if (unlisted.length === 0) return []
  return [`${unlisted.map(({ kind }) => kind).join(' ')}: ${UNLISTED}`]
}

/** A v1 sidecar answers pulls of what it holds in memory. */
async function leftInMemory(
  client: Client,
  plan: readonly Step[],
  applied: Applied,
  call: CallOptions,
): Promise<readonly string[]> {
  const [first] = plan.flatMap((step) => (step.do === 'remove' ? [step.subscription.address] : []))
  if (client.uniqueBy !== 'resource' || applied.removed === 0 || first === undefined) return []
  return (await isInMemory(client, first, call)) ? [STILL_DELIVERED] : []
}

/** Whether a v1 sidecar holds a subscription to a resource in memory, listed or not. */
export async function isInMemory(client: Client, address: string, call: CallOptions): Promise<boolean> {
  const state = await client.currentState(address, call).catch(ignoring)
  return state !== undefined && !(state.outcome === 'none' && state.cause === 'not-subscribed')
}

function ignoring(error: unknown): undefined {
  if (!(error instanceof PublisherError)) throw error
}

/** What a wrong node name left at a sidecar can be told only now that the publisher's own name is certain. */
async function removeStale(
  client: Client,
  situation: Situation,
  applied: Applied,
  call: CallOptions,
): Promise<void> {
  const certain = { ...situation, ownName: situation.node }
  for (const held of situation.held) {
    if (ownerOf(held, situation) !== 'stranger' || ownerOf(held, certain) !== 'stale') continue
    if (await client.remove(held.id, call)) applied.removed += 1
  }
}

function blockedIn(plan: readonly Step[]): string[] {
  return plan.flatMap((step) => (step.do === 'blocked' ? [blocked(step.resource, step.by.endpoint)] : []))
}

function misnamed(target: Target, name: string): Pick<Tried, 'problems' | 'mismatch'> {
  const problem = `the publisher at ${placeOf(target.url).shown} is that of node ${name}, configured as ${target.node}: set \`node\` to ${name}`
  return { problems: [problem], mismatch: true }
}
