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
  /** It is absolute, and of no form that tells which of its names is the node. */
  readonly unknown?: true
}

/** Sub-addresses, without case, dashes and underscores: releases differ in these (protocol.md §5). */
const METRICS: Readonly<Record<string, string>> = {
  gpsfix: 'gpsFix',
  ql: 'ql',
  extql: 'extQl',
  clockclass: 'clockClass',
}

/**
 * Reads a resource address of any dialect: `/cluster/node/<node>/ens5fx/master`, `/./<node>/ptp-inst1/sync/…`,
 * `/././sync/…`, O-RAN's `/<cluster>/<site>/…/<node>/sync/…`, 4.10's `/cluster/<node>/ptp/ens5fx/master`,
 * `synce1/ens7f0/ExtQL` without a prefix, all of them also with doubled slashes. An absolute address of no such form
 * names a node that cannot be told: `unknown`.
 */
export function readAddress(text: string): Address {
  const path = text.includes('//') ? text.replace(/\/{2,}/g, '/') : text
  const start = path.startsWith('/') ? 1 : 0
  const prefix = PREFIXES.find((each) => path.startsWith(each, start))
  if (prefix === undefined) return withoutPrefix(path, start, text.length)
  const begin = start + prefix.length
  const end = path.indexOf('/', begin)
  const [name, rest] = end < 0 ? [path.slice(begin), ''] : [path.slice(begin, end), path.slice(end)]
  return addressOf(name, rest, text.length)
}

/** What stands before the node. */
const PREFIXES: readonly string[] = ['cluster/node/', './']

/** The node is the last name before `/sync/` (O-RAN), or the second of `/cluster/<node>/ptp/…` (4.10). */
function withoutPrefix(path: string, start: number, wholeLength: number): Address {
  if (PREFIXES.includes(`${path.slice(start)}/`)) return addressOf('', '', wholeLength)
  const sync = path.lastIndexOf('/sync/')
  if (sync > 0) {
    const name = path.slice(path.lastIndexOf('/', sync - 1) + 1, sync)
    return addressOf(name, path.slice(sync), wholeLength)
  }
  const [, name, rest] = /^\/?cluster\/([^/]+)(\/ptp\/.+)$/.exec(path) ?? []
  if (name !== undefined && rest !== undefined) return addressOf(name, rest, wholeLength)
  const address = addressOf('', path, wholeLength)
  const isBare = path.startsWith('sync/', start) || address.placeholder !== undefined
  const isUnknown = start === 1 && !isBare && path.includes('/', 1)
  return isUnknown ? { ...address, unknown: true } : address
}

function addressOf(name: string, path: string, wholeLength: number): Address {
  const node = name === '' || name === '.' || name === '*' ? undefined : name
  const { instance, metric, placeholder } = readResource(path, wholeLength)
  return { node, instance, metric, placeholder }
}

type Resource = Omit<Address, 'node' | 'unknown'>

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
  const named = sync === -1 ? segments : segments.slice(0, sync)
  // 4.10 has the interface under `ptp/`.
  const clock = named[0] === 'ptp' && named.length > 1 ? named.slice(1) : named
  const name = clock.at(-1)?.toLowerCase().replace(/[-_]/g, '') ?? ''
  const metric = Object.hasOwn(METRICS, name) ? METRICS[name] : undefined
  const parent = metric === undefined ? clock : clock.slice(0, -1)
  return { instance: parent.join('/').toWellFormed(), metric, placeholder: undefined }
}
