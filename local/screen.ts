import { sorted } from '#functions/status/select.ts'
import { fleetTable } from '#functions/status/terminal/table.ts'
import { cut, plain, widthOf } from '#functions/status/terminal/text.ts'
import { defaultSettings } from '#shared/state/merge/draft.ts'
import type { ShownNode } from '#functions/status/shown.ts'
import type { LogLine } from './processes.ts'

/** How many of the latest transitions are kept for a high terminal. */
const LATEST = 30
/** How many of them are shown rather than what stands above the table. */
const LATEST_LEAST = 4
/** Of a terminal that does not know its size. */
const SIZE = { columns: 80, rows: 24 }
/** To how many columns a name in a transition may be cut. */
const NAME_LEAST = 10

export type Screen = {
  /** A transition that ingest or poll has logged. */
  transition(line: LogLine): void
  /** The fleet as it is now. */
  draw(views: readonly ShownNode[], now: number): void
  /** Gives the terminal back. More than one call does no harm. */
  end(): void
}

/**
 * A table that is redrawn in place, with the latest transitions under it; what does not fit is cut, and the worst nodes
 * stand first. Where there is no terminal: `head`, then a line for each transition.
 */
export function createScreen(
  stream: { write(text: string): unknown; isTTY?: boolean; columns?: number; rows?: number },
  { head, colour }: { head: readonly string[]; colour: boolean },
): Screen {
  const latest: LogLine[] = []
  let isOver = false
  if (stream.isTTY !== true) {
    for (const line of head) stream.write(`${line}\n`)
    return {
      transition: (line) => void stream.write(`${transitionText(line, Number.POSITIVE_INFINITY)}\n`),
      draw() {},
      end() {},
    }
  }
  // A screen of its own, without cursor; not even what we count wrongly is wrapped.
  stream.write('\u001b[?1049h\u001b[?25l\u001b[?7l')
  return {
    transition(line) {
      latest.unshift(line)
      latest.length = Math.min(latest.length, LATEST)
    },
    draw(views, now) {
      if (isOver) return
      const columns = stream.columns || SIZE.columns
      // The last line stays empty: writing its end would scroll.
      const rows = (stream.rows || SIZE.rows) - 1
      const table = fleetTable(
        sorted(views, 'severity'),
        { now, staleAfterMs: defaultSettings.staleAfterMs },
        { columns, colour },
      )
      const lines = layOut({ head, table, latest, columns, rows })
      stream.write(`\u001b[H${lines.map((line) => `${line}\u001b[K\n`).join('')}\u001b[J`)
    },
    end() {
      if (!isOver) stream.write('\u001b[?7h\u001b[?25h\u001b[?1049l')
      isOver = true
    },
  }
}

/** No more than `rows` lines, none wider than `columns`. The table goes before all else. */
function layOut(parts: {
  head: readonly string[]
  table: readonly string[]
  latest: readonly LogLine[]
  columns: number
  rows: number
}): string[] {
  const { columns, rows } = parts
  const text = (line: string) => cut(line, columns)
  const foot = ['Ctrl-C stops'].map(text)
  const room = rows - foot.length
  const table =
    parts.table.length <= room
      ? parts.table
      : [...parts.table.slice(0, room - 1), text(`… and ${parts.table.length - room + 1} more nodes`)]
  // Each with an empty line before or behind it, and the latest with a title.
  const left = room - table.length
  const head = parts.head.slice(0, Math.max(0, left - LATEST_LEAST - 3)).map(text)
  const latest = parts.latest.slice(0, Math.max(0, left - (head.length > 0 ? head.length + 1 : 0) - 2))
  return [
    ...(head.length > 0 ? [...head, ''] : []),
    ...table,
    ...(latest.length > 0 ? ['', text('Latest transitions')] : []),
    ...latest.map((line) => `  ${transitionText(line, columns - 2)}`),
    ...foot,
  ].slice(-rows)
}

/**
 * `06:36:24 worker-0  lock-state ens5fx/master  LOCKED → HOLDOVER  (push)`. Where there is no room for all of it, the
 * names of node and clock are cut first.
 */
function transitionText(line: LogLine, width: number): string {
  const text = (name: string) => (typeof line[name] === 'string' ? plain(line[name]) : '')
  const change = [text('from'), text('to')].filter((part) => part !== '').join(' → ')
  const how = text('type') === 'changed' ? text('via') : text('type')
  const joined = (node: string, clock: string) =>
    `${text('time').slice(11, 19)} ${[node, clock, change, `(${how})`].filter((part) => part !== '').join('  ')}`
  let node = text('node')
  let clock = [text('kind'), text('instance')].filter((part) => part !== '').join(' ')
  const shorter = (name: string) =>
    cut(name, Math.max(NAME_LEAST, widthOf(name) - Math.max(0, widthOf(joined(node, clock)) - width)))
  node = shorter(node)
  clock = shorter(clock)
  return cut(joined(node, clock), width)
}
