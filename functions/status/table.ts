import { styleText } from 'node:util'
import { rankOf } from '#shared/events/words.ts'
import type { NodeView } from '#shared/state/view.ts'
import { milliseconds } from '#shared/time.ts'
import { beganOf, isDoubted } from './select.ts'
import { cutNames, padded, plain, widthOf } from './text.ts'

type Style = Parameters<typeof styleText>[0]
type Cell = { readonly text: string; readonly style?: Style }
type Column = {
  readonly head: string
  /** Columns are left out from the highest number on where the terminal is too narrow. */
  readonly keep: number
  readonly widest: number
  readonly cell: (view: NodeView, now: Now) => Cell
}

/** What the age of what is shown is judged by, in milliseconds. */
export type Now = { readonly now: number; readonly staleAfterMs: number }

const STYLES: Readonly<Record<string, Style>> = {
  LOCKED: 'green',
  SYNCHRONIZED: 'green',
  HOLDOVER: 'yellow',
  UNKNOWN: 'magenta',
  FREERUN: 'red',
}

const COLUMNS: readonly Column[] = [
  { head: 'NODE', keep: 0, widest: 40, cell: ({ node }) => ({ text: plain(node) }) },
  { head: 'OVERALL', keep: 0, widest: 8, cell: ({ overall }) => worded(overall) },
  { head: 'FOR', keep: 1, widest: 5, cell: (view, { now }) => ({ text: ageOf(view, now) }) },
  { head: 'FLAGS', keep: 1, widest: 7, cell: flagsCell },
  { head: 'LOCK', keep: 2, widest: 9, cell: (view) => worstOf(view, 'lock-state') },
  { head: 'OS CLOCK', keep: 2, widest: 9, cell: (view) => worstOf(view, 'os-clock-sync-state') },
  { head: 'CLASS', keep: 4, widest: 5, cell: (view) => numbersOf(view, 'clock-class', 'clockClass') },
  { head: 'GNSS', keep: 5, widest: 14, cell: (view) => worstOf(view, 'gnss-sync-status') },
  { head: 'SYNC', keep: 8, widest: 9, cell: (view) => worstOf(view, 'sync-state') },
  { head: 'SYNCE', keep: 6, widest: 9, cell: (view) => worstOf(view, 'synce-lock-state') },
  { head: 'QL', keep: 7, widest: 5, cell: (view) => numbersOf(view, 'synce-clock-quality', 'ql') },
  { head: 'PUBLISHER', keep: 3, widest: 11, cell: publisherCell },
  { head: 'MISSED', keep: 3, widest: 6, cell: ({ counters }) => missedCell(counters.missed) },
  { head: 'LABELS', keep: 9, widest: 40, cell: labelsCell },
]

const NONE: Cell = { text: '-' }
/** A time of ours that is further ahead of now was written before our clock was set back, and tells no age. */
export const AHEAD_MS = 5_000
const GAP = '  '
/** A longer name is cut sooner than a column is left out. */
const NODE_WIDTH = 28
const NODE_LEAST = 8

/**
 * The fleet as lines of a table, a node a line. Where `columns` bounds its width, what no node has is left out, and
 * where that is not enough, what is missed least; without bounds every column is there.
 */
export function fleetTable(
  views: readonly NodeView[],
  now: Now,
  { columns, colour }: { columns: number; colour: boolean },
): string[] {
  if (views.length === 0) return []
  const filled = Number.isFinite(columns) ? fittingColumns(views, now, columns) : allColumns(views, now)
  const line = (cells: readonly (Cell & { width: number })[]) =>
    cells
      .map(({ text, style, width }) => {
        const shown = padded(text, width)
        return colour && style !== undefined ? styleText(style, shown, { validateStream: false }) : shown
      })
      .join(GAP)
      .trimEnd()
  return [
    line(filled.map(({ head, width }) => ({ text: head, width, style: 'dim' }))),
    ...views.map((_, i) => line(filled.map(({ cells, width }) => ({ ...(cells[i] ?? NONE), width })))),
  ]
}

/** The columns with their cells, as wide as these are. */
function allColumns(views: readonly NodeView[], now: Now) {
  return COLUMNS.map((column) => {
    const cells = views.map((view) => column.cell(view, now))
    const width = Math.max(column.head.length, ...cells.map(({ text }) => widthOf(text)))
    return { ...column, cells, width }
  })
}

function fittingColumns(views: readonly NodeView[], now: Now, columns: number) {
  const filled = allColumns(views, now)
    .filter(({ keep, cells }) => keep < 2 || cells.some(({ text }) => text !== NONE.text))
    .map((column) => ({
      ...column,
      width: Math.min(column.width, Math.max(column.widest, column.head.length)),
    }))
  const [nodes] = filled
  if (nodes === undefined) return []
  const longest = nodes.width
  const spare = () => columns - filled.reduce((sum, { width }) => sum + width + GAP.length, -GAP.length)

  nodes.width = Math.min(longest, NODE_WIDTH)
  while (spare() < 0 && filled.some(({ keep }) => keep > 0)) {
    const least = Math.max(...filled.map(({ keep }) => keep))
    const last = filled.findLastIndex(({ keep }) => keep === least)
    filled.splice(last, 1)
  }
  nodes.width = Math.max(Math.min(longest, NODE_LEAST), Math.min(longest, nodes.width + spare()))
  const names = cutNames(
    nodes.cells.map(({ text }) => text),
    nodes.width,
  )
  nodes.cells = names.map((text) => ({ text }))
  return filled
}

function worded(word: string): Cell {
  return { text: plain(word), style: STYLES[word] ?? 'yellow' }
}

/** Why a node is not to be believed, the gravest reason first. */
function flagsCell({ blind, suspect, stale }: NodeView): Cell {
  const flags = [blind && 'blind', suspect && 'suspect', stale && 'stale'].filter((flag) => flag !== false)
  return flags.length === 0 ? NONE : { text: flags.join(','), style: 'red' }
}

/** A good word that is in doubt says nothing any more, and is marked so. */
function worstOf(view: NodeView, kind: string): Cell {
  type Clock = NodeView['resources'][number]
  const doubted = (clock: Clock) => isDoubted(view, clock)
  const rank = (clock: Clock) =>
    Math.min(
      rankOf(kind, clock.state ?? ''),
      doubted(clock) ? rankOf(kind, 'UNKNOWN') : Number.POSITIVE_INFINITY,
    )
  const [worst] = view.resources
    .filter((clock) => clock.kind === kind && clock.state !== null)
    .sort((a, b) => rank(a) - rank(b))
  if (worst?.state == null) return NONE
  return doubted(worst)
    ? { text: `${plain(worst.suspect?.told ?? worst.state)}?`, style: 'magenta' }
    : worded(worst.state)
}

/** The highest: a higher clock class and a higher quality level are the worse ones. */
function numbersOf(view: NodeView, kind: string, metric: string): Cell {
  const numbers = view.resources.flatMap((clock) =>
    clock.kind === kind ? (clock.metrics[metric] ?? []) : [],
  )
  const [worst] = numbers.sort((a, b) => Number(b) - Number(a))
  return worst === undefined ? NONE : { text: plain(worst) }
}

function publisherCell({ publisher }: NodeView, { now, staleAfterMs }: Now): Cell {
  if (publisher === null) return NONE
  if (publisher.goneSince !== undefined) return { text: 'gone', style: 'magenta' }
  if (!publisher.reachable) return { text: 'down', style: 'red' }
  const age = now - milliseconds(publisher.checkedAt)
  if (age < -AHEAD_MS) return { text: 'up ?', style: 'magenta' }
  return age < staleAfterMs
    ? { text: 'up', style: 'green' }
    : { text: `up ${duration(age)} ago`, style: 'magenta' }
}

function labelsCell({ labels }: NodeView): Cell {
  const each = Object.entries(labels).map(([key, value]) => `${key}=${value}`)
  return each.length === 0 ? NONE : { text: plain(each.join(',')) }
}

function missedCell(missed: number): Cell {
  return missed === 0 ? { text: '0' } : { text: String(missed), style: 'yellow' }
}

/** How long a node has been in its state; `≥40s` where only a poll has shown it. */
function ageOf(view: NodeView, now: number): string {
  const began = beganOf(view)
  return began === undefined ? NONE.text : `${began.orBefore ? '≥' : ''}${duration(now - began.at)}`
}

/** `42s`, `17m`, `5h`, `12d`; a publisher's clock may be ahead of ours, which counts as now. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  if (seconds < 120) return `${seconds}s`
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)}h`
  return `${Math.floor(seconds / 86_400)}d`
}
