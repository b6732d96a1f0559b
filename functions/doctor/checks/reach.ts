import dns from 'node:dns'
import { isIP } from 'node:net'
import { promisify } from 'node:util'
import { reasonOf } from '#shared/errors.ts'
import { isSyncE } from '#shared/publishers/dialects/addresses.ts'
import type { Dialect } from '#shared/publishers/dialects/client.ts'
import { RED_HAT_V1_BASE } from '#shared/publishers/dialects/red-hat-v1.ts'
import { RED_HAT_V2_BASE } from '#shared/publishers/dialects/red-hat-v2.ts'
import { unexpected } from '#shared/publishers/dialects/wire.ts'
import { answered, type Exam, type Listed, type Pulled, type Reached, Stop } from '../exam.ts'
import type { Verdict } from '../report.ts'
import { FIX } from '../words.ts'

/** Whether the host of a publisher resolves; asked as sockets ask. @throws Stop if not. */
export async function checkName({ target }: Exam): Promise<Verdict> {
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

const HEALTH: Readonly<Record<Dialect, string>> = {
  'red-hat-v1': `${RED_HAT_V1_BASE}/health`,
  'red-hat-v2': `${RED_HAT_V2_BASE}/health`,
  'starlingx-v2': '/health',
}

/** @throws Stop unless the publisher answers, is healthy and speaks the configured dialect. */
export function reach(exam: Exam): Promise<Reached> {
  const { deps, target, place, call } = exam
  const ask = async () => {
    const client = await deps.registry.client(target, call)
    const path = `${place.prefix}${HEALTH[client.dialect]}`
    const health = await deps.http.request(place.origin, { method: 'GET', path }, call)
    if (health.status !== 200) throw unexpected(health)
    return { ...exam, client, health }
  }
  return answered(exam, 'health', ask())
}

/** Which dialect and release it is. */
export function checkDialect(listed: Listed, pulls: readonly Pulled[]): Verdict {
  return ['ok', `${listed.client.dialect}, ${releaseOf(listed, pulls)}`]
}

const IGNORED = 'its pushed sync-state may be wrong and is ignored'

/** No publisher says what release it is, but its answers show it (protocol.md §5, starlingx.md). */
function releaseOf({ client, wanted, held, kinds }: Listed, pulls: readonly Pulled[]): string {
  const bodies = pulls.flatMap(({ answer }) => (answer.outcome === 'answered' ? [answer.body] : []))
  const [body] = bodies
  switch (client.dialect) {
    case 'red-hat-v1':
      if (body === undefined) return 'release unknown without a CurrentState'
      if (!body.includes('"dataType"')) return `4.16 to 4.18; ${IGNORED}`
      return '4.10 to 4.15; its sync-state flaps between clocks and is ignored'
    case 'red-hat-v2': {
      if (held.some(({ address }) => address.includes('/sync/synce-status/'))) return '4.20 or later'
      if (bodies.some((text) => text.includes('"ANTENNA-DISCONNECTED"'))) return `4.16 or 4.17; ${IGNORED}`
      // It publishes SyncE, and took every subscription but those.
      const synce = wanted.filter(({ kind }) => isSyncE(kind))
      const isRefused = synce.length > 0 && kinds.size > 0 && synce.every(({ kind }) => !kinds.has(kind))
      return isRefused ? `4.17 to 4.19, without SyncE subscriptions; ${IGNORED}` : '4.16 or later'
    }
    case 'starlingx-v2': {
      if (body === undefined) return 'notification format unknown without a CurrentState'
      // Standard: an array of events, or the event itself. Legacy: a map of events by instance.
      const isStandard = /^\s*(?:\[|\{\s*"(?:id|specversion)")/.test(body)
      return `${isStandard ? 'standard' : 'legacy'} notification format`
    }
  }
}
