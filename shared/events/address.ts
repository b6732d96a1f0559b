/** What a resource address inside an event says. */
export type Address = {
  /** The node it names; undefined for `.`, `*` and addresses without a node: the publisher's own. */
  readonly node: string | undefined
  /** The clock: what follows the node, without the resource and without a sub-address; empty for the node itself. */
  readonly instance: string
  /** The metric that a sub-address stands for (`gpsFix`, `ql`, `extQl`, `clockClass`). */
  readonly metric: string | undefined
  /** Not a clock but the publisher's word that it has nothing to say (protocol.md §3.2). */
  readonly placeholder: 'ptp-not-set' | 'event-not-found' | undefined
}

/** Sub-addresses, in lower case: push and pull spell some of them differently (protocol.md §5). */
const METRICS: Readonly<Record<string, string>> = {
  gpsfix: 'gpsFix',
  ql: 'ql',
  extql: 'extQl',
  clock_class: 'clockClass',
}

/** How many addresses are remembered, and up to which length: a fleet sends the same ones again and again. */
const MOST_REMEMBERED = 20_000
const LONGEST_REMEMBERED = 200

const remembered = new Map<string, Address>()

/**
 * Reads a resource address of any dialect: `/cluster/node/<node>/ens5fx/master`, `/./<node>/ptp-inst1/sync/…`,
 * `/././sync/…`, `synce1/ens7f0/ExtQL` without a prefix, all of them also with doubled slashes.
 *
 * What was read is remembered: events name the same addresses over and over, and reading two of them anew was a third
 * of what an event took to normalise.
 */
export function readAddress(text: string): Address {
  const known = remembered.get(text)
  if (known !== undefined) return known
  const address = read(text)
  if (text.length > LONGEST_REMEMBERED) return address
  if (remembered.size >= MOST_REMEMBERED) remembered.clear()
  remembered.set(text, address)
  return address
}

function read(text: string): Address {
  const segments = text.split('/').filter((segment) => segment !== '')
  const { node, rest } = splitNode(segments)
  const last = rest.at(-1)
  if (last === 'ptp-not-set' || last === 'event-not-found') {
    return { node, instance: '', metric: undefined, placeholder: last }
  }
  const sync = rest.indexOf('sync')
  const clock = sync === -1 ? rest : rest.slice(0, sync)
  const name = clock.at(-1)?.toLowerCase() ?? ''
  const metric = Object.hasOwn(METRICS, name) ? METRICS[name] : undefined
  const parent = metric === undefined ? clock : clock.slice(0, -1)
  return { node, instance: parent.join('/').toWellFormed(), metric, placeholder: undefined }
}

function splitNode(segments: readonly string[]): { node: string | undefined; rest: readonly string[] } {
  if (segments[0] === 'cluster' && segments[1] === 'node')
    return { node: named(segments[2]), rest: segments.slice(3) }
  if (segments[0] === '.') return { node: named(segments[1]), rest: segments.slice(2) }
  return { node: undefined, rest: segments }
}

function named(segment: string | undefined): string | undefined {
  return segment === '.' || segment === '*' ? undefined : segment
}
