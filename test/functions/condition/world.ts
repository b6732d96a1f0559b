import { join } from 'node:path'
import { request } from 'undici'
import { onTestFinished } from 'vitest'
import { eventOf } from '#shared/broker/event.ts'
import type { LogEntry, NewEntry, NodeState } from '#shared/state/document.ts'
import type { Overall } from '#shared/state/merge/overall.ts'
import type { Outcome } from '#shared/state/store/change.ts'
import type { Store } from '#shared/state/store/store.ts'
import { isoTime } from '#shared/time.ts'
import { type Finished, serve, type Service } from '../../e2e/support/system.ts'
import { startApi } from '../../kubernetes/api.ts'
import { folder as temporaryFolder } from '../../publishers/support/folder.ts'
import { onFramework, start, MAIN } from '../../runtime/processes.ts'
import type { KubernetesApi } from '../../support/kubernetes-api.ts'
import { clockAt, lockedNode, openStore } from '../fleet.ts'

export const HOSTS = ['our host', 'Functions Framework'] as const
export type HostName = (typeof HOSTS)[number]

export const SYNCHRONIZED = 'ptp-watch.io/PTPSynchronized'
export const NOT_FREERUNNING = 'ptp-watch.io/PTPNotFreerunning'

export type Answer = { readonly status: number; readonly body: string }

export type World = {
  readonly api: KubernetesApi
  readonly store: Store
  readonly env: { readonly STATE_URL: string; readonly KUBECONFIG: string; readonly LOG_LEVEL: string }
  /** Serves condition in a process of its own. */
  serve(env?: Record<string, string>, host?: HostName): Promise<Served>
  /** Sweeps once. */
  run(env?: Record<string, string>): Promise<Finished>
  /** Writes into the store that a node is now in another state. The log entry of it. */
  become(node: string, overall: Overall, fields?: Become): Promise<LogEntry>
  /** Writes an entry of any other kind. */
  append(node: string, entry: NewEntry): Promise<LogEntry>
}

export type Become = {
  /** When its clocks were last confirmed. */
  readonly confirmedAt?: number
  readonly labels?: Readonly<Record<string, string>>
}

export type Served = Service & {
  /** Sends the event of a log entry, as a Trigger does. */
  send(node: string, entry: LogEntry): Promise<Answer>
  post(path: string, headers: Record<string, string>, body: string): Promise<Answer>
  tick(): Promise<Answer>
  logged(): Record<string, unknown>[]
}

/** A cluster, a store, and what puts the second into the first. `stateUrl` in place of a file of its own. */
export async function startWorld({ stateUrl = '' } = {}): Promise<World> {
  const api = await startApi()
  const folder = await temporaryFolder()
  const url = stateUrl || `sqlite:${join(folder, 'state.db')}`
  const store = await openStore(url, 500)
  onTestFinished(() => store.close())
  const env = { STATE_URL: url, KUBECONFIG: api.kubeconfig, LOG_LEVEL: 'info' }

  const change = (node: string, of: (before?: NodeState) => { entry: NewEntry; state: NodeState }) =>
    store.update(node, (before): Outcome<LogEntry> => {
      const { entry, state } = of(before)
      return { state, entries: [entry], result: { ...entry, seq: (before?.seq ?? 0) + 1 } }
    })

  return {
    api,
    store,
    env,
    async serve(own = {}, host = 'our host') {
      const service =
        host === 'our host'
          ? await serve(['condition', '--serve'], { ...env, ...own })
          : await framework({ ...env, ...own })
      return served(service)
    },
    async run(own = {}) {
      const running = start([MAIN, 'condition'], { ...env, ...own })
      return { code: await running.exit, out: running.out(), err: running.err() }
    },
    become: (node, overall, { confirmedAt = Date.now(), labels } = {}) =>
      change(node, (before) => {
        const at = isoTime(Date.now())
        const from = before?.clocks[0]?.state ?? 'UNKNOWN'
        const clocks = [
          clockAt(confirmedAt, 'lock-state', 'ens5fx/master', { state: overall, since: at }),
          clockAt(confirmedAt, 'os-clock-sync-state', 'CLOCK_REALTIME', {}),
        ]
        const state = { ...(before ?? lockedNode(node, confirmedAt)), clocks, ...(labels && { labels }) }
        return { state, entry: { type: 'overall', from, to: overall, via: 'push', at, overall } }
      }),
    append: (node, entry) =>
      change(node, (before) => ({ entry, state: before ?? lockedNode(node, Date.now()) })),
  }
}

async function framework(env: Record<string, string>): Promise<Service> {
  const hosted = await onFramework('functions/framework.ts', 'condition', env, [200, 500])
  onTestFinished(() => hosted.stop())
  return { ...hosted, stop: () => hosted.stop().then(() => 0) }
}

function served(service: Service): Served {
  const post = async (path: string, headers: Record<string, string>, body: string) => {
    const answer = await request(`${service.url}${path}`, { method: 'POST', headers, body })
    return { status: answer.statusCode, body: await answer.body.text() }
  }
  return {
    ...service,
    post,
    send: (node, entry) =>
      post(
        '/',
        { 'content-type': 'application/cloudevents+json' },
        JSON.stringify(eventOf(node, `incarnation of ${node}`, entry)),
      ),
    // As a PingSource sends it; the Functions Framework knows it by its type, and has no paths.
    tick: () =>
      post(
        '/tick',
        {
          'content-type': 'application/json',
          'ce-specversion': '1.0',
          'ce-type': 'dev.knative.sources.ping',
          'ce-source': '/apis/v1/namespaces/ptp-watch/pingsources/condition',
          'ce-id': String(Math.random()),
        },
        '{}',
      ),
    logged: () =>
      service.running
        .err()
        .split('\n')
        .flatMap((line) => (line.startsWith('{') ? [JSON.parse(line)] : [])),
  }
}

/** What a Node says of our two conditions: status and reason. */
export function conditionsOf({ nodes }: KubernetesApi, node: string) {
  const { conditions } = nodes.get('', node).status
  return Object.fromEntries(
    [SYNCHRONIZED, NOT_FREERUNNING].map((type) => {
      const found = conditions.find((one) => one.type === type)
      return [type.replace('ptp-watch.io/', ''), found && `${found.status} ${found.reason}`]
    }),
  )
}

export function conditionOf({ nodes }: KubernetesApi, node: string, type = SYNCHRONIZED) {
  return nodes.get('', node).status.conditions.find((one) => one.type === type)
}

/** The Kubernetes Events of a Node: reasons, with how often. */
export function eventsOf({ events }: KubernetesApi, node: string): Record<string, number> {
  const own = events.all().filter(({ involvedObject }) => involvedObject.name === node)
  return Object.fromEntries(own.map(({ reason, count = 0 }) => [reason, count]))
}

export const taintsOf = ({ nodes }: KubernetesApi, node: string) =>
  (nodes.get('', node).spec.taints ?? []).map(({ key, effect }) => `${key}:${effect}`)
