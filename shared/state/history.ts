import { setImmediate as nextTurn } from 'node:timers/promises'
import type { LogEntry } from './document.ts'
import type { Store } from './store/store.ts'
import { type TimeSpan, timeOfEntry } from './timeline.ts'

/** Entries read from the store at once. */
const PAGE = 1_000

/**
 * The entries of a node within a span, oldest first, a page at a time. Publishers' clocks may jump, so times need not
 * rise with numbers: every page from the first possible match on is read.
 */
export async function* entriesWithin(
  store: Pick<Store, 'log'>,
  node: string,
  seq: number,
  { from, to }: TimeSpan,
): AsyncGenerator<LogEntry[]> {
  for await (const page of entriesSince(store, node, seq, from)) {
    const within = page.filter((entry) => timeOfEntry(entry) >= from && timeOfEntry(entry) <= to)
    if (within.length > 0) yield within
  }
}

/**
 * The pages of a log from a time on, preceded by the newest earlier entry, which says what state the node was in then.
 */
export async function* entriesSince(
  store: Pick<Store, 'log'>,
  node: string,
  seq: number,
  from: number,
): AsyncGenerator<readonly LogEntry[]> {
  for (let after = await beforeTime(store, node, seq, from); ; ) {
    // SQLite and memory read synchronously: a full log would block everyone else.
    await nextTurn()
    const page = await store.log(node, { after, limit: PAGE })
    if (page.length === 0) return
    yield page
    after = page.at(-1)?.seq ?? seq
  }
}

/**
 * The number before the page of the log in which `time` was reached. It looks at the first entry of each page; where
 * the publisher's clock was set back these prove nothing, so it stops at the page before.
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
