import { setTimeout as sleep } from 'node:timers/promises'
import { StoreError } from '#shared/errors.ts'
import { HttpError, type HttpRequest, type Reply } from '#shared/runtime/reply.ts'
import type { Row } from './api.ts'
import type { Fleet, Known } from './fleet.ts'
import { isNamed, isShown, type Selection } from './select.ts'

/** More at once are refused: each browser tab holds one. */
const MOST_STREAMS = 100
/** How often the time is told where nothing else is, so that a page knows that it is live; and a comment for proxies. */
const TIME_MS = 5_000
const COMMENT_MS = 15_000
/** How often one node is read. */
const LOOK_MS = 2_000

/**
 * `GET /api/stream`: Server-Sent Events. First `snapshot` (or `change`, where `Last-Event-ID` is of this process and
 * not too old), then `change` with the rows that are new, `time` every 5 s, and a comment every 15 s. A client that
 * reads slowly gets fewer, larger changes: nothing is queued for it. With a node, `node` and `time` of it alone.
 */
export function createStream(fleet: Fleet, nodeMessage: (node: string) => Promise<string>) {
  let streams = 0
  return (request: HttpRequest, selection: Selection, node: string | undefined): Reply => {
    if (streams >= MOST_STREAMS) {
      throw new HttpError(
        503,
        'streams',
        `${MOST_STREAMS} streams are open already; ask GET /api/fleet instead`,
      )
    }
    const last = request.headers['last-event-id']
    return {
      status: 200,
      headers: {
        'content-type': 'text/event-stream',
        'cache-control': 'no-store',
        // nginx would hold events back.
        'x-accel-buffering': 'no',
      },
      stream:
        node === undefined
          ? events(typeof last === 'string' ? last : undefined, selection, request.signal)
          : nodeEvents(node, request.signal),
    }
  }

  /** `node`, whenever it differs, and `time`: of one node, read by itself. */
  async function* nodeEvents(node: string, ends: AbortSignal): AsyncGenerator<string> {
    streams += 1
    let sent = ''
    let toldAt = Number.NEGATIVE_INFINITY
    let commentedAt = performance.now()
    try {
      yield 'retry: 2000\n\n'
      while (!ends.aborted) {
        const now = performance.now()
        // The fleet as well: whether the store can be read, and when a publisher was last polled, it alone knows.
        const [json] = await Promise.all([readable(nodeMessage(node)), readable(fleet.current())])
        const picture = JSON.stringify(fleet.picture())
        if (json !== undefined && json !== sent) {
          sent = json
          toldAt = now
          yield `event: node\ndata: ${picture.slice(0, -1)},${json.slice(1)}\n\n`
        } else if (now - toldAt >= TIME_MS) {
          toldAt = now
          yield `event: time\ndata: ${picture}\n\n`
        }
        if (now - commentedAt >= COMMENT_MS) {
          commentedAt = now
          yield ': keep-alive\n\n'
        }
        await sleep(LOOK_MS, undefined, { signal: ends }).catch(() => {})
      }
    } finally {
      streams -= 1
    }
  }

  async function* events(
    last: string | undefined,
    selection: Selection,
    ends: AbortSignal,
  ): AsyncGenerator<string> {
    streams += 1
    const ended = new AbortController()
    let sent = lookOf(last, fleet)
    let wake: (() => void) | undefined
    const woken = () => wake?.()
    fleet.follow(woken, ended.signal)
    ends.addEventListener('abort', woken, { once: true })
    // The first word is the fleet, not the time.
    let toldAt = performance.now()
    let commentedAt = performance.now()
    try {
      yield 'retry: 2000\n\n'
      while (!ends.aborted) {
        const changed = sent === undefined ? undefined : fleet.changedSince(sent)
        const look = fleet.look()
        const now = performance.now()
        if (changed === undefined && look > 0) {
          sent = look
          toldAt = now
          const rows = [...fleet.known.values()].filter(({ row }) => matches(row, selection))
          yield* message('snapshot', `${fleet.id}:${look}`, fleet, rows, '')
        } else if (changed !== undefined && (changed.rows.length > 0 || changed.removed.length > 0)) {
          sent = look
          toldAt = now
          // A row that no longer matches is gone as far as this client is concerned.
          const removed = [
            ...changed.removed,
            ...changed.rows.flatMap(({ row }) => (matches(row, selection) ? [] : row.node)),
          ]
          const rows = changed.rows.filter(({ row }) => matches(row, selection))
          yield* message(
            'change',
            `${fleet.id}:${look}`,
            fleet,
            rows,
            `,"removed":${JSON.stringify(removed)}`,
          )
        } else if (now - toldAt >= TIME_MS) {
          toldAt = now
          yield `event: time\ndata: ${JSON.stringify(fleet.picture())}\n\n`
        }
        if (now - commentedAt >= COMMENT_MS) {
          commentedAt = now
          yield ': keep-alive\n\n'
        }
        const { promise, resolve } = Promise.withResolvers<void>()
        wake = resolve
        if (!ends.aborted) await promise
      }
    } finally {
      ended.abort()
      ends.removeEventListener('abort', woken)
      streams -= 1
    }
  }
}

/** Undefined where the store cannot be read. */
function readable<T>(reading: Promise<T>): Promise<T | undefined> {
  return reading.catch((error: unknown) => {
    if (error instanceof StoreError) return undefined
    throw error
  })
}

const matches = (row: Row, selection: Selection) => isNamed(row, selection) && isShown(row, selection)

/** In parts: the rows of a large fleet are a megabyte. */
function* message(
  type: 'snapshot' | 'change',
  id: string,
  fleet: Fleet,
  rows: readonly Known[],
  more: string,
): Generator<string> {
  yield `event: ${type}\nid: ${id}\ndata: ${JSON.stringify(fleet.picture()).slice(0, -1)}${more},"rows":[`
  for (let i = 0; i < rows.length; i += 200) {
    yield (i === 0 ? '' : ',') +
      rows
        .slice(i, i + 200)
        .map(({ json }) => json)
        .join(',')
  }
  yield ']}\n\n'
}

/** The look that a client has seen, if it was one of this process. */
function lookOf(last: string | undefined, fleet: Fleet): number | undefined {
  const [id, look] = (last ?? '').split(':')
  return id === fleet.id && look !== undefined && /^\d+$/.test(look) ? Number(look) : undefined
}
