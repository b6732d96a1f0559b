import { createHash } from 'node:crypto'
import * as z from 'zod/mini'
import { orAbsent, texts } from '#shared/kubernetes/objects.ts'
import type { LogEntry, NodeState } from '#shared/state/document.ts'
import { entriesWithin } from '#shared/state/history.ts'
import type { NodeView } from '#shared/state/view.ts'
import { secondsOf } from './conditions.ts'
import type { ConditionDeps } from './metrics.ts'
import { type ClusterNode, despiteOthers } from './nodes.ts'
import { type EventReason, eventMessage, sortOut } from './occurrences.ts'

/** Events about cluster-scoped objects belong in this namespace: kubectl and the API server both require it. */
const EVENTS = { resource: 'events', namespace: 'default' } as const

/** How long the API server keeps an Event after its last update. Milliseconds. */
const EVENT_TTL = 3_600_000
/** How often an Event about a lasting problem is renewed. Milliseconds. */
const RENEW_AFTER = EVENT_TTL / 2

/** The annotation with the last log entry, and its document, that an Event has counted. */
const COUNTED = 'ptp-watch.io/counted'

const PAGE = 1_000

const kept = z.object({
  metadata: z.object({ resourceVersion: z.string(), annotations: texts }),
  count: orAbsent(z.number()),
})

/** How far this process has read, and whether the node has been in FREERUN or HOLDOVER since it was last LOCKED. */
type Looked = { readonly incarnation: string; readonly seq: number; readonly ailing: boolean }

export type Announcer = ReturnType<typeof createAnnouncer>

/**
 * Writes Kubernetes Events about Nodes from the store's log: one Event for each reason, with a count. Each notes the
 * last log entry that it has counted, so that duplicates, late deliveries and a second instance do not count twice.
 *
 * They are Events of core/v1: `kubectl describe node` shows their count, and their message may be updated; in
 * events.k8s.io/v1 only the series of an Event can be changed.
 */
export function createAnnouncer(deps: Pick<ConditionDeps, 'client' | 'store' | 'clock' | 'metrics'>) {
  const { client, store, clock, metrics } = deps
  const looked = new Map<string, Looked>()
  /** When each Node was last told that its taint is withheld. */
  const withheldAt = new Map<string, number>()
  const nowInSeconds = () => secondsOf(clock.now())

  const newEntries = async ({ node, incarnation, seq }: NodeState): Promise<LogEntry[]> => {
    const last = looked.get(node)
    const entries: LogEntry[] = []
    if (last?.incarnation !== incarnation) {
      // An Event about anything older has expired by now.
      const span = { from: clock.now() - EVENT_TTL, to: Number.POSITIVE_INFINITY }
      for await (const page of entriesWithin(store, node, seq, span)) entries.push(...page)
      return entries
    }
    for (let after = last.seq; after < seq; ) {
      const page = await store.log(node, { after, limit: PAGE })
      entries.push(...page)
      after = page.at(-1)?.seq ?? seq
    }
    return entries
  }

  /** False if it already exists. */
  const create = async (node: ClusterNode, reason: EventReason, annotations: object, what: object) => {
    const time = nowInSeconds()
    const { namespace } = EVENTS
    const { status } = await client.request({
      ...{ ...EVENTS, verb: 'create', expects: [409] },
      body: {
        metadata: { name: nameOf(node, reason), namespace, annotations },
        involvedObject: { apiVersion: 'v1', kind: 'Node', name: node.name, uid: node.uid },
        type: reason === 'PTPRecovered' ? 'Normal' : 'Warning',
        ...{ reason, ...what, firstTimestamp: time, lastTimestamp: time },
        source: { component: 'ptp-watch' },
        reportingComponent: 'ptp-watch.io/condition',
      },
    })
    return status !== 409
  }

  /** Counts these entries, oldest first, except those already counted, or within `apart` of the last one. */
  const tell = async (
    node: ClusterNode,
    reason: EventReason,
    entries: readonly Pick<LogEntry, 'seq'>[],
    { incarnation, message, apart = 1 }: { incarnation: string; message: string; apart?: number },
  ) => {
    const annotations = { [COUNTED]: `${incarnation}/${entries.at(-1)?.seq}` }
    const name = nameOf(node, reason)
    const added = await despiteOthers(`the Event ${reason} of Node ${node.name}`, async () => {
      if (await create(node, reason, annotations, { message, count: entries.length })) return entries.length
      const found = await client.read({ ...EVENTS, verb: 'get', name, expects: [404] }, kept)
      if (found === undefined) return 'conflict'
      const { resourceVersion } = found.metadata
      const [whose, through] = (found.metadata.annotations?.[COUNTED] ?? '').split('/')
      const isFresh = (seq: number) => whose !== incarnation || seq >= Number(through) + apart
      const fresh = entries.filter(({ seq }) => isFresh(seq)).length
      if (fresh === 0) return 0
      const { status } = await client.request({
        ...{ ...EVENTS, verb: 'patch', name, expects: [404, 409] },
        body: {
          metadata: { resourceVersion, annotations },
          ...{ message, count: (found.count ?? 1) + fresh, lastTimestamp: nowInSeconds() },
        },
      })
      return status >= 400 ? 'conflict' : fresh
    })
    metrics.events.inc({ reason }, added)
  }

  return {
    /** Writes Events for log entries that have not been announced yet. `view`: the node's current state. */
    async announce(node: ClusterNode, state: NodeState, view: NodeView): Promise<void> {
      const { incarnation, seq } = state
      const last = looked.get(state.node)
      if (last?.incarnation === incarnation && last.seq >= seq) return
      const { untold, ailing } = sortOut(await newEntries(state), last?.ailing ?? false)
      for (const [reason, entries] of untold) {
        await tell(node, reason, entries, { incarnation, message: eventMessage(entries, view) })
      }
      looked.set(state.node, { incarnation, seq, ailing })
    },
    /** Writes that a Node in FREERUN is not tainted; repeated every half hour, however often it is called. */
    async withheld(node: ClusterNode, message: string): Promise<void> {
      const now = clock.now()
      if (Math.abs(now - (withheldAt.get(node.name) ?? 0)) < RENEW_AFTER) return
      const told = { incarnation: 'withheld', message, apart: RENEW_AFTER }
      await tell(node, 'PTPTaintWithheld', [{ seq: now }], told)
      withheldAt.set(node.name, now)
    },
    /** Forgets all nodes but these. */
    keepOnly(nodes: { has(node: string): boolean }): void {
      for (const known of [looked, withheldAt])
        for (const node of known.keys()) if (!nodes.has(node)) known.delete(node)
    },
  }
}

/** The same for each Node and reason, so that two instances share one Event; a recreated Node gets its own. */
function nameOf({ name, uid }: ClusterNode, reason: EventReason): string {
  const hash = createHash('sha256').update(uid).digest('hex').slice(0, 10)
  return `${name.slice(0, 200).replace(/[^a-z0-9]+$/, '')}.${reason.toLowerCase()}.${hash}`
}
