import * as z from 'zod/mini'
import { counters, logEntry, publisher, via } from '#shared/state/document.ts'

/** What the API answers: the single source of its types, its OpenAPI description and the tests of its replies. */

/** RFC 3339; ours in milliseconds, publishers' with their nanoseconds. */
const time = z.string()
/** Worst first. */
export const OVERALL = ['FREERUN', 'HOLDOVER', 'UNKNOWN', 'LOCKED'] as const
const overall = z.enum(OVERALL)
/** Why a node's state may be wrong, the most serious reason first. */
export const DOUBTS = ['blind', 'suspect', 'stale'] as const
export const FLAGS = [...DOUBTS, 'unreachable', 'gone'] as const
const labels = z.record(z.string(), z.string())

/** About the picture as a whole, sent with every answer. */
export const picture = z.object({
  now: time,
  /** When a publisher was last polled, by the store; null if none ever was. */
  polledAt: z.nullable(time),
  /** A picture older than this is out of date. */
  staleAfterMs: z.number(),
  /** Since when the store cannot be read; null while it can. */
  storeDownSince: z.nullable(time),
  /** The store's URL, without credentials. */
  store: z.string(),
})

const holdover = z.nullable(
  z.object({
    budgetSeconds: z.number(),
    /** When the budget runs out, or since when a clock class says that the node is out of specification. */
    endsAt: time,
    /** By a clock class if one says so, else by whether there is budget left. */
    inSpecification: z.boolean(),
    /** The clock class that says so. */
    clockClass: z.nullable(z.string()),
  }),
)

/** One node in brief. */
export const row = z.object({
  node: z.string(),
  overall,
  since: z.nullable(time),
  /** No push has dated the state: it began at `since` or before. */
  orBefore: z.boolean(),
  /** Which clock decides, or why nothing is known, in one phrase for people. */
  because: z.string(),
  flags: z.array(z.enum(FLAGS)),
  labels,
  checkedAt: z.nullable(time),
  missed: z.number(),
  /** Null unless the node is in HOLDOVER. */
  holdover,
})

const resource = z.object({
  kind: z.string(),
  instance: z.string(),
  state: z.nullable(z.string()),
  metrics: z.record(z.string(), z.string()),
  since: z.nullable(time),
  notAfter: z.nullable(time),
  observedAt: time,
  receivedAt: time,
  timeFrom: z.optional(z.literal('receipt')),
  confirmedAt: time,
  stale: z.boolean(),
  contested: z.boolean(),
  suspect: z.nullable(z.object({ told: z.string(), at: time, receivedAt: time })),
  via,
})

export const node = z.object({
  node: z.string(),
  seq: z.number(),
  overall,
  stale: z.boolean(),
  suspect: z.boolean(),
  blind: z.boolean(),
  /** Null unless the node is in HOLDOVER. */
  holdover,
  labels,
  publisher: z.nullable(publisher),
  resources: z.array(resource),
  subscriptions: z.array(
    z.object({ kind: z.string(), address: z.string(), id: z.string(), confirmedAt: time }),
  ),
  counters,
  /** Why the stored document cannot be read; then nothing else is known about the node. */
  damaged: z.optional(z.string()),
  log: z.optional(z.array(logEntry)),
})

export const nodes = z.object({ nodes: z.array(node), continue: z.nullable(z.string()) })
export const log = z.object({ node: z.string(), log: z.array(logEntry) })
export const fleet = z.object({ type: z.literal('snapshot'), ...picture.shape, rows: z.array(row) })
export const summary = z.object({
  ...picture.shape,
  nodes: z.number(),
  overall: z.object({ FREERUN: z.number(), HOLDOVER: z.number(), UNKNOWN: z.number(), LOCKED: z.number() }),
  blind: z.number(),
  suspect: z.number(),
  stale: z.number(),
  unreachable: z.number(),
  gone: z.number(),
})

export const failure = z.object({ error: z.object({ code: z.string(), message: z.string() }) })

export type Row = z.infer<typeof row>
export type Picture = z.infer<typeof picture>
export type NodeJson = z.infer<typeof node>
export type { LogEntry } from '#shared/state/document.ts'
export type { Lane, Stretch, Timeline } from '#shared/state/timeline.ts'
export { availability, timeline } from '#shared/state/timeline.ts'
