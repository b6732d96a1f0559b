import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as z from 'zod/mini'
import { startRedis } from '../support/redis.ts'
import type { Bundles } from './bundles.ts'
import { nodeName } from './notifications.ts'
import { type Env, type Server, startServer, startWorker, type Worker } from './processes.ts'

const loaded = z.object({ rate: z.number(), p99: z.number(), answered: z.number(), refused: z.number() })

/** A Redis server: where it is, and how all that it holds is thrown away. */
export type Redis = { readonly url: string; readonly empty: () => Promise<void> }

export type Loaded = z.infer<typeof loaded>

export type LoadJob = {
  readonly nodes: number
  readonly what?: 'changes' | 'each-kind'
  readonly connections?: number
  readonly seconds?: number
  readonly count?: number
  readonly rate?: number
}

/** What one row works with. All of it is stopped and removed when the row is done. */
export type World = {
  readonly bundles: Bundles
  /** How many rounds are measured, and how long each takes where it has no end of its own (seconds). */
  readonly rounds: number
  readonly seconds: number
  folder(): Promise<string>
  /** A Redis of this row alone. */
  redis(): Promise<Redis>
  server(args: readonly string[], env?: Env): Promise<Server>
  worker(file: string): Promise<Worker>
  /** Loads a server from another process. @throws Error unless each request is taken. */
  load(url: string, job: LoadJob): Promise<Loaded>
  /** The configuration of `count` nodes whose publishers are never asked. */
  publishersOf(count: number): Promise<string>
  later(end: () => Promise<void>): void
}

/** Connections at once, and nodes, unless a row has others. */
const CONNECTIONS = 32

export async function withWorld<T>(
  { signal, ...about }: Pick<World, 'bundles' | 'rounds' | 'seconds'> & { signal: AbortSignal },
  work: (world: World) => Promise<T>,
): Promise<T> {
  const ends: (() => Promise<void>)[] = []
  let loader: Promise<Worker> | undefined

  const world: World = {
    ...about,
    later: (end) => void ends.push(end),
    async folder() {
      const path = await mkdtemp(join(tmpdir(), 'ptp-watch-bench-'))
      ends.push(() => rm(path, { recursive: true, force: true }))
      return path
    },
    async redis() {
      const redis = await startRedis()
      ends.push(redis.close)
      return {
        url: `redis://127.0.0.1:${redis.port}`,
        empty: async () => void (await redis.cli(['FLUSHALL'])),
      }
    },
    async server(args, env) {
      const server = await startServer(args, env)
      ends.push(server.stop)
      return server
    },
    async worker(file) {
      const worker = await startWorker(file)
      ends.push(worker.stop)
      return worker
    },
    async load(url, { what = 'changes', connections = CONNECTIONS, ...rest }) {
      loader ??= world.worker('load.ts')
      const done = await (await loader).ask(loaded, { url, connections, what, ...rest })
      if (done.refused > 0) throw new Error(`${url} refused ${done.refused} of ${done.answered} requests`)
      return done
    },
    async publishersOf(count) {
      const file = join(await world.folder(), 'publishers.json')
      const url = 'http://127.0.0.1:9'
      const list = Array.from({ length: count }, (_, number) => ({ node: nodeName(number), url }))
      await writeFile(file, JSON.stringify(list))
      return file
    },
  }

  try {
    return await Promise.race([work(world), aborted(signal)])
  } finally {
    for (const end of ends.reverse()) await end()
  }
}

/** Rejects when the signal is aborted: what a row has started is then ended too. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}
