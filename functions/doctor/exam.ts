import dns from 'node:dns'
import { isIP } from 'node:net'
import { promisify } from 'node:util'
import type { Config } from '#shared/config/index.ts'
import { PublisherError, reasonOf, tried } from '#shared/errors.ts'
import { nodeOfAddress } from '#shared/publishers/dialects/addresses.ts'
import type { Client, Resource } from '#shared/publishers/dialects/client.ts'
import { RED_HAT_V1_BASE } from '#shared/publishers/dialects/red-hat-v1.ts'
import { RED_HAT_V2_BASE } from '#shared/publishers/dialects/red-hat-v2.ts'
import { unexpected } from '#shared/publishers/dialects/wire.ts'
import type { Publishers } from '#shared/publishers/open.ts'
import { foreignIn, planOf } from '#shared/publishers/reconcile/plan.ts'
import { placeOf, type Target } from '#shared/publishers/target.ts'
import type { Host } from '#shared/runtime/function.ts'
import type { Store } from '#shared/state/store/store.ts'
import { plural, type Check, type Verdicts } from './report.ts'
import { FIX, fixFor } from './words.ts'

/** What the checks of all publishers share. */
export type Doctor = Pick<Publishers, 'registry' | 'http' | 'others' | 'callback' | 'journal'> &
  Host &
  Config & {
    readonly store: Pick<Store, 'read' | 'log'>
    readonly signal: AbortSignal
    /** Discovered publishers whose node name is not known yet, with the reason. */
    readonly unnamed: ReadonlyMap<Target, string>
    /** The nodes of every configured publisher. */
    readonly configured: ReadonlySet<string>
    readonly storeUp: boolean
    /** Ingest answered a request from here. */
    readonly ingestUp: boolean
  }

/** The later checks of a publisher are not possible; a verdict says why. */
export class Stop extends Error {}

export type Exam = Awaited<ReturnType<typeof examOf>>

/** Asks one publisher for everything its checks need; what that already shows goes to `verdicts`. @throws Stop */
export async function examOf(doctor: Doctor, target: Target, verdicts: Verdicts) {
  const { callback } = doctor
  const { node } = target
  const place = placeOf(target.url)
  // The limit for some twenty requests, each with its own deadline.
  const call = { signal: AbortSignal.any([doctor.signal, AbortSignal.timeout(60_000)]) }
  const stop = (check: Check, result: string, fix: string) => {
    verdicts[check] = [['failed', result, fix]]
    return new Stop(result)
  }
  const answered = async <T>(check: Check, asked: Promise<T>): Promise<T> => {
    const answer = await tried(asked)
    if (answer instanceof PublisherError) throw stop(check, reasonOf(answer), fixFor(answer, place))
    return answer
  }

  const host = new URL(target.url).hostname.replace(/^\[|\]$/g, '')
  // The way sockets resolve names.
  const found = isIP(host) === 0 ? promisify(dns.lookup)(host, { all: true }) : undefined
  const addresses = await found?.catch((error: unknown) => {
    const [, service, namespace = ''] = /^([^.]+)\.([^.]+)\.svc\b/.exec(host) ?? []
    const fix = service === undefined ? FIX.dns : FIX.service(service, namespace)
    throw stop('dns', `${host} does not resolve: ${reasonOf(error)}`, fix)
  })
  const resolved = addresses && `${host} is ${addresses.map(({ address }) => address).join(', ')}`
  verdicts.dns = [['ok', resolved ?? 'IP address, no lookup needed']]

  const healthy = async () => {
    const client = await doctor.registry.client(target, call)
    const bases = { 'red-hat-v1': RED_HAT_V1_BASE, 'red-hat-v2': RED_HAT_V2_BASE, 'starlingx-v2': '' }
    const path = `${place.prefix}${bases[client.dialect]}/health`
    const health = await doctor.http.request(place.origin, { method: 'GET', path }, call)
    if (health.status !== 200) throw unexpected(health)
    return { client, health }
  }
  const { client, health } = await answered('health', healthy())
  verdicts.health = [['ok', `200 ${health.body.trim().slice(0, 40)}`]]

  // Only v2 lists addresses; for the others we build them from the configured name, and CurrentState shows whether that
  // is right.
  const unnamed = doctor.unnamed.get(target)
  if (unnamed !== undefined)
    throw stop('addresses', `the name of its node is unknown: ${unnamed}`, FIX.unnamed)
  const offer = await answered('addresses', client.offer(doctor.resources, call))
  if (offer.outcome === 'not-ready') throw stop('addresses', offer.reason, FIX.nothingYet)
  const { resources: wanted, unpublished, node: ownName = node } = offer
  if (ownName !== node)
    throw stop('addresses', `it publishes for node ${ownName}`, FIX.otherNode(ownName, node))
  const without = unpublished.length === 0 ? '' : `, without ${unpublished.join(' ')}`
  const listed = `${plural(wanted.length, 'resource')} of ${node}${without}`
  if (client.dialect === 'red-hat-v2') verdicts.addresses = [['ok', listed]]

  const state = doctor.storeUp ? await doctor.store.read(node) : undefined
  const held = await answered('subscriptions', client.list(call))
  const ours = { node, ownName: offer.node, facts: client, callback, configured: doctor.configured }
  const plan = planOf({ ...ours, wanted, unpublished, held })
  /** The wanted kinds for which we hold a current subscription. */
  const kinds = new Set(plan.flatMap((step) => (step.do === 'keep' ? [step.resource.kind] : [])))
  // A v1 sidecar serves one node.
  const other = held
    .filter(({ address, endpoint }) => nodeOfAddress(address) === callback.read(endpoint)?.node)
    .map(({ address }) => nodeOfAddress(address))
    .find((name) => name !== undefined && name !== node)
  if (client.uniqueBy === 'resource' && kinds.size === 0 && other !== undefined) {
    const result = `it holds our subscriptions for node ${other}, none for ${node}`
    throw stop('subscriptions', result, FIX.otherNode(other, node))
  }
  const foreign = foreignIn({ held, callback })
  const pulls = await pullEach({ client, call }, wanted)
  return { ...doctor, target, place, call, client, health, wanted, state, held, plan, kinds, foreign, pulls }
}

export type Pulled = Awaited<ReturnType<typeof pullEach>>[number]

/** Pulls resources; writes nothing. `said`: an answer that says, or may say, a state. */
export function pullEach(
  { client, call }: { client: Client; call: { signal: AbortSignal } },
  resources: readonly Resource[],
) {
  return Promise.all(
    resources.map(async (resource) => {
      const answer = await tried(client.currentState(resource.address, call))
      const said = 'outcome' in answer && answer.outcome === 'answered' ? answer : undefined
      return { resource, answer, said }
    }),
  )
}
