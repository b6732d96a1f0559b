import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { createFaults, type Faults } from './faults.ts'
import { type CallOutcome, createCaller } from './http/call.ts'
import type { ClockChange } from './clocks/clock.ts'
import type { Delivery, PublisherOptions } from './publisher.ts'

/** What every dialect needs besides its API: time, ids, faults, calls out, warm-up, and an end to it all. */
export interface Core {
  readonly faults: Faults
  readonly deliveries: readonly Delivery[]
  readonly delivered: number
  readonly ready: boolean
  uuid(): string
  /** Nanoseconds by the publisher's own clock, which a fault may have set. */
  now(): bigint
  /** Calls a consumer's endpoint and records how that ended. */
  call(
    endpoint: string,
    body: string | null,
    cause: Delivery['cause'],
    timeoutMs?: number,
  ): Promise<CallOutcome>
  /** Notes a call that a fault swallowed. */
  dropped(endpoint: string, body: string): void
  /** Waits unless closed, in which case it rejects. */
  pause(ms: number): Promise<void>
  /** Keeps `idle()` waiting for background work, whose failure after `close()` is no news. */
  track(work: Promise<unknown>): void
  idle(): Promise<void>
  /** Starts (again) the time in which the API is up but the clocks' plugin is not. */
  warmUp(ms: number | undefined, then: () => void): void
  becomeReady(): void
  /** Takes changes in now, or when warm. */
  whenReady(changes: readonly ClockChange[], apply: (change: ClockChange) => void): void
  close(): void
}

const keptDeliveries = 1000

export function createCore(options: PublisherOptions): Core {
  const now = options.now ?? wallClock()
  const faults = createFaults()
  const caller = createCaller()
  const deliveries: Delivery[] = []
  const closing = new AbortController()
  const work = new Set<Promise<unknown>>()
  let waiting: (() => void)[] = []
  let ready = false
  let warmUpTimer: NodeJS.Timeout | undefined
  let delivered = 0

  function record(delivery: Delivery) {
    delivered += 1
    deliveries.push(delivery)
    if (deliveries.length > keptDeliveries) deliveries.shift()
  }

  function becomeReady() {
    clearTimeout(warmUpTimer)
    ready = true
    const due = waiting
    waiting = []
    for (const run of due) run()
  }

  return {
    faults,
    deliveries,
    get delivered() {
      return delivered
    },
    get ready() {
      return ready
    },
    uuid: options.uuid ?? randomUUID,
    now: () => now() + BigInt(Math.round(faults.clockOffsetMs * 1e6)),
    async call(endpoint, body, cause, timeoutMs = options.deliveryTimeoutMs ?? 2000) {
      const outcome = await caller.post(endpoint, body, timeoutMs)
      const isAnswer = outcome.kind === 'status'
      record({ endpoint, body, cause, outcome: isAnswer ? outcome.status : outcome.kind })
      return outcome
    },
    dropped: (endpoint, body) => record({ endpoint, body, cause: 'event', outcome: 'dropped' }),
    async pause(ms) {
      if (ms > 0) await sleep(ms, undefined, { signal: closing.signal })
      closing.signal.throwIfAborted()
    },
    track(promise) {
      const tracked = promise.then(
        () => {},
        (error) => {
          if (!closing.signal.aborted) throw error
        },
      )
      work.add(tracked)
      void tracked.finally(() => work.delete(tracked))
    },
    async idle() {
      while (work.size > 0) await Promise.all(work)
    },
    warmUp(ms = options.warmUpMs ?? 4000, then) {
      clearTimeout(warmUpTimer)
      ready = false
      waiting = [then]
      if (ms <= 0) becomeReady()
      // Longer than a timer can be means: until becomeReady().
      else if (ms < 2 ** 31) warmUpTimer = setTimeout(becomeReady, ms)
    },
    becomeReady,
    whenReady(changes, apply) {
      const run = () => changes.forEach(apply)
      if (ready) run()
      else waiting.push(run)
    },
    close() {
      clearTimeout(warmUpTimer)
      closing.abort()
      caller.close()
    },
  }
}

/** Nanoseconds since the epoch that never go back, as no two events of a publisher share a time. */
function wallClock(): () => bigint {
  const base = BigInt(Date.now()) * 1_000_000n - process.hrtime.bigint()
  return () => base + process.hrtime.bigint()
}

/** RFC 3339 as Go prints it: UTC, nanoseconds, trailing zeros trimmed (protocol.md §4.1). */
export function goTime(ns: bigint): string {
  const seconds = ns / 1_000_000_000n
  const fraction = String(ns % 1_000_000_000n)
    .padStart(9, '0')
    .replace(/0+$/, '')
  const whole = new Date(Number(seconds) * 1000).toISOString().slice(0, 19)
  return fraction === '' ? `${whole}Z` : `${whole}.${fraction}Z`
}
