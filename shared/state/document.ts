import * as z from 'zod/mini'
import { reasonOf, StoreError } from '#shared/errors.ts'

/** The word of a clock's state (null for a kind of numbers) and its numbers, as received. */
const content = { state: z.nullable(z.string()), metrics: z.record(z.string(), z.string()) }
export const via = z.enum(['push', 'initial', 'poll', 'broker'])

/** A reading kept to order pushes: the publisher's time and what it said. */
const reading = z.object({ at: z.string(), ...content, receivedAt: z.string() })

/** A transition seen in a pull that no push has dated yet (design.md §3, rule 6). */
const undated = z.object({
  from: z.string(),
  to: z.string(),
  notBefore: z.optional(z.string()),
  notAfter: z.string(),
  /** When we sent the pull that showed it (our time). */
  sentAt: z.string(),
  /**
   * When the create was requested during which it was seen (our time). It may have come from an ordinary push: until the
   * answer to the create proves otherwise, it is not missed (rule 9).
   */
  create: z.optional(z.string()),
  proven: z.optional(z.literal(true)),
})

/** A push that order would ignore, but that arrived too late to be merely late (design.md §3, rule 3). */
const suspicion = z.object({ told: z.string(), at: z.string(), receivedAt: z.string() })

/** Since when consecutive pulls have found something, and when they last did (our time); updated now and then. */
const span = z.object({ since: z.string(), confirmedAt: z.string() })

/** One clock of a node: its state, and the past readings that the merge rules need. */
const clock = z.object({
  kind: z.string(),
  instance: z.string(),
  ...content,
  /** When this state began, by the push that said so (publisher's time); null where no push has dated it. */
  since: z.nullable(z.string()),
  /** The publisher's time of the reading shown. */
  observedAt: z.string(),
  receivedAt: z.string(),
  /** `observedAt` is when we received it: the event had no time. */
  timeFrom: z.optional(z.literal('receipt')),
  /** When a push that applied or a pull that agreed last confirmed it (our time). */
  confirmedAt: z.string(),
  via,
  /** Several entries for this clock in the last pull (rule 7). */
  contested: z.boolean(),
  /** Pulls of its kind have not named it for long enough (rule 10): left out of `overall`, kept for history. */
  retired: z.boolean(),
  /** Newest first; each older one is strictly worse than all newer ones, and dated after the last pull. */
  pushes: z.array(reading),
  /** When the last push of this clock that is remembered arrived (our time). */
  pushedAt: z.optional(z.string()),
  /** The last pull that applied; without `at` where its time may not be that of the query. */
  pull: z.optional(
    z.object({
      at: z.optional(z.string()),
      ...content,
      /** When it was sent; of several in a row that agreed, the first. */
      sentAt: z.string(),
      receivedAt: z.string(),
    }),
  ),
  undated: z.optional(undated),
  /** Transitions that another one followed before their own pushes could arrive, the oldest first. */
  overtaken: z.optional(z.array(undated)),
  /** An earlier newest push, received at least a settle time before the next one (rule 3). */
  anchor: z.optional(z.object({ at: z.string(), receivedAt: z.string() })),
  /** The older push that rule 3 applied: if it is repeated, that is a duplicate. */
  setBack: z.optional(reading),
  /** Counts as UNKNOWN until the next pull of this clock (rule 3). */
  suspect: z.optional(suspicion),
  /** Since when pulls have named other clocks of the kind, but not this one. */
  unnamed: z.optional(span),
})

/** Milliseconds that the node has spent in each state, counted up to `until` (our time). */
const spent = z.object({
  until: z.string(),
  FREERUN: z.number(),
  HOLDOVER: z.number(),
  UNKNOWN: z.number(),
  LOCKED: z.number(),
})

const subscription = z.object({
  kind: z.string(),
  /** The resource address subscribed to. */
  address: z.string(),
  id: z.string(),
  endpoint: z.string(),
  /** When the publisher was last seen to hold it (our time). */
  confirmedAt: z.string(),
})

const lack = z.object({
  kind: z.string(),
  refusedAt: z.string(),
  /** Pulls of it are answered, but empty. */
  answers: z.boolean(),
})

const create = z.object({
  kind: z.string(),
  requestedAt: z.string(),
  /** The `time` of the initial notification is that of the request. */
  queryTime: z.optional(z.boolean()),
  /** The instance of each reading received since, in order. */
  heard: z.optional(z.array(z.string())),
})

export const counters = z.object({
  received: z.number(),
  duplicate: z.number(),
  late: z.number(),
  missed: z.number(),
  quarantined: z.number(),
  clockSteps: z.number(),
  suspect: z.number(),
  /** Changes of the node's overall state; 0 in a document from before it was counted. */
  transitions: z._default(z.number(), 0),
})

export const publisher = z.object({
  url: z.string(),
  dialect: z.string(),
  reachable: z.boolean(),
  checkedAt: z.string(),
  /** What is wrong with it, for people: a wrong node name, or why it cannot be reached. */
  problem: z.optional(z.string()),
  /** Since when it has been neither discovered nor listed (our time). */
  goneSince: z.optional(z.string()),
  /** While it is unreachable: when a poll last reached it (our time). */
  reachedAt: z.optional(z.string()),
  /** Since when consecutive polls have failed to reach it (our time). */
  unreachableSince: z.optional(z.string()),
  /** Since when neither pushes nor pulls of this node can reach us (our time; design.md §3, blind). */
  blindSince: z.optional(z.string()),
})

/**
 * The document of one node: the unit of atomic change and of locking (design.md §3). Plain JSON.
 * Publishers' times stay strings with their nanoseconds; our own are RFC 3339 with milliseconds.
 */
export const nodeState = z.object({
  node: z.string(),
  /** A random value made with the document; a store that was emptied gives the node another one. */
  incarnation: z.string(),
  /** The number of the newest log entry; 0 before the first. */
  seq: z.number(),
  /** The sink has the log up to this number; absent until a process with a sink first writes the document. */
  forwarded: z.optional(z.number()),
  /** The labels of its publisher, from PUBLISHERS or from its Kubernetes Node. */
  labels: z.optional(z.record(z.string(), z.string())),
  clocks: z.array(clock),
  /** By kind: since when pulls have named no clock of it. */
  absent: z.record(z.string(), span),
  publisher: z.optional(publisher),
  subscriptions: z.array(subscription),
  /** Kinds that the publisher rejected while it accepted others (our time): the host has no such clocks. */
  lacking: z.optional(z.array(lack)),
  /** Creates under way: meanwhile a push of that kind counts as the initial notification (rule 9). */
  pending: z.array(create),
  counters,
  /** The newest bodies that were acknowledged but are not valid events of this node, truncated. */
  quarantine: z.array(z.object({ receivedAt: z.string(), reason: z.string(), body: z.string() })),
  /** What the log last said of the node as a whole, so that each change is logged once. */
  announced: z.object({ overall: z.string(), stale: z.boolean(), blind: z.boolean() }),
  /** Updated with each write of the merge rules; absent before the first. */
  spent: z.optional(spent),
  /** Why the stored document cannot be read, in what {@link damagedState} shows for it. */
  damaged: z.optional(z.string()),
})

export type NodeState = z.infer<typeof nodeState>
export type ClockState = z.infer<typeof clock>
export type Reading = z.infer<typeof reading>
export type Streak = z.infer<typeof span>
export type Subscription = z.infer<typeof subscription>
export type Counters = z.infer<typeof counters>

export const ENTRY_TYPES = [
  'changed',
  'missed',
  'delayed',
  'overall',
  'suspect',
  'stale',
  'blind',
  'recovered',
  'retired',
  'restored',
] as const

/** One line of a node's history, which is also its outbox (design.md §3). */
export const logEntry = z.object({
  seq: z.number(),
  type: z.enum(ENTRY_TYPES),
  kind: z.optional(z.string()),
  instance: z.optional(z.string()),
  from: z.optional(z.string()),
  to: z.optional(z.string()),
  /** The state in the push that made the clock suspect. */
  told: z.optional(z.string()),
  at: z.optional(z.string()),
  notBefore: z.optional(z.string()),
  notAfter: z.optional(z.string()),
  via,
  overall: z.string(),
})

export type LogEntry = z.infer<typeof logEntry>
/** An entry before the write numbers it. */
export type NewEntry = Omit<LogEntry, 'seq'>

/** The document of a node before its first reading. `incarnation` is random. */
export function emptyNodeState(node: string, incarnation: string): NodeState {
  return {
    node,
    incarnation,
    seq: 0,
    clocks: [],
    absent: {},
    subscriptions: [],
    pending: [],
    counters: {
      received: 0,
      duplicate: 0,
      late: 0,
      missed: 0,
      quarantined: 0,
      clockSteps: 0,
      suspect: 0,
      transitions: 0,
    },
    quarantine: [],
    announced: { overall: 'UNKNOWN', stale: false, blind: false },
  }
}

/**
 * What is shown for a document that cannot be read, and never written: its node is UNKNOWN, and hides no other.
 * @throws `error`, if it says that the store is away.
 */
export function damagedState(node: string, error: unknown): NodeState {
  if (!(error instanceof StoreError) || error.retryable) throw error
  return { ...emptyNodeState(node, ''), damaged: error.message }
}

/** The document of a node from its JSON. @throws StoreError, not retryable, if the text is no such document. */
export function parseDocument(node: string, text: string): NodeState {
  return parse(nodeState, text, `The stored document of node ${node}`, repairOf(node))
}

/** A log entry of a node from its JSON. @throws StoreError, not retryable, if the text is no such entry. */
export function parseEntry(node: string, text: string): LogEntry {
  return parse(logEntry, text, `A stored log entry of node ${node}`)
}

/** The fix for a document that cannot be read. */
const repairOf = (node: string): string =>
  `ptp-watch forget ${node} removes it, with its history, and the next poll restores its state`

function parse<T>(schema: z.ZodMiniType<T>, text: string, what: string, repair = ''): T {
  const then = repair && `\n${repair}`
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new StoreError(`${what} is not JSON: ${reasonOf(error)}${then}`, { retryable: false })
  }
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw new StoreError(`${what} is damaged:\n${z.prettifyError(parsed.error)}${then}`, { retryable: false })
}
