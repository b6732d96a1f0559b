import type { Log } from '#shared/log.ts'
import type { CallOptions, Client, Dialect } from './client.ts'
import { detectDialect } from './detect.ts'
import type { Http } from '#shared/http/client.ts'
import { createRedHatV1 } from './red-hat-v1.ts'
import { createRedHatV2 } from './red-hat-v2.ts'
import { createStarlingX } from './starlingx.ts'
import { type Place, placeOf, type Target } from '#shared/publishers/target.ts'

/** From the configured publishers to clients that speak their dialect. */
export type Registry = {
  /**
   * The client of a publisher; its dialect is found out the first time and remembered.
   * @throws PublisherError if it cannot be found out.
   */
  client(target: Target, options?: CallOptions): Promise<Client>
  /** Whether its dialect was found out before by probing. */
  knows(target: Target): boolean
  /** Its dialect is found out again next time: its answers do not fit, as after an upgrade. */
  forget(target: Target): void
}

const CLIENTS: Readonly<Record<Dialect, (http: Http, place: Place, node: string) => Client>> = {
  'red-hat-v1': createRedHatV1,
  'red-hat-v2': createRedHatV2,
  'starlingx-v2': createStarlingX,
}

export function createRegistry(deps: { http: Http; log: Log }): Registry {
  // Weak: with discovery targets come and go.
  const clients = new WeakMap<Target, Client>()
  return {
    async client(target, options) {
      const known = clients.get(target)
      if (known !== undefined) return known
      const place = placeOf(target.url)
      const dialect =
        target.dialect === 'auto' ? await detectDialect(deps.http, place, options) : target.dialect
      if (target.dialect === 'auto') {
        deps.log.debug('Dialect found', { node: target.node, url: place.shown, dialect })
      }
      const client = CLIENTS[dialect](deps.http, place, target.node)
      clients.set(target, client)
      return client
    },
    knows: (target) => target.dialect === 'auto' && clients.has(target),
    forget(target) {
      if (target.dialect === 'auto') clients.delete(target)
    },
  }
}
