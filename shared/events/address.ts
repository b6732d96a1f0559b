/** A parsed resource address. */
export type Address = {
  /** The node it names; undefined for `.`, `*` and addresses without a node: the publisher's own. */
  readonly node: string | undefined
  /** The clock: what follows the node, without the resource and without a sub-address; empty for the node itself. */
  readonly instance: string
  /** The metric that a sub-address stands for (`gpsFix`, `ql`, `extQl`, `clockClass`). */
  readonly metric: string | undefined
  /** Not a clock, but the publisher's sign that it has no data (protocol.md §3.2). */
  readonly placeholder: 'ptp-not-set' | 'event-not-found' | undefined
  /** It is absolute but has no known form, so its node is unknown. */
  readonly unknown?: true
}

/** Sub-addresses, ignoring case, dashes and underscores, in which releases differ (protocol.md §5). */
const METRICS: ReadonlyMap<string, string> = new Map([
  ['gpsfix', 'gpsFix'],
  ['ql', 'ql'],
  ['extql', 'extQl'],
  ['clockclass', 'clockClass'],
])

/**
 * Parses a resource address of any dialect: `/cluster/node/<node>/ens5fx/master`, `/./<node>/ptp-inst1/sync/…`,
 * `/././sync/…`, O-RAN's `/<cluster>/<site>/…/<node>/sync/…`, 4.10's `/cluster/<node>/ptp/ens5fx/master`,
 * `synce1/ens7f0/ExtQL` without a prefix, and all of them with doubled slashes. An absolute address of any other form
 * belongs to an `unknown` node.
 */
export function readAddress(text: string): Address {
  const path = text.replace(/\/{2,}/g, '/')
  const isAbsolute = path.startsWith('/')
  const parts = (isAbsolute ? path.slice(1) : path).split('/')
  const [first, second = '', third = '', fourth = ''] = parts
  if (first === 'cluster' && second === 'node') return addressOf(third, parts.slice(3))
  if (first === '.') return addressOf(second, parts.slice(2))
  const sync = parts.lastIndexOf('sync', -2)
  if (sync > 0) return addressOf(parts[sync - 1], parts.slice(sync))
  if (first === 'cluster' && third === 'ptp' && fourth !== '') return addressOf(second, parts.slice(2))
  const address = addressOf(undefined, parts)
  const isBare = first === 'sync' || address.placeholder !== undefined
  return isAbsolute && parts.length > 1 && !isBare ? { ...address, unknown: true } : address
}

function addressOf(name: string | undefined, rest: readonly string[]): Address {
  const node = name === '' || name === '.' || name === '*' ? undefined : name
  const parts = rest.filter((part) => part !== '')
  const last = parts.at(-1)
  if (last === 'ptp-not-set' || last === 'event-not-found') {
    return { node, instance: '', metric: undefined, placeholder: last }
  }
  const sync = parts.indexOf('sync')
  const named = sync === -1 ? parts : parts.slice(0, sync)
  // 4.10 has the interface under `ptp/`.
  const clock = named[0] === 'ptp' && named.length > 1 ? named.slice(1) : named
  const metric = METRICS.get(clock.at(-1)?.toLowerCase().replace(/[-_]/g, '') ?? '')
  const parent = metric === undefined ? clock : clock.slice(0, -1)
  return { node, instance: parent.join('/').toWellFormed(), metric, placeholder: undefined }
}
