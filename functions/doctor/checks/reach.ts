import dns from 'node:dns'
import { isIP } from 'node:net'
import { promisify } from 'node:util'
import { reasonOf } from '#shared/errors.ts'
import { isSyncE } from '#shared/publishers/dialects/addresses.ts'
import { RED_HAT_V1_BASE } from '#shared/publishers/dialects/red-hat-v1.ts'
import { RED_HAT_V2_BASE } from '#shared/publishers/dialects/red-hat-v2.ts'
import { unexpected } from '#shared/publishers/dialects/wire.ts'
import { type Asked, answered, type Exam, type Reached, Stop, type Verdict } from '../exam.ts'
import { FIX } from '../words.ts'

/** Whether the host of a publisher resolves; asked as sockets ask. @throws Stop if not. */
export async function checkName({ target }: Asked): Promise<Verdict> {
  const host = new URL(target.url).hostname.replace(/^\[|\]$/g, '')
  if (isIP(host) !== 0) return ['ok', 'IP address, no lookup needed']
  try {
    const addresses = await promisify(dns.lookup)(host, { all: true })
    return ['ok', `${host} is ${addresses.map(({ address }) => address).join(', ')}`]
  } catch (error) {
    const [, service, namespace = ''] = /^([^.]+)\.([^.]+)\.svc\b/.exec(host) ?? []
    const fix = service === undefined ? FIX.dns : FIX.service(service, namespace)
    throw new Stop('dns', `${host} does not resolve: ${reasonOf(error)}`, fix)
  }
}

const API = { 'red-hat-v1': RED_HAT_V1_BASE, 'red-hat-v2': RED_HAT_V2_BASE, 'starlingx-v2': '' }

/** @throws Stop unless the publisher answers, is healthy and speaks the configured dialect. */
export function reach(asked: Asked): Promise<Reached> {
  const { registry, http, target, place, call } = asked
  const ask = async () => {
    const client = await registry.client(target, call)
    const path = `${place.prefix}${API[client.dialect]}/health`
    const health = await http.request(place.origin, { method: 'GET', path }, call)
    if (health.status !== 200) throw unexpected(health)
    return { ...asked, client, health }
  }
  return answered(asked, 'health', ask())
}

/**
 * Which of the wanted resources the publisher offers. Only v2 lists them; for the others we make the addresses from the
 * configured name, and CurrentState shows whether that is right. @throws Stop if it offers none for this node.
 */
export async function offerOf(reached: Reached) {
  const { client, target, call, wantedKinds } = reached
  const unnamed = reached.unnamed.get(target)
  if (unnamed !== undefined)
    throw new Stop('addresses', `the name of its node is unknown: ${unnamed}`, FIX.unnamed)
  const offer = await answered(reached, 'addresses', client.offer(wantedKinds, call))
  if (offer.outcome === 'not-ready') throw new Stop('addresses', offer.reason, FIX.nothingYet)
  const { node = target.node } = offer
  if (node === target.node) return offer
  throw new Stop('addresses', `it publishes for node ${node}`, FIX.otherNode(node, target.node))
}

const IGNORED = 'its pushed sync-state may be wrong and is ignored'

/** No publisher says what release it is, but its answers show it (protocol.md §5, starlingx.md). */
export function releaseOf({ client, wanted, held, kinds, pulls }: Exam): string {
  const bodies = pulls.flatMap(({ said }) => said?.body ?? [])
  const [body] = bodies
  if (client.dialect === 'red-hat-v2') {
    if (held.some(({ address }) => address.includes('/sync/synce-status/'))) return '4.20 or later'
    if (bodies.some((text) => text.includes('"ANTENNA-DISCONNECTED"'))) return `4.16 or 4.17; ${IGNORED}`
    // It publishes SyncE, and took every subscription but those.
    const synce = wanted.filter(({ kind }) => isSyncE(kind))
    const isRefused = synce.length > 0 && kinds.size > 0 && synce.every(({ kind }) => !kinds.has(kind))
    return isRefused ? `4.17 to 4.19, without SyncE subscriptions; ${IGNORED}` : '4.16 or later'
  }
  if (client.dialect === 'red-hat-v1') {
    if (body === undefined) return 'release unknown without a CurrentState'
    if (!body.includes('"dataType"')) return `4.16 to 4.18; ${IGNORED}`
    return '4.10 to 4.15; its sync-state flaps between clocks and is ignored'
  }
  if (body === undefined) return 'notification format unknown without a CurrentState'
  // Standard: an array of events, or the event itself. Legacy: a map of events by instance.
  const isStandard = /^\s*(?:\[|\{\s*"(?:id|specversion)")/.test(body)
  return `${isStandard ? 'standard' : 'legacy'} notification format`
}
