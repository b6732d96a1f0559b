import { setImmediate } from 'node:timers/promises'
import { publishedAt } from '#shared/time.ts'
import type { LogEntry } from './document.ts'
import type { Store } from './store/store.ts'
import type { Span } from './timeline.ts'

/** Entries read from the store in one go. */
const PAGE = 1_000

/** When an entry happened, by the publisher, or as late as it can have been. Milliseconds. */
export const timeOfEntry = ({ at, notAfter }: LogEntry) => publishedAt(at ?? notAfter ?? '')

/**
 * The entries of a node within a span, oldest first, a page at a time. Publishers' clocks may jump, so that times need
 * not rise with numbers: all pages are read from the first that may hold one.
 */
export async function* entriesWithin(
  store: Pick<Store, 'log'>,
  node: string,
  seq: number,
  span: Span,
): AsyncGenerator<LogEntry[]> {
  let after = await beforeTime(store, node, seq, span.from)
  for (;;) {
    const page = await pageOf(store, node, after)
    if (page.length === 0) return
    after = page.at(-1)?.seq ?? seq
    const within = page.filter((entry) => timeOfEntry(entry) >= span.from && timeOfEntry(entry) <= span.to)
    if (within.length > 0) yield within
  }
}

/** The entries of a span, and the newest one from before it, from which on the node was in its state. */
export async function entriesSince(
  store: Pick<Store, 'log'>,
  node: string,
  seq: number,
  from: number,
): Promise<LogEntry[]> {
  let after = await beforeTime(store, node, seq, from)
  const entries: LogEntry[] = []
  for (;;) {
    const page = await pageOf(store, node, after)
    if (page.length === 0) return entries
    entries.push(...page)
    after = page.at(-1)?.seq ?? seq
  }
}

/** SQLite and memory read without leaving the turn of the event loop: a full log would hold up everybody else. */
async function pageOf(store: Pick<Store, 'log'>, node: string, after: number): Promise<readonly LogEntry[]> {
  await setImmediate()
  return store.log(node, { after, limit: PAGE })
}

/**
 * The number before the page of the log in which `time` was reached, by the first entry of each page: the newest that
 * began before it. Once the publisher's clock was set back they tell nothing: all is read from the page before.
 */
async function beforeTime(
  store: Pick<Store, 'log'>,
  node: string,
  seq: number,
  time: number,
): Promise<number> {
  let before = 0
  let latest = Number.NEGATIVE_INFINITY
  for (let after = 0; after < seq; after = before + PAGE) {
    const [entry] = await store.log(node, { after, limit: 1 })
    if (entry === undefined) break
    const told = timeOfEntry(entry)
    if (!(told < time && told >= latest)) break
    before = entry.seq - 1
    latest = told
  }
  return before
}

/** Milliseconds of an RFC 3339 time; NaN for anything else. */
export function timeIn(text: string): number {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/.test(text)
    ? Date.parse(text)
    : Number.NaN
}
