import { styleText } from 'node:util'
import { rankOf } from '#shared/events/words.ts'
import { milliseconds } from '#shared/time.ts'
import { beganOf, isDoubted } from '#shared/state/because.ts'
import type { ShownNode } from './shown.ts'
import { cutNames, padded, plain, widthOf } from './text.ts'

type Style = Parameters<typeof styleText>[0]
type Cell = { readonly text: string; readonly style?: Style }
type Column = {
  readonly head: string
  /** On a narrow terminal the columns with the highest number are left out first. */
  readonly keep: number
  readonly widest: number
  readonly cell: (view: ShownNode, now: Now) => Cell
}

type Filled = Column & { readonly cells: readonly Cell[]; readonly width: number }

/** What ages are judged by, in milliseconds. */
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
  { head: 'FOR', keep: 1, widest: 5, cell: ageCell },
  { head: 'HOLDOVER', keep: 3, widest: 11, cell: holdoverCell },
  { head: 'FLAGS', keep: 1, widest: 7, cell: flagsCell },
  { head: 'LOCK', keep: 2, widest: 9, cell: (view) => worstOf(view, 'lock-state') },
  { head: 'OS CLOCK', keep: 2, widest: 9, cell: (view) => worstOf(view, 'os-clock-sync-state') },
  { head: 'CLASS', keep: 4, widest: 5, cell: (view) => highestOf(view, 'clock-class', 'clockClass') },
  { head: 'GNSS', keep: 5, widest: 14, cell: (view) => worstOf(view, 'gnss-sync-status') },
  { head: 'SYNC', keep: 8, widest: 9, cell: (view) => worstOf(view, 'sync-state') },
  { head: 'SYNCE', keep: 6, widest: 9, cell: (view) => worstOf(view, 'synce-lock-state') },
  { head: 'QL', keep: 7, widest: 5, cell: (view) => highestOf(view, 'synce-clock-quality', 'ql') },
  { head: 'PUBLISHER', keep: 3, widest: 11, cell: publisherCell },
  { head: 'MISSED', keep: 3, widest: 6, cell: missedCell },
  { head: 'LABELS', keep: 9, widest: 40, cell: labelsCell },
]

const NONE: Cell = { text: '-' }
/** A time of ours further ahead than this was written before our clock was set back: its age is unknown. */
export const AHEAD_MS = 5_000
const GAP = '  '
const NODE_WIDTH = 28
const NODE_LEAST = 8

/**
 * The fleet as lines of a table. Where `columns` bounds its width, columns that no node fills are left out, then the
 * least important ones; without bounds every column is there.
 */
export function fleetTable(
  views: readonly ShownNode[],
  now: Now,
  { columns, colour }: { columns: number; colour: boolean },
): string[] {
  if (views.length === 0) return []
  const filled = COLUMNS.map((column): Filled => {
    const cells = views.map((view) => column.cell(view, now))
    return {
      ...column,
      cells,
      width: Math.max(column.head.length, ...cells.map(({ text }) => widthOf(text))),
    }
  })
  const shown = Number.isFinite(columns) ? fitting(filled, columns) : filled
  const line = (cellOf: (column: Filled) => Cell) =>
    shown
      .map((column) => {
        const { text, style } = cellOf(column)
        const cell = padded(text, column.width)
        return colour && style !== undefined ? styleText(style, cell, { validateStream: false }) : cell
      })
      .join(GAP)
      .trimEnd()
  return [
    line(({ head }) => ({ text: head, style: 'dim' })),
    ...views.map((_, row) => line(({ cells }) => cells[row] ?? NONE)),
  ]
}

/** The columns that fit, the first of them, the names, cut as far as needed. */
function fitting(filled: readonly Filled[], columns: number): Filled[] {
  const [names, ...others] = filled
    .filter(({ keep, cells }) => keep < 2 || cells.some(({ text }) => text !== NONE.text))
    .map((column) => ({
      ...column,
      width: Math.min(column.width, Math.max(column.widest, column.head.length)),
    }))
  if (names === undefined) return []
  const spareBeside = (rest: readonly Filled[]) =>
    columns - rest.reduce((sum, { width }) => sum + GAP.length + width, 0)
  // A longer name is cut sooner than a column is left out.
  const wanted = Math.min(names.width, NODE_WIDTH)
  let shown = others
  while (spareBeside(shown) < wanted && shown.some(({ keep }) => keep > 0)) {
    const least = Math.max(...shown.map(({ keep }) => keep))
    const last = shown.findLastIndex(({ keep }) => keep === least)
    shown = shown.toSpliced(last, 1)
  }
  const width = Math.max(Math.min(names.width, NODE_LEAST), Math.min(names.width, spareBeside(shown)))
  const cut = cutNames(
    names.cells.map(({ text }) => text),
    width,
  )
  return [{ ...names, width, cells: cut.map((text) => ({ text })) }, ...shown]
}

function worded(word: string): Cell {
  return { text: plain(word), style: STYLES[word] ?? 'yellow' }
}

/** What is left of the holdover budget. */
function holdoverCell({ holdover }: ShownNode, { now }: Now): Cell {
  if (holdover === null) return NONE
  if (!holdover.inSpecification && holdover.clockClass !== null) return { text: 'out of spec', style: 'red' }
  const left = milliseconds(holdover.endsAt) - now
  return left > 0 ? { text: `${duration(left)} left`, style: 'yellow' } : { text: 'spent', style: 'red' }
}

/** Why the line may be wrong, the gravest reason first. */
function flagsCell(view: ShownNode): Cell {
  const flags = (['blind', 'suspect', 'stale'] as const).filter((flag) => view[flag])
  return flags.length === 0 ? NONE : { text: flags.join(','), style: 'red' }
}

/** The worst clock of a kind; one in doubt has a mark, and is no better than UNKNOWN. */
function worstOf(view: ShownNode, kind: string): Cell {
  const [worst] = view.resources
    .flatMap(({ state, ...clock }) => {
      if (clock.kind !== kind || state === null) return []
      const doubted = isDoubted(view, { ...clock, state })
      const rank = Math.min(rankOf(kind, state), doubted ? rankOf(kind, 'UNKNOWN') : Number.POSITIVE_INFINITY)
      return [{ rank, doubted, word: doubted ? (clock.suspect?.told ?? state) : state }]
    })
    .sort((a, b) => a.rank - b.rank)
  if (worst === undefined) return NONE
  return worst.doubted ? { text: `${plain(worst.word)}?`, style: 'magenta' } : worded(worst.word)
}

/** The highest, which is the worst clock class and the worst quality level. */
function highestOf(view: ShownNode, kind: string, metric: string): Cell {
  const [worst] = view.resources
    .flatMap((clock) => (clock.kind === kind ? (clock.metrics[metric] ?? []) : []))
    .sort((a, b) => Number(b) - Number(a))
  return worst === undefined ? NONE : { text: plain(worst) }
}

function publisherCell({ publisher }: ShownNode, { now, staleAfterMs }: Now): Cell {
  if (publisher === null) return NONE
  if (publisher.goneSince !== undefined) return { text: 'gone', style: 'magenta' }
  if (!publisher.reachable) return { text: 'down', style: 'red' }
  const age = now - milliseconds(publisher.checkedAt)
  if (age < -AHEAD_MS) return { text: 'up ?', style: 'magenta' }
  if (age < staleAfterMs) return { text: 'up', style: 'green' }
  return { text: `up ${duration(age)} ago`, style: 'magenta' }
}

function labelsCell({ labels }: ShownNode): Cell {
  const each = Object.entries(labels).map((label) => label.join('='))
  return each.length === 0 ? NONE : { text: plain(each.join(',')) }
}

function missedCell({ counters: { missed } }: ShownNode): Cell {
  return missed === 0 ? { text: '0' } : { text: String(missed), style: 'yellow' }
}

/** How long a node has been in its state; `≥40s` where only a poll has shown it. */
function ageCell(view: ShownNode, { now }: Now): Cell {
  const began = beganOf(view)
  return began === undefined ? NONE : { text: `${began.orBefore ? '≥' : ''}${duration(now - began.at)}` }
}

/** `42s`, `17m`, `5h`, `12d`; a publisher's clock may be ahead of ours, which counts as now. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  if (seconds < 120) return `${seconds}s`
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)}h`
  return `${Math.floor(seconds / 86_400)}d`
}
