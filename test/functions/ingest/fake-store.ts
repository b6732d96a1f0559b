import { createIngestMetrics } from '#functions/ingest/metrics.ts'
import { createBacklog, type BacklogOptions, type Delivery } from '#functions/ingest/backlog.ts'
import { StoreError } from '#shared/errors.ts'
import { createLog } from '#shared/log.ts'
import { createMetrics } from '#shared/metrics.ts'
import { onTestFinished } from 'vitest'

/** Where a test decides what becomes of each write. */
export type FakeStore = {
  /** What was written, in order. */
  readonly written: readonly string[]
  /** How many writes were begun. */
  begun(): number
  down(): void
  up(): void
  /** Every write from now on hangs until it is let go. */
  hang(): void
  /** What hangs goes on: it is written, or fails with the error. */
  release(error?: Error): void
  write(name: string): Delivery
  /** Resolves when so many are written. */
  until(count: number): Promise<void>
  /** Resolves when so many writes were begun. */
  untilBegun(count: number): Promise<void>
}

export const outage = new StoreError('The store is down')

export function createFakeStore(): FakeStore {
  const written: string[] = []
  let begun = 0
  let isUp = true
  let held: PromiseWithResolvers<void> | undefined
  const watchers = new Set<() => void>()
  const when = (is: () => boolean) =>
    new Promise<void>((resolve) => {
      const look = () => {
        if (is()) resolve()
      }
      watchers.add(look)
      look()
    })
  return {
    written,
    begun: () => begun,
    down() {
      isUp = false
    },
    up() {
      isUp = true
    },
    hang() {
      held ??= Promise.withResolvers()
      // Nobody may have come to hang on it before it fails.
      held.promise.catch(() => {})
    },
    release(error) {
      if (error === undefined) held?.resolve()
      else held?.reject(error)
      held = undefined
    },
    write: (name) => async () => {
      begun += 1
      for (const watcher of watchers) watcher()
      await held?.promise
      if (!isUp) throw outage
      written.push(name)
      for (const watcher of watchers) watcher()
    },
    until: (count) => when(() => written.length >= count),
    untilBegun: (count) => when(() => begun >= count),
  }
}

/** A waiting room whose timer is left out of it: a test flushes by hand unless it sets `retryEvery`. */
export function waitingRoom(options: BacklogOptions = {}) {
  const metrics = createMetrics()
  const lines: { level: string; message: string; [field: string]: unknown }[] = []
  const log = createLog({ level: 'debug', now: () => 0, write: (line) => lines.push(JSON.parse(line)) })
  const waiting = createBacklog(
    { log, metrics: createIngestMetrics(metrics) },
    { retryEvery: 3_600_000, budget: 3_600_000, ...options },
  )
  onTestFinished(() => waiting.close())
  const metric = (name: string) => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(metrics.text())?.[1])
  return { waiting, lines, metric, messages: () => lines.map(({ message }) => message) }
}
