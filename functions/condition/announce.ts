import { createHash } from 'node:crypto'
import * as z from 'zod/mini'
import { StoreError } from '#shared/errors.ts'
import type { KubernetesClient } from '#shared/kubernetes/client.ts'
import { orAbsent, texts } from '#shared/kubernetes/objects.ts'
import type { LogEntry, NodeState } from '#shared/state/document.ts'
import { entriesWithin } from '#shared/state/history.ts'
import type { Store } from '#shared/state/store/store.ts'
import type { Clock } from '#shared/time.ts'
import type { ConditionMetrics } from './metrics.ts'
import type { ClusterNode } from './nodes.ts'
import { type Because, type EventReason, messageOf, sortOut, type Untold } from './occurrences.ts'

/** Events of what belongs to no namespace are in this one: kubectl and the API server both insist. */
const NAMESPACE = 'default'

/** How long the API server keeps an Event after its last change. Milliseconds. */
const EVENT_TTL = 3_600_000

/** Up to which log entry, of which document, an Event has counted. */
const COUNTED = 'ptp-watch.io/counted'

const PAGE = 1_000
const CONFLICTS = 10

const kept = z.object({
  metadata: z.object({
    resourceVersion: z.string(),
    annotations: texts,
  }),
  count: orAbsent(z.number()),
})

type NewEvent = { readonly reason: EventReason; readonly count: number; readonly message: string }

type Deps = {
  readonly client: KubernetesClient
  readonly store: Pick<Store, 'log'>
  readonly clock: Clock
  readonly metrics: ConditionMetrics
}

export type Announcer = {
  /** Writes what the log of a node has that its Node was not told yet. `because`: why it is in its state of now. */
  announce(node: ClusterNode, state: NodeState, because: Because): Promise<void>
  /** Writes that a Node free-runs without the taint; once, however often it is called within an hour. */
  withheld(node: ClusterNode, message: string): Promise<void>
  /** Forgets what it remembers of all other nodes. */
  keepOnly(nodes: { has(node: string): boolean }): void
}

/**
 * Kubernetes Events of Nodes, made from the log of the store: one Event of each reason, with a count. It notes the log
 * entry up to which it has counted, so that what is delivered twice, late or to two instances is counted once.
 *
 * They are Events of core/v1: `kubectl describe node` shows their count, and their message may follow the newest entry;
 * in events.k8s.io/v1 only the series of an Event can be changed.
 */
export function createAnnouncer({ client, store, clock, metrics }: Deps): Announcer {
  const looked = new Map<string, Looked>()
  const events = { resource: 'events', namespace: NAMESPACE } as const

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

  const create = async (node: ClusterNode, { reason, count, message }: NewEvent, counted: string) => {
    const time = secondsOf(clock.now())
    const { status } = await client.request({
      ...{ ...events, verb: 'create', expects: [409] },
      body: {
        metadata: { name: nameOf(node, reason), namespace: NAMESPACE, annotations: { [COUNTED]: counted } },
        involvedObject: { apiVersion: 'v1', kind: 'Node', name: node.name, uid: node.uid },
        type: reason === 'PTPRecovered' ? 'Normal' : 'Warning',
        reason,
        message,
        count,
        firstTimestamp: time,
        lastTimestamp: time,
        source: { component: 'ptp-watch' },
        reportingComponent: 'ptp-watch.io/condition',
      },
    })
    return status !== 409
  }

  /** Adds what an Event that is there has not counted. False where somebody else changed it meanwhile. */
  const add = async (
    node: ClusterNode,
    { reason, entries }: Untold,
    { incarnation, because }: { incarnation: string; because: Because },
  ) => {
    const name = nameOf(node, reason)
    const found = await client.read({ ...events, verb: 'get', name, expects: [404] }, kept)
    if (found === undefined) return false
    const { metadata, count = 1 } = found
    const [whose = '', through = '0'] = (metadata.annotations?.[COUNTED] ?? '').split('/')
    const more = whose === incarnation ? entries.filter(({ seq }) => seq > Number(through)) : entries
    const newest = more.at(-1)
    if (newest === undefined) return true
    const { status } = await client.request({
      ...{ ...events, verb: 'patch', name, expects: [404, 409] },
      body: {
        metadata: {
          resourceVersion: metadata.resourceVersion,
          annotations: { [COUNTED]: `${incarnation}/${newest.seq}` },
        },
        message: messageOf(newest, because),
        count: count + more.length,
        lastTimestamp: secondsOf(clock.now()),
      },
    })
    if (status >= 400) return false
    metrics.events.inc({ reason }, more.length)
    return true
  }

  const tell = async (
    node: ClusterNode,
    untold: Untold,
    { incarnation, because }: { incarnation: string; because: Because },
  ) => {
    const { reason, entries } = untold
    const newest = entries.at(-1)
    if (newest === undefined) return
    const event = { reason, count: entries.length, message: messageOf(newest, because) }
    for (let conflicts = 0; conflicts < CONFLICTS; conflicts += 1) {
      if (await create(node, event, `${incarnation}/${newest.seq}`)) {
        metrics.events.inc({ reason }, entries.length)
        return
      }
      if (await add(node, untold, { incarnation, because })) return
    }
    throw new StoreError(`Others changed the Event ${reason} of Node ${node.name} again and again`)
  }

  return {
    async announce(node, state, because) {
      const { incarnation, seq } = state
      const last = looked.get(state.node)
      if (last?.incarnation === incarnation && last.seq >= seq) return
      const { untold, ailing } = sortOut(await newEntries(state), last?.ailing ?? false)
      for (const one of untold) await tell(node, one, { incarnation, because })
      looked.set(state.node, { incarnation, seq, ailing })
    },
    async withheld(node, message) {
      const reason = 'PTPTaintWithheld'
      if (await create(node, { reason, count: 1, message }, '')) metrics.events.inc({ reason })
    },
    keepOnly(nodes) {
      for (const node of looked.keys()) if (!nodes.has(node)) looked.delete(node)
    },
  }
}

/** How far this process has looked, and whether the node has free-run or been in HOLDOVER since it was last LOCKED. */
type Looked = { readonly incarnation: string; readonly seq: number; readonly ailing: boolean }

/** The same for each Node and reason, so that two instances make one Event; a Node that was recreated has its own. */
function nameOf({ name, uid }: ClusterNode, reason: EventReason): string {
  const hash = createHash('sha256').update(uid).digest('hex').slice(0, 10)
  return `${name.slice(0, 200).replace(/[^a-z0-9]+$/, '')}.${reason.toLowerCase()}.${hash}`
}

const secondsOf = (ms: number) => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z')
