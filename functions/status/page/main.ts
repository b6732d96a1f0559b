import type { LogEntry, Row, Timeline } from '../http/schemas.ts'
import { render } from 'lit-html'
import { readFilters, searchOf } from './filters.ts'
import { fleetPage } from './fleet.ts'
import type { Seen } from './frame.ts'
import type { Picture } from '../http/schemas.ts'
import { follow, type Link } from './live.ts'
import { LOG_SHOWN, nodePage, type NodePicture, SPANS, type SpanName } from './node.ts'

const root = document.getElementById('page')
if (root !== null) start(root)

function start(root: HTMLElement): void {
  const [, nodes, name] = location.pathname.split('/')
  const node = nodes === 'nodes' && name !== undefined ? decoded(name) : undefined
  let picture: Picture | undefined
  let received = clocks()
  let link: Link = 'connecting'
  let filters = readFilters(location.search)
  let rows: Map<string, Row> | undefined
  let shown: NodePicture = { view: undefined, row: undefined, timeline: undefined, log: undefined }
  let historyOf: string | undefined
  let due = false

  const seen = (): Seen => {
    const age = picture === undefined ? 0 : sinceThen(received)
    return { picture, link, age, now: picture === undefined ? Date.now() : Date.parse(picture.now) + age }
  }

  const draw = () => {
    due = false
    render(
      node === undefined
        ? fleetPage(rows, filters, seen(), (chosen) => {
            filters = chosen
            history.replaceState(null, '', `/${searchOf(chosen)}`)
            soon()
          })
        : nodePage(node, shown, spanOf(location.search), seen()),
      root,
    )
  }
  /** Many messages in one turn are drawn once. */
  const soon = () => {
    if (due) return
    due = true
    requestAnimationFrame(draw)
  }

  /** Timeline and log are fetched when the node has changed, and once a minute. */
  const fetchHistory = async (of: string) => {
    if (node === undefined || historyOf === of) return
    historyOf = of
    const to = picture === undefined ? Date.now() : Date.parse(picture.now)
    const query = `from=${new Date(to - SPANS[spanOf(location.search)]).toISOString()}&to=${new Date(to).toISOString()}`
    const base = `/api/nodes/${encodeURIComponent(node)}`
    try {
      const [timeline, log] = await Promise.all([
        fetched<Timeline>(`${base}/timeline?${query}`),
        fetched<{ log: LogEntry[] }>(`${base}/log?${query}&order=newest&limit=${LOG_SHOWN}`),
      ])
      shown = { ...shown, timeline, log: log.log }
      soon()
    } catch {
      // Retried at the next change or minute; the link already shows that nothing answers.
      historyOf = undefined
    }
  }

  follow(
    node,
    (message) => {
      picture = message
      received = clocks()
      if (message.type === 'snapshot') rows = new Map(message.rows.map((row) => [row.node, row]))
      if (message.type === 'change' && rows !== undefined) {
        for (const row of message.rows) rows.set(row.node, row)
        for (const removed of message.removed) rows.delete(removed)
      }
      if (message.type === 'node') shown = { ...shown, view: message.view, row: message.row ?? undefined }
      if (shown.view) void fetchHistory(`${shown.view.seq} ${message.now.slice(0, 16)}`)
      soon()
    },
    (now) => {
      link = now
      soon()
    },
  )
  // Ages advance by themselves.
  setInterval(soon, 1000)
  addEventListener('popstate', () => {
    filters = readFilters(location.search)
    soon()
  })
  draw()
}

type Clocks = readonly [monotonic: number, date: number]
function clocks(): Clocks {
  return [performance.now(), Date.now()]
}

/**
 * Milliseconds since then: some browsers stop the monotonic clock while the computer sleeps, and the date may be set
 * back.
 */
function sinceThen([monotonic, date]: Clocks): number {
  return Math.max(performance.now() - monotonic, Date.now() - date)
}

function spanOf(search: string): SpanName {
  const asked = new URLSearchParams(search).get('span')
  return (Object.keys(SPANS) as SpanName[]).find((span) => span === asked) ?? '24h'
}

/** A name with a broken encoding is shown as it is. */
function decoded(name: string): string {
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}

async function fetched<T>(url: string): Promise<T> {
  const reply = await fetch(url, { signal: AbortSignal.timeout(10_000) })
  if (!reply.ok) throw new Error(`${reply.status}`)
  return reply.json()
}
