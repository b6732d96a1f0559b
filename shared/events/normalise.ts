import { isNoTime, repairTime } from '../time.ts'
import { type Address, readAddress } from './address.ts'
import { kindOf } from './kind.ts'
import { NUMERIC_KINDS, type Observation, type Via } from './observation.ts'
import { eventsIn, type WireEvent } from './wire.ts'
import { isNoOffset, meaningOf } from './words.ts'

export type Context = {
  /** The node that the body must speak of: the callback path's, or the configured one of the publisher asked. */
  readonly node?: string | undefined
  /** Our time, RFC 3339. */
  readonly receivedAt: string
  readonly via: Via
}

/** A clock that was named without a reading of it: numbers alone where a word of state was due. */
export type Named = { readonly kind: string; readonly instance: string }

export type Placeholder = { readonly kind: string; readonly means: 'ptp-not-set' | 'event-not-found' }

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

/** The instance of kinds that exist once a node, whatever address they come under. */
const SINGLE_INSTANCE: ReadonlyMap<string, string> = new Map([
  ['sync-state', 'node'],
  ['os-clock-sync-state', 'CLOCK_REALTIME'],
])

/** Kinds that have a word of state: numbers alone are no reading of them (design.md §3). */
const WORD_KINDS: ReadonlySet<string> = new Set([
  'lock-state',
  'os-clock-sync-state',
  'gnss-sync-status',
  'sync-state',
  'synce-lock-state',
])

const LONGEST_INSTANCE = 256
const LONGEST_NODE = 253
/** The problems of one body that are told; a body of nothing but mistakes could have a hundred thousand. */
const MOST_PROBLEMS = 16

/**
 * Turns the JSON of a push, a pull or a Broker's event, of any dialect and release, into observations. Never
 * throws: what cannot be used is told in `problems`, the rest stands. The one place that knows wire names.
 */
export function normalise(body: unknown, context: Context): Normalised {
  const found = eventsIn(body).map((event) => (event === undefined ? NO_EVENT : readEvent(event, context)))
  const [only] = found
  if (found.length === 1 && only !== undefined && only.problems.length <= MOST_PROBLEMS) return only
  return {
    observations: found.flatMap((part) => part.observations),
    named: found.flatMap((part) => part.named),
    placeholders: found.flatMap((part) => part.placeholders),
    problems: found.flatMap((part) => part.problems).slice(0, MOST_PROBLEMS),
  }
}

const NO_EVENT = problem('no-event', 'The JSON has the shape of no known event')

function problem(code: Problem['code'], message: string): Normalised {
  return { observations: [], named: [], placeholders: [], problems: [{ code, message }] }
}

function readEvent(event: WireEvent, context: Context): Normalised {
  const kind = kindOf(event.type, event.source, event.subject, event.values[0]?.address)
  if (kind === undefined) return problem('no-kind', 'The event names neither a type nor a resource')
  const stamp = timeOf(event.time)
  if (stamp === undefined) return problem('no-time', `The event's time ${quote(event.time)} is no time`)

  const values: Value[] = []
  const problems: Problem[] = []
  let placeholder: Address['placeholder']
  let node = context.node
  let isOfSeveral = false
  const source = event.source === undefined ? undefined : readAddress(event.source)
  const look = (name: string | undefined) => {
    node ??= name
    if (name !== undefined && name !== node) isOfSeveral = true
  }
  let address: Address | undefined
  let before: string | undefined
  for (const { address: text, value } of event.values) {
    if (text === undefined) {
      problems.push({ code: 'no-address', message: 'A value of the event has no resource address' })
      continue
    }
    // Word and number of a clock come under the same address.
    if (address === undefined || text !== before) address = readAddress(text)
    before = text
    look(address.node)
    if (address.placeholder !== undefined) placeholder ??= address.placeholder
    else if (address.unknown)
      problems.push({
        code: 'no-address',
        message: `The address ${quote(text)} does not say which node it is of`,
      })
    else values.push({ address: clockOf(address, source), value })
  }
  look(source?.node)
  if (event.subject !== undefined) look(readAddress(event.subject).node)
  if (isOfSeveral) return otherNode(event, context)
  if (node === undefined) return problem('no-node', 'Neither the path nor the event names a node')
  if (node.length > LONGEST_NODE || !node.isWellFormed()) {
    return problem('no-node', `The node's name is longer than ${LONGEST_NODE} characters, or no Unicode`)
  }

  const { at = context.receivedAt } = stamp
  const timeFrom = stamp.at === undefined ? 'receipt' : undefined
  const readings = readValues(values, event, { kind, node, at, timeFrom, context })
  if (placeholder === undefined && problems.length === 0) return readings
  return {
    ...readings,
    placeholders: placeholder === undefined ? [] : [{ kind, means: placeholder }],
    problems: [...problems, ...readings.problems],
  }
}

/** An event may have no time, and Go's zero time says the same: then it is dated by its receipt. Undefined: no time. */
function timeOf(text: string | undefined): { at?: string } | undefined {
  if (text === undefined || isNoTime(text)) return {}
  const at = repairTime(text)
  return at === undefined ? undefined : { at }
}

/** Where a value's address names no clock, the source of the event does (protocol.md §5). */
function clockOf(address: Address, source: Address | undefined): Address {
  if (address.instance !== '' || source === undefined || source.instance === '' || source.unknown)
    return address
  return { ...address, instance: source.instance }
}

function otherNode({ values, source, subject }: WireEvent, context: Context): Normalised {
  const texts = [...values.map((value) => value.address), source, subject]
  const names = new Set(texts.flatMap((text) => (text === undefined ? [] : (readAddress(text).node ?? []))))
  if (context.node === undefined) {
    const some = [...names].slice(0, 3).map(quote).join(', ')
    return problem('other-node', `The event is of ${names.size} nodes: ${some}`)
  }
  const other = [...names].find((name) => name !== context.node)
  return problem('other-node', `The event is of node ${quote(other)}, not of ${quote(context.node)}`)
}

type Value = { readonly address: Address; readonly value: unknown }

/** What all readings of an event have in common. */
type About = {
  readonly kind: string
  readonly node: string
  readonly at: string
  readonly timeFrom: 'receipt' | undefined
  readonly context: Context
}

type Entry = { instance: string; state: string | undefined; metrics: Record<string, string> }

/**
 * Values of one clock follow each other: a word opens an entry, numbers join it. A second word for the same
 * clock opens a second entry, which is how two configs disciplining one clock show (protocol.md §3.4).
 */
function readValues(values: readonly Value[], event: WireEvent, about: About): Normalised {
  const { kind } = about
  const entries: Entry[] = []
  const problems: Problem[] = []
  let last: Entry | undefined
  /** The newest entry of each clock, once there are several. */
  let open: Map<string, Entry> | undefined
  for (const { address, value } of values) {
    const instance = instanceOf(kind, address, event.key)
    if (instance.length > LONGEST_INSTANCE) {
      problems.push({ code: 'no-address', message: 'The name of a clock is too long' })
      continue
    }
    const meaning = meaningOf(kind, value)
    const metric = meaning.is === 'number' ? (address.metric ?? metricOf(kind)) : undefined
    let entry = last
    if (last !== undefined && last.instance !== instance) {
      open ??= new Map(entries.map((each) => [each.instance, each]))
      entry = open.get(instance)
    }
    const repeats =
      entry !== undefined &&
      ((meaning.is === 'word' && entry.state !== undefined) ||
        (metric !== undefined && Object.hasOwn(entry.metrics, metric)))
    if (entry === undefined || repeats) {
      entry = { instance, state: undefined, metrics: {} }
      entries.push(entry)
      open?.set(instance, entry)
    }
    last = entry
    if (meaning.is === 'word') entry.state = meaning.word
    if (
      meaning.is === 'number' &&
      metric !== undefined &&
      !(metric === 'offset' && isNoOffset(meaning.text))
    ) {
      entry.metrics[metric] = meaning.text
    }
  }
  return sortEntries(entries, problems, event, about)
}

function sortEntries(
  entries: readonly Entry[],
  problems: readonly Problem[],
  event: WireEvent,
  { kind, node, at, timeFrom, context }: About,
): Normalised {
  const observations: Observation[] = []
  const named: Named[] = []
  const isNumeric = NUMERIC_KINDS.has(kind)
  const told = isNumeric ? new Set<string>() : undefined
  for (const { instance, state, metrics } of entries) {
    if (!isReadingOf(kind, state, metrics)) {
      named.push({ kind, instance })
      continue
    }
    if (told !== undefined) {
      // A pull of kinds of numbers repeats an entry letter by letter when two configs share one port.
      const spelled = JSON.stringify([instance, metrics.clockClass, metrics.ql, metrics.extQl])
      if (told.has(spelled)) continue
      told.add(spelled)
    }
    observations.push({
      node,
      kind,
      instance,
      state: isNumeric ? undefined : state,
      metrics,
      at,
      ...(timeFrom === undefined ? {} : { timeFrom }),
      receivedAt: context.receivedAt,
      via: context.via,
      eventId: event.id,
    })
  }
  return { observations, named, placeholders: [], problems }
}

/** An offset that is the sentinel leaves no metric, but its word is there; a word where a number is due says nothing. */
function isReadingOf(
  kind: string,
  state: string | undefined,
  metrics: Readonly<Record<string, string>>,
): boolean {
  if (WORD_KINDS.has(kind)) return state !== undefined
  if (state !== undefined && !NUMERIC_KINDS.has(kind)) return true
  return Object.keys(metrics).length > 0
}

/** Kinds whose legacy pushes always name the instance in their address, while pulls of old images name it by a key. */
const NAMED_BY_KEY: ReadonlySet<string> = new Set(['lock-state', 'clock-class'])

/** The keys of legacy pushes are kinds: `ptp_lock_state`, `sync`. */
const KIND_KEY = /^(?:sync|[a-z_]+_(?:state|class|quality)(?:_extended)?)$/
const INSTANCE_KEY = /^[a-z0-9][\w.-]*$/i

/** Push and pull must come out equal, in StarlingX's legacy format too (starlingx.md, "The legacy format"). */
function instanceOf(kind: string, address: Address, key: string | undefined): string {
  const single = SINGLE_INSTANCE.get(kind)
  if (single !== undefined) return single
  if (address.instance !== '') return address.instance
  const isNamed = key !== undefined && NAMED_BY_KEY.has(kind) && INSTANCE_KEY.test(key) && !KIND_KEY.test(key)
  return isNamed ? key : 'node'
}

function metricOf(kind: string): string {
  if (kind === 'clock-class') return 'clockClass'
  if (kind === 'synce-clock-quality') return 'ql'
  return WORD_KINDS.has(kind) ? 'offset' : 'value'
}

function quote(text: string | undefined): string {
  return text === undefined ? '(absent)' : JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text)
}
