// Imported, or preloaded by `node --import`: the DNS of a cluster, in which each Service has an address on this machine.
import dns from 'node:dns'

const DOMAIN = '.svc.cluster.local'
/** Behind Services of this name is no pod that is ready: a headless one has no address then. */
const VACANT = 'ptp-event-publisher-service-vacant'

const lookup = dns.lookup

/** As `dns.lookup`, which sockets call by the module's own property. */
function lookupInCluster(host: string, ...rest: unknown[]): void {
  if (!host.endsWith(DOMAIN)) {
    Reflect.apply(lookup, dns, [host, ...rest])
    return
  }
  const done = rest.at(-1)
  if (typeof done !== 'function') throw new TypeError('No callback')
  const [options] = rest
  const all = typeof options === 'object' && options !== null && 'all' in options && options.all === true
  process.nextTick(() => {
    if (host.startsWith(VACANT)) {
      done(
        Object.assign(new Error(`getaddrinfo ENOTFOUND ${host}`), {
          code: 'ENOTFOUND',
          syscall: 'getaddrinfo',
        }),
      )
    } else if (all) done(null, [{ address: '127.0.0.1', family: 4 }])
    else done(null, '127.0.0.1', 4)
  })
}

Reflect.set(dns, 'lookup', lookupInCluster)
