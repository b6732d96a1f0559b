import { randomUUID } from 'node:crypto'
import { onTestFinished } from 'vitest'
import { createForwarder, type Forwarder } from '#shared/broker/forward.ts'
import { createSink, type SinkOptions } from '#shared/broker/sink.ts'
import { createLog } from '#shared/log.ts'
import { createMetrics } from '#shared/metrics.ts'
import type { Driver } from '#shared/state/store/driver.ts'
import { createMemoryDriver } from '#shared/state/drivers/memory.ts'
import { emptyNodeState, type NodeState } from '#shared/state/document.ts'
import { openDriver } from '#shared/state/store/open.ts'
import { createStore, type Store } from '#shared/state/store/store.ts'
import { systemClock } from '#shared/time.ts'
import { temporaryFolder } from '../functions/fleet.ts'
import { startSink, type TestSink } from '../support/sink.ts'

export const NODE = 'node1.example.com'

/** A driver that several stores of a test share, as processes share a database. */
export type Shared = { open(): Promise<Driver> }

export const SHARED: Readonly<Record<'memory' | 'sqlite', () => Shared>> = {
  memory: () => {
    const driver = createMemoryDriver()
    return { open: async () => ({ ...driver, close: async () => {} }) }
  },
  sqlite: () => ({ open: () => openDriver(temporaryDatabase()) }),
}

/** The state URL of a database that is gone after the test. */
export function temporaryDatabase(): string {
  const folder = temporaryFolder()
  onTestFinished(() => folder.remove())
  return `sqlite:${folder.path}/state.db`
}

export async function openSink(options?: Parameters<typeof startSink>[0]): Promise<TestSink> {
  const sink = await startSink(options)
  onTestFinished(() => sink.close())
  return sink
}

/** What stands for one process: a store, and the way out to a sink where it has one. */
export type Member = {
  /** Without forwarding. */
  readonly base: Store
  readonly store: Store
  readonly forwarder: Forwarder
  /** Log lines so far. */
  readonly lines: readonly string[]
  metrics(): string
  /** Ends as a process that is told to. */
  close(): Promise<void>
  /** Ends as a process that is killed: nothing is written any more. */
  kill(): void
}

export type MemberOptions = Partial<SinkOptions> & { historyPerNode?: number; lastChanceMs?: number }

export async function join(driver: Driver, url: string, options: MemberOptions = {}): Promise<Member> {
  const { historyPerNode = 1000, lastChanceMs, ...sinkOptions } = options
  const lines: string[] = []
  const log = createLog({ level: 'debug', now: () => 0, write: (line) => void lines.push(line) })
  let killed = false
  const dead = () => new Promise<never>(() => {})
  const base = createStore(
    { ...driver, write: (node, write) => (killed ? dead() : driver.write(node, write)) },
    { historyPerNode, log },
  )
  const metrics = createMetrics()
  const forwarder = createForwarder(
    {
      store: base,
      sink: createSink({
        url,
        overrides: {},
        ca: undefined,
        tokenFile: '/none',
        log,
        clock: systemClock,
        ...sinkOptions,
      }),
      log,
      metrics,
      random: () => 0,
    },
    lastChanceMs === undefined ? {} : { lastChanceMs },
  )
  let closing: Promise<void> | undefined
  const close = async () => {
    await forwarder.close()
    await base.close()
  }
  const member: Member = {
    base,
    store: forwarder.store,
    forwarder,
    lines,
    metrics: () => metrics.text(),
    close: () => {
      closing ??= close()
      return closing
    },
    kill() {
      killed = true
    },
  }
  onTestFinished(async () => {
    if (!killed) await member.close()
  })
  return member
}

let moment = 0

/** Writes so many transitions of a node through a store, each in a write of its own; gives their new numbers. */
export async function transit(store: Store, count = 1, node = NODE): Promise<void> {
  for (let made = 0; made < count; made += 1) {
    moment += 1
    const at = `2026-11-23T03:48:28.${String(moment).padStart(9, '0')}Z`
    await store.update(node, (current) => ({
      state: current ?? emptyNodeState(node, randomUUID()),
      entries: [
        {
          type: 'changed',
          kind: 'lock-state',
          instance: 'ens5fx/master',
          from: 'LOCKED',
          to: 'FREERUN',
          at,
          via: 'push',
          overall: 'FREERUN',
        },
      ],
      result: undefined,
    }))
  }
}

/** A write that makes no entry, as most events do. */
export async function touch(store: Store, node = NODE): Promise<void> {
  await store.update(node, (current) => ({
    state: current ?? emptyNodeState(node, randomUUID()),
    result: undefined,
  }))
}

export const numbersOf = (events: readonly { data: { seq: number } }[]): number[] =>
  events.map(({ data }) => data.seq)

export const soon = (): AbortSignal => AbortSignal.timeout(20_000)

export async function stateOf(store: Store, node = NODE): Promise<NodeState> {
  const state = await store.read(node)
  if (state === undefined) throw new Error(`There is no ${node}`)
  return state
}
