import { type Context, type Normalised, normalise, type Problem } from '#shared/events/normalise.ts'
import type { Log } from '#shared/log.ts'
import { emptyNodeState, type NodeState } from '#shared/state/document.ts'
import type { MergeSettings } from '#shared/state/merge/draft.ts'
import type { Outcome } from '#shared/state/store/change.ts'
import type { Store } from '#shared/state/store/store.ts'
import type { Clock } from '#shared/time.ts'
import { mergeBody, type Received, type Said } from '#shared/state/merge/body.ts'
import type { IngestMetrics } from './metrics.ts'
import { beginningOf, createTold, isNodeName, quarantined } from './quarantine.ts'
import type { Waiting } from './backlog.ts'

export type Reception = Context & {
  /** The bytes that the JSON was read from: what is set aside is kept as it came. */
  readonly body: Uint8Array
  /** Keep what the store does not take, and write it when the store is back. */
  readonly buffer: boolean
  /** The way it came in proves that its node is one of ours. */
  readonly trusted: boolean
}

export type Receiver = {
  /** True once the store has all of the body that is an event; false if the store did not take it. */
  receive(json: unknown, reception: Reception): Promise<boolean>
  /** Why a body holds no event at all; undefined if it holds one. */
  check(json: unknown, context: Context): Problem | undefined
  /** Counts an event of our own that came back through a Broker. */
  dropOwn(): void
}

export type ReceiverDeps = {
  readonly store: Pick<Store, 'update'>
  readonly waiting: Waiting
  readonly clock: Clock
  readonly log: Log
  readonly metrics: IngestMetrics
  readonly newId: () => string
  readonly settings: MergeSettings
  /** The nodes of the configuration; others are known once the store has them. */
  readonly configured: ReadonlySet<string>
}

/** Takes the JSON of a notification into the store. */
export function createReceiver(deps: ReceiverDeps): Receiver {
  const { store, waiting, clock, log, metrics, newId, settings, configured } = deps

  const unknown = createTold(log, clock.now, 'event dropped: its node is neither configured nor in the store')
  const rejected = createTold(log, clock.now, 'quarantined')
  /** Nodes that the store was seen to have. */
  const stored = new Set<string>()

  /** What one body changes in the document of one node. */
  const change = (
    node: string,
    body: Part,
    trusted: boolean,
    current: NodeState | undefined,
  ): Outcome<Received> => {
    if (current === undefined && !trusted && !configured.has(node))
      return { result: { outcome: 'stranger', entries: [] } }
    const before = current ?? emptyNodeState(node, newId())
    if (body.quarantine !== undefined) return quarantined(before, body.quarantine)
    return mergeBody(before, body, settings, clock.now())
  }

  const write = (node: string, body: Part, trusted: boolean): Promise<void> =>
    store
      .update(node, (current) => change(node, body, trusted, current))
      .then((received) => tell(node, body, received))

  const tell = (node: string, body: Part, { outcome, entries }: Received): void => {
    if (outcome === 'stranger') unknown.add(node, 'unknown node')
    else stored.add(node)
    metrics.events.inc({ outcome: outcomeOf(outcome) })
    if (log.on('debug')) log.debug('event', { node, outcome, events: body.observations.length })
    if (!log.on('info')) return
    for (const { type, kind, instance, from, to, at, via, overall } of entries) {
      log.info('transition', { node, type, kind, instance, from, to, at, via, overall })
    }
  }

  const receivePart = (
    [node, part]: NodePart,
    { body, buffer, trusted, via }: Reception,
  ): Promise<boolean> => {
    if (part.quarantine !== undefined) {
      metrics.quarantined.inc({ reason: part.quarantine.reason })
      const { reason, message } = part.quarantine
      rejected.add(node ?? '', reason, { detail: message, via })
    }
    if (node === undefined || !isNodeName(node)) {
      if (node !== undefined && part.quarantine === undefined) metrics.quarantined.inc({ reason: 'no-node' })
      metrics.events.inc({ outcome: 'stranger' })
      unknown.add('', node === undefined ? 'no node' : 'no name of a node')
      return Promise.resolve(true)
    }
    const writing = () => write(node, part, trusted)
    if (!trusted && !configured.has(node) && !stored.has(node)) return waiting.attempt(writing)
    return waiting.deliver(node, writing, { buffer, bytes: HELD_BESIDE + 2 * body.byteLength })
  }

  return {
    receive(json, reception) {
      const found = isNothing(json) ? NOTHING : normalise(json, reception)
      const parts = partsOf(found, reception)
      const [first] = parts
      if (first === undefined) {
        metrics.events.inc({ outcome: found.placeholders.length > 0 ? 'placeholder' : 'empty' })
        return Promise.resolve(true)
      }
      // Nearly every body speaks of one node.
      if (parts.length === 1) return receivePart(first, reception)
      return Promise.all(parts.map((part) => receivePart(part, reception))).then((each) =>
        each.every(Boolean),
      )
    },

    check(json, context) {
      const found = normalise(json, context)
      const nameless = found.observations.find(({ node }) => !isNodeName(node))
      if (nameless !== undefined)
        return { code: 'no-node', message: 'What the event names is no name of a node' }
      const some = found.observations.length + found.named.length + found.placeholders.length > 0
      return some ? undefined : found.problems[0]
    },

    dropOwn: () => metrics.events.inc({ outcome: 'own' }),
  }
}

/** What means "nothing" as the answer to a pull means none of that as a notification. */
function isNothing(json: unknown): boolean {
  return json === null || (typeof json === 'object' && Object.values(json).every((value) => value === null))
}

const NOTHING: Normalised = {
  observations: [],
  named: [],
  placeholders: [],
  problems: [{ code: 'no-event', message: 'The JSON has the shape of no known event' }],
}

/** What an event that waits takes beside its texts, by measure. Bytes. */
const HELD_BESIDE = 1_024

/** What a body holds for one node: readings, or a reason to set it aside. */
type Part = Said & {
  readonly quarantine?: {
    readonly reason: Problem['code']
    readonly message: string
    readonly body: string
    readonly receivedAt: string
  }
}

/** What a body holds for one node, and that node as far as it is known. */
type NodePart = readonly [node: string | undefined, part: Part]

/** An array of events may speak of several nodes, and be sound in part. */
function partsOf(found: Normalised, { body, node, receivedAt }: Reception): NodePart[] {
  const { named, observations } = found
  const [first] = observations
  const parts: NodePart[] =
    observations.length === 1 && first !== undefined
      ? [[first.node, { observations, named, receivedAt }]]
      : Array.from(
          Map.groupBy(observations, (reading) => reading.node),
          ([name, ofNode]) => [name, { observations: ofNode, named, receivedAt }],
        )
  const [problem] = found.problems
  if (problem !== undefined) {
    const { code: reason, message } = problem
    const quarantine = { reason, message, body: beginningOf(body), receivedAt }
    parts.push([node, { observations: [], named: [], receivedAt, quarantine }])
  }
  return parts
}

const OUTCOMES = [
  'applied',
  'initial',
  'delayed',
  'duplicate',
  'late',
  'full',
  'quarantined',
  'stranger',
] as const

function outcomeOf(text: string): (typeof OUTCOMES)[number] {
  return OUTCOMES.find((outcome) => outcome === text) ?? 'applied'
}
