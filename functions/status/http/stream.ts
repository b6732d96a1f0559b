import { HttpError, type HttpRequest, type Reply } from '#shared/runtime/reply.ts'
import { type Fleet, type Known, readable } from '../fleet.ts'
import { isSelected, type Selection } from '../select.ts'

/** More concurrent streams are refused: each browser tab holds one. */
const MOST_STREAMS = 100
/**
 * How often the time is sent if there is nothing else, so that a page knows that it is live; and a comment for proxies.
 */
const TIME_MS = 5_000
const COMMENT_MS = 15_000

const HEADERS = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-store',
  // Stops nginx from buffering events.
  'x-accel-buffering': 'no',
}

/** What is new since the last call, in parts; undefined if nothing is. */
type News = () => Promise<Iterable<string> | undefined>

/**
 * `GET /api/stream`: Server-Sent Events. First `snapshot` (or `change`, if `Last-Event-ID` is from this process and
 * recent), then `change` with new rows, `time` every 5 s, and a comment every 15 s. A slow client gets fewer, larger
 * changes: nothing is queued for it. With a node: `node` and `time` for that node only.
 */
export function createStream(fleet: Fleet, nodeNow: (node: string) => Promise<object>) {
  let streams = 0
  const picture = () => JSON.stringify(fleet.picture())

  /** Asks for news at once, and after each look at the store. */
  async function* events(news: News, ends: AbortSignal): AsyncGenerator<string> {
    streams += 1
    const ended = new AbortController()
    let wake: (() => void) | undefined
    const woken = () => wake?.()
    fleet.follow(woken, ended.signal)
    ends.addEventListener('abort', woken, { once: true })
    let toldAt = Number.NEGATIVE_INFINITY
    let commentedAt = performance.now()
    try {
      yield 'retry: 2000\n\n'
      while (!ends.aborted) {
        const { promise, resolve } = Promise.withResolvers<void>()
        wake = resolve
        const found = await news()
        const now = performance.now()
        if (found !== undefined || now - toldAt >= TIME_MS) {
          toldAt = now
          yield* found ?? [`event: time\ndata: ${picture()}\n\n`]
        }
        if (now - commentedAt >= COMMENT_MS) {
          commentedAt = now
          yield ': keep-alive\n\n'
        }
        if (!ends.aborted) await promise
      }
    } finally {
      ended.abort()
      ends.removeEventListener('abort', woken)
      streams -= 1
    }
  }

  function fleetNews(last: unknown, selection: Selection): News {
    let sent = lookOf(last, fleet)
    return async () => {
      if (fleet.look() === 0) await readable(fleet.current())
      const look = fleet.look()
      if (look === 0) return undefined
      const changed = sent === undefined ? undefined : fleet.changedSince(sent)
      sent = look
      if (changed?.rows.length === 0 && changed.removed.length === 0) return undefined
      const all = changed?.rows ?? [...fleet.known.values()]
      const rows = all.filter(({ row }) => isSelected(row, selection))
      // A row that no longer matches is gone as far as this client is concerned.
      const others = all.flatMap(({ row }) => (isSelected(row, selection) ? [] : row.node))
      const removed = changed && [...changed.removed, ...others]
      const head = `event: ${changed ? 'change' : 'snapshot'}\nid: ${fleet.id}:${look}\ndata: `
      const more = removed ? `,"removed":${JSON.stringify(removed)}` : ''
      return parts(`${head}${picture().slice(0, -1)}${more},"rows":[`, rows)
    }
  }

  function nodeNews(node: string): News {
    let sent = ''
    return async () => {
      // The fleet as well: only it knows whether the store can be read, and when a publisher was last polled.
      const [found] = await Promise.all([readable(nodeNow(node)), readable(fleet.current())])
      const json = found && JSON.stringify(found)
      if (json === undefined || json === sent) return undefined
      sent = json
      return [`event: node\ndata: ${picture().slice(0, -1)},${json.slice(1)}\n\n`]
    }
  }

  return ({ headers, signal }: HttpRequest, selection: Selection, node: string | undefined): Reply => {
    if (streams >= MOST_STREAMS) {
      const message = `${MOST_STREAMS} streams are open already; ask GET /api/fleet instead`
      throw new HttpError(503, 'streams', message)
    }
    const news = node === undefined ? fleetNews(headers['last-event-id'], selection) : nodeNews(node)
    return { status: 200, headers: HEADERS, stream: events(news, signal) }
  }
}

/** The rows of a large fleet take a megabyte. */
function* parts(head: string, rows: readonly Known[]): Generator<string> {
  yield head
  for (let i = 0; i < rows.length; i += 200) {
    const texts = rows.slice(i, i + 200).map(({ json }) => json)
    yield (i === 0 ? '' : ',') + texts.join(',')
  }
  yield ']}\n\n'
}

/** The look that a client has seen, if it was this process's. */
function lookOf(last: unknown, fleet: Fleet): number | undefined {
  const [id, look] = String(last).split(':')
  return id === fleet.id && look !== undefined && /^\d+$/.test(look) ? Number(look) : undefined
}
