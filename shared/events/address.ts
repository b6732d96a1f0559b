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

/**
 * Reads a resource address of any dialect: `/cluster/node/<node>/ens5fx/master`, `/./<node>/ptp-inst1/sync/…`,
 * `/././sync/…`, `synce1/ens7f0/ExtQL` without a prefix, all of them also with doubled slashes.
 */
export function readAddress(text: string): Address {
  const path = text.includes('//') ? text.replace(/\/{2,}/g, '/') : text
  const start = path.startsWith('/') ? 1 : 0
  const prefix = PREFIXES.find((each) => path.startsWith(each, start))
  if (prefix === undefined)
    return addressOf('', PREFIXES.includes(`${path.slice(start)}/`) ? '' : path, text.length)
  const begin = start + prefix.length
  const end = path.indexOf('/', begin)
  const [name, rest] = end < 0 ? [path.slice(begin), ''] : [path.slice(begin, end), path.slice(end)]
  return addressOf(name, rest, text.length)
}

/** What stands before the node. */
const PREFIXES: readonly string[] = ['cluster/node/', './']

function addressOf(name: string, path: string, wholeLength: number): Address {
  const node = name === '' || name === '.' || name === '*' ? undefined : name
  const { instance, metric, placeholder } = readResource(path, wholeLength)
  return { node, instance, metric, placeholder }
}

type Resource = Omit<Address, 'node'>

/** What was read: all nodes of a fleet have the same few. */
const read = new Map<string, Resource>()
const MOST_READ = 1_000
/** V8 keeps the whole of a text for the sake of a part of it: what is remembered must come from a short one. */
const LONGEST_WHOLE = 500

function readResource(path: string, wholeLength: number): Resource {
  const known = read.get(path)
  if (known !== undefined) return known
  const resource = parseResource(path.split('/').filter((segment) => segment !== ''))
  if (read.size < MOST_READ && wholeLength <= LONGEST_WHOLE) read.set(path, resource)
  return resource
}

function parseResource(segments: readonly string[]): Resource {
  const last = segments.at(-1)
  if (last === 'ptp-not-set' || last === 'event-not-found') {
    return { instance: '', metric: undefined, placeholder: last }
  }
  const sync = segments.indexOf('sync')
  const clock = sync === -1 ? segments : segments.slice(0, sync)
  const name = clock.at(-1)?.toLowerCase() ?? ''
  const metric = Object.hasOwn(METRICS, name) ? METRICS[name] : undefined
  const parent = metric === undefined ? clock : clock.slice(0, -1)
  return { instance: parent.join('/').toWellFormed(), metric, placeholder: undefined }
}
