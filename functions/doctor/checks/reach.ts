import dns from 'node:dns'
import { isIP } from 'node:net'
import { promisify } from 'node:util'
import { reasonOf } from '#shared/errors.ts'
import { isSyncE } from '#shared/publishers/dialects/addresses.ts'
import type { Dialect } from '#shared/publishers/dialects/client.ts'
import { RED_HAT_V1_BASE } from '#shared/publishers/dialects/red-hat-v1.ts'
import { RED_HAT_V2_BASE } from '#shared/publishers/dialects/red-hat-v2.ts'
import { unexpected } from '#shared/publishers/dialects/wire.ts'
import { asking, type Exam, type Listed, type Reached } from '../exam.ts'
import { Stop, type Verdict } from '../report.ts'
import type { Pulled } from './state.ts'

/** Whether the host of a publisher resolves; asked as sockets ask. @throws Stop if not. */
export async function checkName({ target }: Exam): Promise<Verdict> {
  const host = new URL(target.url).hostname.replace(/^\[|\]$/g, '')
  if (isIP(host) !== 0) return ['ok', 'IP address, no lookup needed']
  try {
    const addresses = await promisify(dns.lookup)(host, { all: true })
    return ['ok', `${host} is ${addresses.map(({ address }) => address).join(', ')}`]
  } catch (error) {
    const [, service, namespace] = /^([^.]+)\.([^.]+)\.svc\b/.exec(host) ?? []
    const fix =
      service === undefined
        ? 'Correct the host in `url`, or fix DNS'
        : `Check that the Service exists: \`kubectl -n ${namespace} get service ${service}\`. Its name ends in the first label of the node's name; Red Hat's operator creates it once enableEventPublisher is true`
    throw new Stop('dns', `${host} does not resolve: ${reasonOf(error)}`, fix)
  }
}

const HEALTH: Readonly<Record<Dialect, string>> = {
  'red-hat-v1': `${RED_HAT_V1_BASE}/health`,
  'red-hat-v2': `${RED_HAT_V2_BASE}/health`,
  'starlingx-v2': '/health',
}

/** @throws Stop unless the publisher answers, is healthy and speaks the configured dialect. */
export function reach(exam: Exam): Promise<Reached> {
  const { deps, report, target, place, call } = exam
  return asking(exam, 'health', async () => {
    const client = await deps.registry.client(target, call)
    const path = `${place.prefix}${HEALTH[client.dialect]}`
    const health = await deps.http.request(place.origin, { method: 'GET', path }, call)
    if (health.status !== 200) throw unexpected(health)
    report.add('health', ['ok', `200 ${health.body.trim().slice(0, 40)}`])
    return { ...exam, client, health }
  })
}

/** What the answers of a publisher show of its release. */
type Traits = {
  readonly bodies: readonly string[]
  /** It holds a subscription to SyncE. */
  readonly takesSyncE: boolean
  /** It publishes SyncE, and took every subscription but those. */
  readonly refusesSyncE: boolean
}

const IGNORED = 'its pushed sync-state may be wrong and is ignored'

/** No release says what it is: the first row that applies (protocol.md §5, starlingx.md). */
const RELEASES: readonly (readonly [Dialect, (traits: Traits) => boolean, string])[] = [
  ['red-hat-v1', ({ bodies }) => bodies.length === 0, 'release unknown without a CurrentState'],
  [
    'red-hat-v1',
    ({ bodies: [body = ''] }) => body.includes('"dataType"'),
    '4.10 to 4.15; its sync-state flaps between clocks and is ignored',
  ],
  ['red-hat-v1', () => true, `4.16 to 4.18; ${IGNORED}`],
  ['red-hat-v2', ({ takesSyncE }) => takesSyncE, '4.20 or later'],
  [
    'red-hat-v2',
    ({ bodies }) => bodies.some((body) => body.includes('"ANTENNA-DISCONNECTED"')),
    `4.16 or 4.17; ${IGNORED}`,
  ],
  ['red-hat-v2', ({ refusesSyncE }) => refusesSyncE, `4.17 to 4.19, without SyncE subscriptions; ${IGNORED}`],
  ['red-hat-v2', () => true, '4.16 or later'],
  ['starlingx-v2', ({ bodies }) => bodies.length === 0, 'notification format unknown without a CurrentState'],
  // Standard: an array of events, or the event itself. Legacy: a map of events by instance.
  [
    'starlingx-v2',
    ({ bodies: [body = ''] }) => /^\s*(?:\[|\{\s*"(?:id|specversion)")/.test(body),
    'standard notification format',
  ],
  ['starlingx-v2', () => true, 'legacy notification format'],
]

/** Which dialect and release it is. */
export function checkDialect({ client, wanted, held, kinds }: Listed, pulls: readonly Pulled[]): Verdict {
  const synce = wanted.filter(({ kind }) => isSyncE(kind))
  const traits: Traits = {
    bodies: pulls.flatMap(({ answer }) => (answer.outcome === 'answered' ? [answer.body] : [])),
    takesSyncE: held.some(({ address }) => address.includes('/sync/synce-status/')),
    refusesSyncE: synce.length > 0 && kinds.size > 0 && synce.every(({ kind }) => !kinds.has(kind)),
  }
  const row = RELEASES.find(([dialect, applies]) => dialect === client.dialect && applies(traits))
  return ['ok', `${client.dialect}, ${row?.[2] ?? 'release unknown'}`]
}
