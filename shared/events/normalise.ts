import { INFO, isNumeric } from '../kinds.ts'
import { isNoTime, repairTime } from '../time.ts'
import { type Address, readAddress } from './address.ts'
import { kindOf } from './kind.ts'
import type { Observation, Via } from './observation.ts'
import { eventsIn, type WireEvent } from './wire.ts'
import { isNoOffset, type Meaning, meaningOf } from './words.ts'

export type Context = {
  /** The node that the body must be about: that of the callback path, or of the publisher that was asked. */
  readonly node?: string | undefined
  /** Our time, RFC 3339. */
  readonly receivedAt: string
  readonly via: Via
}

/** A clock named without a usable reading: only numbers where a state word was expected. */
export type Named = { readonly kind: string; readonly instance: string }

type Placeholder = { readonly kind: string; readonly means: 'ptp-not-set' | 'event-not-found' }

export type Problem = {
  readonly code: 'no-event' | 'no-kind' | 'no-time' | 'no-node' | 'other-node' | 'no-address'
  readonly message: string
}

/** What a body says. Several observations of one clock mean that the publisher contradicts itself. */
export type Normalised = {
  readonly observations: readonly Observation[]
  readonly named: readonly Named[]
  readonly placeholders: readonly Placeholder[]
  /** Why parts of the body, or all of it, were left out. */
  readonly problems: readonly Problem[]
}

const LONGEST_INSTANCE = 256
const LONGEST_NODE = 253
/** How many problems are reported per body; a broken one could have a hundred thousand. */
const MOST_PROBLEMS = 16

/**
 * Converts the JSON of a push, a pull or a Broker's event, from any dialect and release, into observations. Never
 * throws: what cannot be used is reported in `problems`, and the rest is kept. Only this function knows the names on
 * the wire.
 */
export function normalise(body: unknown, context: Context): Normalised {
  return normaliseEvents(eventsIn(body), context)
}

/** The same for events that {@link eventsIn} found in a body. */
export function normaliseEvents(events: readonly (WireEvent | undefined)[], context: Context): Normalised {
  const found: Found = { observations: [], named: [], placeholders: [], problems: [] }
  for (const event of events) {
    const rejected = event === undefined ? NO_EVENT : readEvent(event, context, found)
    if (rejected !== undefined) found.problems.push(rejected)
  }
  return { ...found, problems: found.problems.slice(0, MOST_PROBLEMS) }
}

/** A {@link Normalised} while events are added to it. */
type Found = {
  readonly observations: Observation[]
  readonly named: Named[]
  readonly placeholders: Placeholder[]
  readonly problems: Problem[]
}

const NO_EVENT = problem('no-event', 'The JSON does not have the shape of any known event')

function problem(code: Problem['code'], message: string): Problem {
  return { code, message }
}

/** Adds what an event says to `found`; returns the problem if nothing in it can be used. */
function readEvent(event: WireEvent, context: Context, found: Found): Problem | undefined {
  const { node: expected, receivedAt, via } = context
  const kind = kindOf(event.type, event.source, event.subject, event.values[0]?.address)
  if (kind === undefined) return problem('no-kind', 'The event names neither a type nor a resource')
  // An event without a time, or with Go's zero time, is dated by its receipt.
  const isTimed = !isNoTime(event.time)
  const at = isTimed ? repairTime(event.time ?? '') : receivedAt
  if (at === undefined) return problem('no-time', `The event's time ${quote(event.time)} is not a valid time`)

  const read = (text: string | undefined) => (text === undefined ? undefined : readAddress(text))
  const source = read(event.source)
  const values = event.values.map(({ address: text, value }) => ({ text, address: read(text), value }))
  const names = new Set<string>()
  for (const address of [...values.map((each) => each.address), source, read(event.subject)]) {
    if (address?.node !== undefined) names.add(address.node)
  }
  const [first] = names
  const node = expected ?? first
  if (names.size > 1 || (first !== undefined && first !== node)) return otherNode(names, expected)
  if (node === undefined) return problem('no-node', 'Neither the path nor the event names a node')
  if (node.length > LONGEST_NODE || !node.isWellFormed()) {
    return problem(
      'no-node',
      `The node's name is longer than ${LONGEST_NODE} characters, or not valid Unicode`,
    )
  }

  const entries: Entry[] = []
  /** The last entry of each clock. */
  const last = new Map<string, Entry>()
  let placeholder: Placeholder | undefined
  const noAddress = (message: string) => found.problems.push(problem('no-address', message))
  for (const { text, address, value } of values) {
    if (address === undefined) noAddress('A value of the event has no resource address')
    else if (address.placeholder !== undefined) placeholder ??= { kind, means: address.placeholder }
    else if (address.unknown) noAddress(`The address ${quote(text)} does not say which node it is of`)
    else {
      const instance = instanceOf(kind, address, source, event.key)
      const metric = address.metric ?? INFO.get(kind)?.metric ?? 'value'
      if (instance.length > LONGEST_INSTANCE) noAddress('The name of a clock is too long')
      else addValue(entries, last, instance, metric, meaningOf(kind, value))
    }
  }
  if (placeholder !== undefined) found.placeholders.push(placeholder)
  const timeFrom = isTimed ? undefined : 'receipt'
  addReadings(kind, entries, { node, at, timeFrom, receivedAt, via, eventId: event.id }, found)
  return undefined
}

function otherNode(names: ReadonlySet<string>, expected: string | undefined): Problem {
  const others = [...names]
    .filter((name) => name !== expected)
    .slice(0, 3)
    .map(quote)
  const whose =
    expected === undefined
      ? `${names.size} nodes: ${others.join(', ')}`
      : `node ${others[0]}, not of ${quote(expected)}`
  return problem('other-node', `The event is about ${whose}`)
}

type Entry = {
  readonly instance: string
  state: string | undefined
  readonly metrics: Record<string, string>
}

/**
 * A word opens an entry of its clock, numbers join it. A second word for the same clock opens a second entry, which is
 * how two configs disciplining one clock show (protocol.md §3.4).
 */
function addValue(
  entries: Entry[],
  last: Map<string, Entry>,
  instance: string,
  metric: string,
  meaning: Meaning,
): void {
  const isTaken = ({ state, metrics }: Entry) =>
    meaning.is === 'word' ? state !== undefined : meaning.is === 'number' && Object.hasOwn(metrics, metric)
  let entry = last.get(instance)
  if (entry === undefined || isTaken(entry)) {
    entry = { instance, state: undefined, metrics: {} }
    entries.push(entry)
    last.set(instance, entry)
  }
  if (meaning.is === 'word') entry.state = meaning.word
  else if (meaning.is === 'number' && !(metric === 'offset' && isNoOffset(meaning.text))) {
    entry.metrics[metric] = meaning.text
  }
}

/**
 * Adds entries to `found`: as readings, or as clocks merely named, if there is a word instead of numbers or the
 * reverse.
 */
function addReadings(
  kind: string,
  entries: readonly Entry[],
  about: Omit<Observation, 'kind' | 'instance' | 'metrics' | 'state'>,
  { observations, named }: Found,
): void {
  const takesNumbers = isNumeric(kind) || !INFO.has(kind)
  const seen = new Set<string>()
  for (const { instance, state, metrics } of entries) {
    const word = isNumeric(kind) ? undefined : state
    if (word === undefined && !(takesNumbers && Object.keys(metrics).length > 0)) {
      named.push({ kind, instance })
      continue
    }
    if (isNumeric(kind)) {
      // A pull of number kinds repeats an entry character for character if two configs share one port.
      const spelled = JSON.stringify([instance, metrics.clockClass, metrics.ql, metrics.extQl])
      if (seen.has(spelled)) continue
      seen.add(spelled)
    }
    observations.push({ ...about, kind, instance, state: word, metrics })
  }
}

/** Kinds whose legacy pushes always name the instance in their address, while pulls of old images name it by a key. */
const NAMED_BY_KEY: ReadonlySet<string> = new Set(['lock-state', 'clock-class'])

/** The keys of legacy pushes are kinds: `ptp_lock_state`, `sync`. */
const KIND_KEY = /^(?:sync|[a-z_]+_(?:state|class|quality)(?:_extended)?)$/
const INSTANCE_KEY = /^[a-z0-9][\w.-]*$/i

/**
 * Push and pull must give the same instance, in StarlingX's legacy format too (starlingx.md, "The legacy format"). If a
 * value's address names no clock, the event's source does (protocol.md §5).
 */
function instanceOf(
  kind: string,
  address: Address,
  source: Address | undefined,
  key: string | undefined,
): string {
  const once = INFO.get(kind)?.instance
  if (once !== undefined) return once
  if (address.instance !== '') return address.instance
  if (source !== undefined && source.instance !== '' && !source.unknown) return source.instance
  const isNamed = key !== undefined && NAMED_BY_KEY.has(kind) && INSTANCE_KEY.test(key) && !KIND_KEY.test(key)
  return isNamed ? key : 'node'
}

function quote(text: string | undefined): string {
  return text === undefined ? '(absent)' : JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text)
}
