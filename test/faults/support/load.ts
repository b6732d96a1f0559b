import { setTimeout as pause } from 'node:timers/promises'
import { Agent, errors, request } from 'undici'
import { onTestFinished } from 'vitest'
import { event, value } from '../../events/builders.ts'

/** A notification that was sent, and what its sender saw: a status, or the code of an error. */
export type Sent = {
  readonly node: string
  readonly kind: 'lock-state' | 'clock-class'
  readonly instance: string
  /** The word of a lock state; a class is a number that no other notification of the clock has. */
  readonly to: string
  /** The publisher's time. */
  readonly at: string
  readonly outcome: number | string
}

/** Notifications that are steadily sent, of each clock one after the other as a publisher does. */
export type Load = {
  readonly sent: readonly Sent[]
  acknowledged(): Sent[]
  /** Those that were not acknowledged; without those that took long, if they are as few as a busy machine explains. */
  refused(): Sent[]
  /** Resolves when so many more were answered with `outcome`, acknowledged unless told otherwise. */
  more(count: number, outcome?: Sent['outcome']): Promise<void>
  /** Ends the load; what was under way is answered or has failed by then. */
  stop(): Promise<void>
}

export type LoadOptions = {
  /** The bases of the URLs that it is sent to, in turn: asked for before each. */
  readonly urls: () => readonly string[]
  readonly nodes: readonly string[]
  /** Milliseconds between two notifications of a clock. */
  readonly everyMs?: number
  /** How many clocks of each node there are, each with notifications of its own. */
  readonly clocks?: number
}

const WORDS = ['LOCKED', 'HOLDOVER', 'FREERUN'] as const
/** One answer in ten may be late, where others have the machine for a while. */
export const MOST_LATE = 0.1
/** Publishers wait no longer for an answer (protocol.md §3.1). Milliseconds. */
const PATIENCE = 2_000
/** After this ingest waits no longer for its store. Milliseconds. */
const LONG = 1_500

/**
 * Starts a load for the length of one test. Every second notification is a new clock class, and so a transition
 * whatever became of those before it; the others are words of lock state. A publisher does not repeat itself: what
 * was not acknowledged is never sent again.
 */
export function startLoad({ urls, nodes, everyMs = 25, clocks = 1 }: LoadOptions): Load {
  const agent = new Agent({ headersTimeout: PATIENCE, bodyTimeout: PATIENCE, keepAliveTimeout: 90_000 })
  const sent: Sent[] = []
  const late = new Set<Sent>()
  const watchers = new Set<() => void>()
  const ended = new AbortController()

  const send = async (node: string, instance: string, number: number): Promise<void> => {
    const turn = Math.floor(number / 2)
    const isClass = number % 2 === 0
    const kind = isClass ? 'clock-class' : 'lock-state'
    const to = isClass ? String(turn) : (WORDS[turn % WORDS.length] ?? '')
    const at = momentOf(number)
    const clock = `/cluster/node/${node}/${instance}`
    const body = JSON.stringify(
      event(kind, [value(isClass ? `${clock}/CLOCK_CLASS` : clock, to)], { time: at }),
    )
    const bases = urls()
    const url = `${bases[number % bases.length] ?? ''}/event/${node}`
    const from = performance.now()
    const outcome = await outcomeOf(request(url, { method: 'POST', body, dispatcher: agent }))
    const one: Sent = { node, kind, instance, to, at, outcome }
    sent.push(one)
    if (performance.now() - from >= LONG) late.add(one)
    for (const watcher of watchers) watcher()
  }

  const run = async (node: string, instance: string): Promise<void> => {
    for (let number = 0; !ended.signal.aborted; number += 1) {
      await send(node, instance, number)
      await pause(everyMs)
    }
  }

  const instances = Array.from({ length: clocks }, (_, number) => `ens${number + 1}fx/master`)
  const running = Promise.all(nodes.flatMap((node) => instances.map((instance) => run(node, instance))))
  const stop = async () => {
    ended.abort()
    await running
    await agent.destroy()
  }
  onTestFinished(stop)
  return {
    sent,
    acknowledged: () => sent.filter(({ outcome }) => outcome === 204),
    refused() {
      const refused = sent.filter(({ outcome }) => outcome !== 204)
      return refused.filter((one) => !late.has(one) || late.size > sent.length * MOST_LATE)
    },
    more(count, outcome = 204) {
      const have = () => sent.filter((one) => one.outcome === outcome).length
      const wanted = have() + count
      return new Promise((resolve) => {
        const look = () => {
          if (have() < wanted) return
          watchers.delete(look)
          resolve()
        }
        watchers.add(look)
        look()
      })
    },
    stop,
  }
}

async function outcomeOf(sending: ReturnType<typeof request>): Promise<number | string> {
  try {
    const { statusCode, body } = await sending
    await body.dump()
    return statusCode
  } catch (error) {
    if (error instanceof errors.UndiciError) return error.code
    if (error instanceof Error && 'code' in error) return String(error.code)
    throw error
  }
}

/** The time now, told apart from every other of the same clock by its nanoseconds. */
function momentOf(number: number): string {
  return new Date().toISOString().replace('Z', `${String(number).padStart(6, '0')}Z`)
}
