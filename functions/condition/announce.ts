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

/** Events of what belongs to no namespace are in this one: kubectl and the API server both insist. */
const EVENTS = { resource: 'events', namespace: 'default' } as const

/** How long the API server keeps an Event after its last change. Milliseconds. */
const EVENT_TTL = 3_600_000
/** After how long an Event is written again of what lasts. Milliseconds. */
const RENEW_AFTER = EVENT_TTL / 2

/** The annotation that names the last log entry, and its document, that an Event has counted. */
const COUNTED = 'ptp-watch.io/counted'

const PAGE = 1_000

const kept = z.object({
  metadata: z.object({ resourceVersion: z.string(), annotations: texts }),
  count: orAbsent(z.number()),
})

/** How far this process has looked, and whether the node has free-run or been in HOLDOVER since it was last LOCKED. */
type Looked = { readonly incarnation: string; readonly seq: number; readonly ailing: boolean }

export type Announcer = ReturnType<typeof createAnnouncer>

/**
 * Kubernetes Events of Nodes, made from the log of the store: one Event of each reason, with a count. It notes the log
 * entry up to which it has counted, so that what is delivered twice, late or to two instances is counted once.
 *
 * They are Events of core/v1: `kubectl describe node` shows their count, and their message may follow the newest entry;
 * in events.k8s.io/v1 only the series of an Event can be changed.
 */
export function createAnnouncer(deps: Pick<ConditionDeps, 'client' | 'store' | 'clock' | 'metrics'>) {
  const { client, store, clock, metrics } = deps
  const looked = new Map<string, Looked>()
  /** When Nodes were last told that their taint is withheld. */
  const withheldAt = new Map<string, number>()
  const nowInSeconds = () => secondsOf(clock.now())

  const newEntries = async ({ node, incarnation, seq }: NodeState): Promise<LogEntry[]> => {
    const last = looked.get(node)
    const entries: LogEntry[] = []
    if (last?.incarnation !== incarnation) {
      // The Event that once told of an older one is gone by now.
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

  /** False where there is one already. */
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

  /** Counts these entries, oldest first, as far as nobody has, or none within `apart`. */
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
    /** Writes what the log of a node has that its Node was not told yet. `view`: how the node is now. */
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
    /** Writes that a Node free-runs without the taint; again each half hour, however often it is called. */
    async withheld(node: ClusterNode, message: string): Promise<void> {
      const now = clock.now()
      if (Math.abs(now - (withheldAt.get(node.name) ?? 0)) < RENEW_AFTER) return
      const told = { incarnation: 'withheld', message, apart: RENEW_AFTER }
      await tell(node, 'PTPTaintWithheld', [{ seq: now }], told)
      withheldAt.set(node.name, now)
    },
    /** Forgets what it remembers of all other nodes. */
    keepOnly(nodes: { has(node: string): boolean }): void {
      for (const known of [looked, withheldAt])
        for (const node of known.keys()) if (!nodes.has(node)) known.delete(node)
    },
  }
}

/** The same for each Node and reason, so that two instances make one Event; a Node that was recreated has its own. */
function nameOf({ name, uid }: ClusterNode, reason: EventReason): string {
  const hash = createHash('sha256').update(uid).digest('hex').slice(0, 10)
  return `${name.slice(0, 200).replace(/[^a-z0-9]+$/, '')}.${reason.toLowerCase()}.${hash}`
}
