import dns from 'node:dns'
import { isIP } from 'node:net'
import { PublisherError, reasonOf } from '#shared/errors.ts'
import type { CallOptions, Client } from '#shared/publishers/dialects/client.ts'
import type { Answer } from '#shared/http/exchange.ts'
import type { Http } from '#shared/http/client.ts'
import type { Registry } from '#shared/publishers/dialects/registry.ts'
import { RED_HAT_V1_BASE } from '#shared/publishers/dialects/red-hat-v1.ts'
import { RED_HAT_V2_BASE } from '#shared/publishers/dialects/red-hat-v2.ts'
import { type Place, placeOf, type Target } from '#shared/publishers/target.ts'
import { unexpected } from '#shared/publishers/dialects/wire.ts'
import { adviceOn } from '../advice.ts'
import type { Report } from '../report.ts'

export type Lookup = (host: string) => Promise<readonly { readonly address: string }[]>

/** As sockets ask, so that what is found here is what they find. */
export const systemLookup: Lookup = (host) =>
  new Promise((resolve, reject) => {
    dns.lookup(host, { all: true }, (error, addresses) => (error ? reject(error) : resolve(addresses)))
  })

/** Whether the name in the URL of a publisher resolves, which an address need not. */
export async function checkName(report: Report, target: Target, resolve: Lookup): Promise<boolean> {
  const host = new URL(target.url).hostname.replace(/^\[|\]$/g, '')
  if (isIP(host) !== 0) {
    report.ok('name', host, 'an address, nothing to resolve')
    return true
  }
  try {
    const addresses = await resolve(host)
    report.ok('name', host, addresses.map(({ address }) => address).join(', '))
    return true
  } catch (error) {
    const [, service, namespace] = /^([^.]+)\.([^.]+)\.svc\b/.exec(host) ?? []
    const todo =
      service === undefined
        ? 'Correct the host in `url`, or DNS'
        : `Is there such a Service? \`kubectl -n ${namespace} get service ${service}\`; its name ends in the node's up to the first dot, and with Red Hat's operator it is there once enableEventPublisher is true`
    report.failed('name', host, `it does not resolve: ${reasonOf(error)}`, todo)
    return false
  }
}

const HEALTH = {
  'red-hat-v1': `${RED_HAT_V1_BASE}/health`,
  'red-hat-v2': `${RED_HAT_V2_BASE}/health`,
  'starlingx-v2': '/health',
} as const

/** A publisher that answers: how to speak to it, and the answer to its health check. */
export type Reached = { readonly client: Client; readonly place: Place; readonly health: Answer }

/** Whether it is there, well, and speaks what it is configured to. */
export async function checkHealth(
  report: Report,
  target: Target,
  deps: { registry: Registry; http: Pick<Http, 'request'> },
  call: CallOptions,
): Promise<Reached | undefined> {
  const place = placeOf(target.url)
  let asked = `GET ${place.shown}${target.dialect === 'auto' ? '/…/health' : HEALTH[target.dialect]}`
  try {
    const client = await deps.registry.client(target, call)
    asked = `GET ${place.shown}${HEALTH[client.dialect]}`
    const path = `${place.prefix}${HEALTH[client.dialect]}`
    const health = await deps.http.request(place.origin, { method: 'GET', path }, call)
    if (health.status !== 200) throw unexpected('GET', health)
    report.ok('health', asked, `200 ${health.body.trim().slice(0, 40)}`)
    return { client, place, health }
  } catch (error) {
    if (!(error instanceof PublisherError)) throw error
    const { came, todo } = adviceOn(error, place)
    const other = target.dialect !== 'auto' && error.status === 404 ? '. Or leave `dialect` at auto' : ''
    report.failed('health', asked, came, `${todo}${other}`)
    return undefined
  }
}
