import { isNodeName } from '#shared/config/publishers.ts'
import { MalformedEventError } from '#shared/errors.ts'
import { type Context, type Normalised, normaliseEvents } from '#shared/events/normalise.ts'
import { eventsIn, type WireEvent } from '#shared/events/wire.ts'
import type { Log } from '#shared/log.ts'
import { emptyNodeState } from '#shared/state/document.ts'
import { mergeBody, type Received, type Said } from '#shared/state/merge/body.ts'
import type { MergeSettings } from '#shared/state/merge/draft.ts'
import type { Store } from '#shared/state/store/store.ts'
import type { Clock } from '#shared/time.ts'
import type { Backlog } from './backlog.ts'
import type { IngestMetrics } from './metrics.ts'
import { beginningOf, createTold, type Quarantine, quarantined } from './quarantine.ts'

/**
 * The largest of 1,702 recorded notifications has one event of 790 bytes with 4 values. A document holds 64 clocks: a word
 * and a number each, and as many again to spare.
 */
const MOST_EVENTS = 64
const MOST_VALUES = 256
/** The measured memory of a waiting event besides its texts. Bytes. */
const HELD_BESIDE = 1_024

type Reception = Context & {
  /** The bytes that the JSON was parsed from: a quarantined body is kept as it came. */
  readonly body: Uint8Array
  readonly via: 'push' | 'broker'
}

export type Receiver = {
  /**
   * True once the store has every valid event of the body. False if the store did not accept it: a push then waits in
   * the backlog, and a Broker redelivers.
   * @throws MalformedEventError `too-large`; for a Broker's event also why nothing in it can be used.
   */
  receive(json: unknown, reception: Reception): Promise<boolean>
  /** Counts an event of our own that came back through a Broker. */
  dropOwn(): void
}

type ReceiverDeps = {
  readonly store: Pick<Store, 'update'>
  readonly backlog: Backlog
  readonly clock: Clock
  readonly log: Log
  readonly metrics: IngestMetrics
  readonly newId: () => string
  readonly settings: MergeSettings
  /** The configured nodes; others are known once the store has them. */
  readonly configured: ReadonlySet<string>
  /** Tokens prove that every node is one of ours. */
  readonly trusted: boolean
}

/** The part of a body about one node, as far as that is known: readings, or a reason to quarantine it. */
type Part = Said & { readonly node: string | undefined; readonly quarantine?: Quarantine }

/** Merges the JSON of a notification into the store. */
export function createReceiver(deps: ReceiverDeps): Receiver {
  const { store, backlog, clock, log, metrics, newId, settings, configured, trusted } = deps
  const unknown = createTold(log, clock.now, 'event dropped: its node is neither configured nor in the store')
  const rejected = createTold(log, clock.now, 'quarantined')
  /** Nodes seen in the store. */
  const stored = new Set<string>()
  const isOurs = (node: string) => trusted || configured.has(node)

  const write = async (node: string, part: Part): Promise<void> => {
    const { outcome, entries } = await store.update<Received | Unknown>(node, (current) => {
      if (current === undefined && !isOurs(node)) return { result: UNKNOWN }
      const before = current ?? emptyNodeState(node, newId())
      if (part.quarantine !== undefined) return quarantined(before, part.quarantine)
      return mergeBody(before, part, settings, clock.now())
    })
    if (outcome === 'unknown') unknown.add(node, 'unknown node')
    else stored.add(node)
    metrics.events.inc({ outcome })
    log.debug('event', { node, outcome, events: part.observations.length })
    for (const { type, kind, instance, from, to, at, via, overall } of entries) {
      log.info('transition', { node, type, kind, instance, from, to, at, via, overall })
    }
  }

  const receivePart = (part: Part, { body, via }: Reception): boolean | Promise<boolean> => {
    const { node, quarantine } = part
    if (quarantine !== undefined) {
      metrics.quarantined.inc({ reason: quarantine.reason })
      rejected.add(node ?? '', quarantine.reason, { detail: quarantine.message, via })
    }
    // Nothing is stored under a name that the configuration would reject, even with a valid token.
    if (node === undefined || !isNodeName(node)) {
      if (node !== undefined && quarantine === undefined) metrics.quarantined.inc({ reason: 'no-node' })
      metrics.events.inc({ outcome: 'unknown' })
      unknown.add('', node === undefined ? 'no node' : 'invalid node name')
      return true
    }
    const writing = () => write(node, part)
    if (!isOurs(node) && !stored.has(node)) return backlog.attempt(writing)
    return backlog.deliver(node, writing, {
      buffer: via === 'push',
      bytes: HELD_BESIDE + 2 * body.byteLength,
    })
  }

  return {
    async receive(json, reception) {
      const events = eventsIn(json)
      if (isOverfull(events)) throw new MalformedEventError('too-large', OVERFULL)
      // An empty body means "no clocks" as the answer to a pull, but not as a notification.
      const found = normaliseEvents(events.length === 0 ? [undefined] : events, reception)
      if (reception.via === 'broker') checkUsable(found)
      const parts = partsOf(found, reception)
      if (parts.length === 0) {
        metrics.events.inc({ outcome: found.placeholders.length > 0 ? 'placeholder' : 'empty' })
      }
      const results = await Promise.all(parts.map((part) => receivePart(part, reception)))
      return results.every(Boolean)
    },
    dropOwn: () => metrics.events.inc({ outcome: 'own' }),
  }
}

type Unknown = { readonly outcome: 'unknown'; readonly entries: [] }
const UNKNOWN: Unknown = { outcome: 'unknown', entries: [] }

const OVERFULL = `The body has more than ${MOST_EVENTS} events or ${MOST_VALUES} values`

function isOverfull(events: readonly (WireEvent | undefined)[]): boolean {
  const values = events.reduce((sum, event) => sum + (event?.values.length ?? 0), 0)
  return events.length > MOST_EVENTS || values > MOST_VALUES
}

/** @throws MalformedEventError if redelivery cannot help: the Broker's dead letter shows the reason. */
function checkUsable({ observations, named, placeholders, problems }: Normalised): void {
  if (observations.some(({ node }) => !isNodeName(node)))
    throw new MalformedEventError('no-node', 'The node that the event names has an invalid name')
  const [problem] = problems
  if (problem !== undefined && observations.length + named.length + placeholders.length === 0)
    throw new MalformedEventError(problem.code, problem.message)
}

/** An array of events may concern several nodes, and be partly valid. */
function partsOf(found: Normalised, { body, node, receivedAt }: Reception): Part[] {
  const { named, observations } = found
  const byNode = Map.groupBy(observations, (reading) => reading.node)
  const parts: Part[] = Array.from(byNode, ([name, ofNode]) => ({
    node: name,
    observations: ofNode,
    named,
    receivedAt,
  }))
  const [problem] = found.problems
  if (problem !== undefined) {
    const quarantine = {
      reason: problem.code,
      message: problem.message,
      body: beginningOf(body),
      receivedAt,
    }
    parts.push({ node, observations: [], named: [], receivedAt, quarantine })
  }
  return parts
}
