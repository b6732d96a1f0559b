import * as z from 'zod/mini'

const time = z.string().check(z.regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/))

const entry = z.strictObject({
  seq: z.number(),
  type: z.enum([
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
  ]),
  kind: z.optional(z.string()),
  instance: z.optional(z.string()),
  from: z.optional(z.string()),
  to: z.optional(z.string()),
  told: z.optional(z.string()),
  at: z.optional(time),
  notBefore: z.optional(time),
  notAfter: z.optional(time),
  via: z.enum(['push', 'initial', 'poll', 'broker']),
  overall: z.string(),
})

/** `GET /api/nodes/<node>` as it is promised, written down a second time: a key more or less is a failure. */
export const view = z.strictObject({
  node: z.string(),
  seq: z.number(),
  overall: z.enum(['FREERUN', 'HOLDOVER', 'UNKNOWN', 'LOCKED']),
  stale: z.boolean(),
  suspect: z.boolean(),
  blind: z.boolean(),
  holdover: z.optional(
    z.nullable(
      z.strictObject({
        budgetSeconds: z.number(),
        endsAt: time,
        inSpecification: z.boolean(),
        clockClass: z.nullable(z.string()),
      }),
    ),
  ),
  labels: z.record(z.string(), z.string()),
  publisher: z.nullable(
    z.strictObject({
      url: z.string(),
      dialect: z.string(),
      reachable: z.boolean(),
      checkedAt: time,
      problem: z.optional(z.string()),
      goneSince: z.optional(time),
      reachedAt: z.optional(time),
      unreachableSince: z.optional(time),
      blindSince: z.optional(time),
    }),
  ),
  resources: z.array(
    z.strictObject({
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
      suspect: z.nullable(z.strictObject({ told: z.string(), at: time, receivedAt: time })),
      via: z.enum(['push', 'initial', 'poll', 'broker']),
    }),
  ),
  subscriptions: z.array(
    z.strictObject({ kind: z.string(), address: z.string(), id: z.string(), confirmedAt: time }),
  ),
  counters: z.strictObject({
    received: z.number(),
    duplicate: z.number(),
    late: z.number(),
    missed: z.number(),
    quarantined: z.number(),
    clockSteps: z.number(),
    suspect: z.number(),
    transitions: z.number(),
  }),
  log: z.optional(z.array(entry)),
})

/** `GET /api/nodes`. */
export const page = z.strictObject({ nodes: z.array(view), continue: z.nullable(z.string()) })

export type View = z.infer<typeof view>
export type Entry = z.infer<typeof entry>

/** One clock of a node; fails the test where the node has none. */
export function clockOf(
  { node, resources }: View,
  kind: string,
  instance?: string,
): View['resources'][number] {
  const found = resources.find(
    (clock) => clock.kind === kind && (instance === undefined || clock.instance === instance),
  )
  if (found === undefined) throw new Error(`${node} has no clock ${kind} ${instance ?? ''}`)
  return found
}

/** The entries of a node's log of one type, oldest first. */
export function entriesOf({ log = [] }: View, type: Entry['type'], kind?: string): Entry[] {
  return log.filter((one) => one.type === type && (kind === undefined || one.kind === kind))
}

/** Nanoseconds since the epoch of a time in UTC. */
export function nanoseconds(time: string): bigint {
  const [, seconds = '', fraction = ''] = /^(.{19})(?:\.(\d+))?Z$/.exec(time) ?? []
  return BigInt(Date.parse(`${seconds}Z`)) * 1_000_000n + BigInt(fraction.padEnd(9, '0'))
}
