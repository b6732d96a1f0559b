import * as z from 'zod/mini'
import { reasonOf, StoreError } from '#shared/errors.ts'

/** What is said of a clock: the word of its state, null for a kind of numbers; and numbers as received. */
const content = { state: z.nullable(z.string()), metrics: z.record(z.string(), z.string()) }
export const via = z.enum(['push', 'initial', 'poll', 'broker'])

/** A reading kept for the sake of the order of pushes: the publisher's time and what it said. */
const reading = z.object({ at: z.string(), ...content, receivedAt: z.string() })

/** A transition that a pull showed and that no push has dated yet (design.md §3, rule 6). */
const undated = z.object({
  from: z.string(),
  to: z.string(),
  notBefore: z.optional(z.string()),
  notAfter: z.string(),
  /** When we sent the pull that showed it (our time). */
  sentAt: z.string(),
  /**
   * What showed it came while a create was under way, asked at that time (ours), and may have been an ordinary push:
   * until the answer to the create proves otherwise it is not missed (rule 9).
   */
  create: z.optional(z.string()),
  proven: z.optional(z.literal(true)),
})

/** A push that order would ignore, but that came in too late to have been merely late (design.md §3, rule 3). */
const suspicion = z.object({ told: z.string(), at: z.string(), receivedAt: z.string() })

/** How long something has been found by one pull after the other (our time); written now and then. */
const span = z.object({ since: z.string(), confirmedAt: z.string() })

/** One clock of a node: what is known of it, and what the merge rules need to know of what came before. */
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
  /** Not named by pulls of its kind for long enough (rule 10): out of `overall`, kept for history. */
  retired: z.boolean(),
  /** Pushes newest first; each further one is strictly worse than all before it, and dated after the last pull. */
  pushes: z.array(reading),
  /** When a push of this clock last came in that was remembered (our time). */
  pushedAt: z.optional(z.string()),
  /** The last pull that applied. Its `at` is absent where a pull's time is not known to be that of the query. */
  pull: z.optional(
    z.object({
      at: z.optional(z.string()),
      ...content,
      /** When we asked; of several that agreed, when we asked first. */
      sentAt: z.string(),
      receivedAt: z.string(),
    }),
  ),
  undated: z.optional(undated),
  /** Transitions that others came after before their own pushes could have come, the oldest first. */
  overtaken: z.optional(z.array(undated)),
  /** A former newest push, received a settle time before the one after it: what is older than it is old (rule 3). */
  anchor: z.optional(z.object({ at: z.string(), receivedAt: z.string() })),
  /** The push that rule 3 applied though it was older: its repetition is a duplicate. */
  setBack: z.optional(reading),
  /** Counts as UNKNOWN until the next pull of this clock (rule 3). */
  suspect: z.optional(suspicion),
  /** The first and the last of the pulls in a row that named other clocks of the kind but not this one (our time). */
  unnamed: z.optional(span),
})

/** The time that the node has been in each state, in milliseconds, counted up to `until` (our time). */
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
  /** Pulls of it are answered, with nothing in them. */
  answers: z.boolean(),
})

const create = z.object({
  kind: z.string(),
  requestedAt: z.string(),
  /** Whether the `time` of the initial notification is that of the request. */
  queryTime: z.optional(z.boolean()),
  /** The instance of each reading that has come since, in order. */
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
  /** What is wrong with it, for people: a node name that does not match, why it cannot be reached. */
  problem: z.optional(z.string()),
  /** Since when it is neither discovered nor listed (our time); absent again once it is. */
  goneSince: z.optional(z.string()),
  /** When a poll last reached it, while it is not reachable (our time); else that is `checkedAt`. */
  reachedAt: z.optional(z.string()),
  /** Since when polls in a row have not reached it (our time). */
  unreachableSince: z.optional(z.string()),
  /** Since when nothing of this node can reach us: no push and no pull (our time; design.md §3, blind). */
  blindSince: z.optional(z.string()),
})

/**
 * The document of one node: the unit of atomic change and of locking (design.md §3). Plain JSON.
 * Publishers' times stay strings with their nanoseconds; our own are RFC 3339 with milliseconds.
 */
export const nodeState = z.object({
  node: z.string(),
  /** A random value made with the document: tells a store that was emptied from one that was not. */
  incarnation: z.string(),
  /** The number of the newest log entry; 0 before the first. */
  seq: z.number(),
  /** The number up to which the broker has the log; absent until a process with a sink first writes it. */
  forwarded: z.optional(z.number()),
  /** The labels that its publisher has in the configuration. */
  labels: z.optional(z.record(z.string(), z.string())),
  clocks: z.array(clock),
  /** Per kind: the first and the last of the pulls in a row that named no clock of it (our time). */
  absent: z.record(z.string(), span),
  publisher: z.optional(publisher),
  subscriptions: z.array(subscription),
  /** Kinds that the publisher rejected while it accepted others, and when (our time): the host has none of them. */
  lacking: z.optional(z.array(lack)),
  /** Creates under way: a push of that kind is an initial notification while its entry stands (rule 9). */
  pending: z.array(create),
  counters,
  /** The newest bodies that were acknowledged but are no events of this node, cut to a bounded length. */
  quarantine: z.array(z.object({ receivedAt: z.string(), reason: z.string(), body: z.string() })),
  /** What the log last said of the node as a whole, so that a change of it is told once. */
  announced: z.object({ overall: z.string(), stale: z.boolean(), blind: z.boolean() }),
  /** Counted with each write of the merge rules; absent before the first. */
  spent: z.optional(spent),
})

export type NodeState = z.infer<typeof nodeState>
export type ClockState = z.infer<typeof clock>
export type Reading = z.infer<typeof reading>
export type Span = z.infer<typeof span>
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
  /** What a push said that made the clock suspect. */
  told: z.optional(z.string()),
  at: z.optional(z.string()),
  notBefore: z.optional(z.string()),
  notAfter: z.optional(z.string()),
  via,
  overall: z.string(),
})

export type LogEntry = z.infer<typeof logEntry>
/** An entry that has no number yet: the write numbers it. */
export type NewEntry = Omit<LogEntry, 'seq'>

/** The document of a node of which nothing is known yet. `incarnation` is random. */
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

/** The document of a node from its JSON. @throws StoreError, not retryable, if the text is no such document. */
export function parseDocument(node: string, text: string): NodeState {
  return parse(nodeState, text, `The stored document of node ${node}`)
}

/** A log entry of a node from its JSON. @throws StoreError, not retryable, if the text is no such entry. */
export function parseEntry(node: string, text: string): LogEntry {
  return parse(logEntry, text, `A stored log entry of node ${node}`)
}

function parse<T>(schema: z.ZodMiniType<T>, text: string, what: string): T {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new StoreError(`${what} is not JSON: ${reasonOf(error)}`, { retryable: false })
  }
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw new StoreError(`${what} is damaged:\n${z.prettifyError(parsed.error)}`, { retryable: false })
}
