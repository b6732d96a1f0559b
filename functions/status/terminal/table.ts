import { styleText } from 'node:util'
import { rankOf } from '#shared/events/words.ts'
import { milliseconds } from '#shared/time.ts'
import { beganOf, isDoubted } from '#shared/state/because.ts'
import { DOUBTS } from '../http/schemas.ts'
import { labelTexts, type ShownNode } from '../shown.ts'
import { cutNames, padded, plain, widthOf } from './text.ts'

type Style = Parameters<typeof styleText>[0]
/** Undefined is shown as `-`. */
type Cell = readonly [text: string, style?: Style | undefined]
type CellOf = (view: ShownNode, now: Now) => Cell
type Column = {
  readonly head: string
  readonly keep: number
  readonly widest: number
  readonly cells: readonly Cell[]
  readonly width: number
}

/** What ages are compared with, in milliseconds. */
export type Now = { readonly now: number; readonly staleAfterMs: number }

const STYLES: Readonly<Record<string, Style>> = {
  LOCKED: 'green',
  SYNCHRONIZED: 'green',
  HOLDOVER: 'yellow',
  UNKNOWN: 'magenta',
  FREERUN: 'red',
}

/** On a narrow terminal the columns with the highest `keep` are dropped first. */
const COLUMNS: readonly (readonly [head: string, keep: number, widest: number, cellOf: CellOf])[] = [
  ['NODE', 0, 40, ({ node }) => [node]],
  ['OVERALL', 0, 8, ({ overall }) => worded(overall)],
  ['FOR', 1, 5, ageCell],
  ['HOLDOVER', 3, 11, holdoverCell],
  ['FLAGS', 1, 7, (view) => [DOUBTS.filter((doubt) => view[doubt]).join(','), 'red']],
  ['LOCK', 2, 9, (view) => worstOf(view, 'lock-state')],
  ['OS CLOCK', 2, 9, (view) => worstOf(view, 'os-clock-sync-state')],
  ['CLASS', 4, 5, (view) => highestOf(view, 'clock-class', 'clockClass')],
  ['GNSS', 5, 14, (view) => worstOf(view, 'gnss-sync-status')],
  ['SYNC', 8, 9, (view) => worstOf(view, 'sync-state')],
  ['SYNCE', 6, 9, (view) => worstOf(view, 'synce-lock-state')],
  ['QL', 7, 5, (view) => highestOf(view, 'synce-clock-quality', 'ql')],
  ['PUBLISHER', 3, 11, publisherCell],
  ['MISSED', 3, 6, ({ counters: { missed } }) => [String(missed), missed === 0 ? undefined : 'yellow']],
  ['LABELS', 9, 40, (view) => [labelTexts(view).join(',')]],
]

/** A time of ours further ahead than this was written before our clock was set back: its age is unknown. */
export const AHEAD_MS = 5_000
const GAP = '  '
const NODE_WIDTH = 28
const NODE_LEAST = 8

/**
 * The fleet as lines of a table. If `columns` limits its width, empty columns are dropped, then the least important
 * ones; without a limit every column is shown.
 */
export function fleetTable(
  views: readonly ShownNode[],
  now: Now,
  { columns, colour }: { columns: number; colour: boolean },
): string[] {
  if (views.length === 0) return []
  const filled = COLUMNS.map(([head, keep, widest, cellOf]): Column => {
    const cells = views.map((view): Cell => {
      const [text, style] = cellOf(view, now)
      return text === '' ? ['-'] : [plain(text), style]
    })
    const width = Math.max(head.length, ...cells.map(([text]) => widthOf(text)))
    return { head, keep, widest, cells, width }
  })
  const shown = Number.isFinite(columns) ? fitting(filled, columns) : filled
  const line = (cellOf: (column: Column) => Cell) => {
    const cells = shown.map((column) => {
      const [text, style] = cellOf(column)
      const cell = padded(text, column.width)
      return colour && style !== undefined ? styleText(style, cell, { validateStream: false }) : cell
    })
    return cells.join(GAP).trimEnd()
  }
  return [
    line(({ head }) => [head, 'dim']),
    ...views.map((_, row) => line(({ cells }) => cells[row] ?? NONE)),
  ]
}

const NONE: Cell = ['']

/** The columns that fit; the first one, the names, is cut as far as needed. */
function fitting(filled: readonly Column[], columns: number): Column[] {
  const [names, ...others] = filled
    .filter(({ keep, cells }) => keep < 2 || cells.some(([text]) => text !== '-'))
    .map(({ width, ...column }) => {
      const most = Math.max(column.widest, column.head.length)
      return { ...column, width: Math.min(width, most) }
    })
  if (names === undefined) return []
  const spareBeside = (rest: readonly Column[]) =>
    columns - rest.reduce((sum, { width }) => sum + GAP.length + width, 0)
  // Long names are cut before a column is dropped.
  const wanted = Math.min(names.width, NODE_WIDTH)
  let shown = others
  while (spareBeside(shown) < wanted && shown.some(({ keep }) => keep > 0)) {
    const least = Math.max(...shown.map(({ keep }) => keep))
    const last = shown.findLastIndex(({ keep }) => keep === least)
    shown = shown.toSpliced(last, 1)
  }
  const width = Math.min(names.width, Math.max(NODE_LEAST, spareBeside(shown)))
  const texts = names.cells.map(([text]) => text)
  return [{ ...names, width, cells: cutNames(texts, width).map((text): Cell => [text]) }, ...shown]
}

function worded(word: string): Cell {
  return [word, STYLES[word] ?? 'yellow']
}

/** What is left of the holdover budget. */
function holdoverCell({ holdover }: ShownNode, { now }: Now): Cell {
  if (holdover === null) return NONE
  if (!holdover.inSpecification && holdover.clockClass !== null) return ['out of spec', 'red']
  const left = milliseconds(holdover.endsAt) - now
  return left > 0 ? [`${shortDuration(left)} left`, 'yellow'] : ['spent', 'red']
}

/** The worst clock of a kind; one in doubt is marked, and is no better than UNKNOWN. */
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
  return worst.doubted ? [`${worst.word}?`, 'magenta'] : worded(worst.word)
}

/** The highest value, which is the worst clock class or quality level. */
function highestOf(view: ShownNode, kind: string, metric: string): Cell {
  const [worst = ''] = view.resources
    .flatMap((clock) => (clock.kind === kind ? (clock.metrics[metric] ?? []) : []))
    .sort((a, b) => Number(b) - Number(a))
  return [worst]
}

function publisherCell({ publisher }: ShownNode, { now, staleAfterMs }: Now): Cell {
  if (publisher === null) return NONE
  if (publisher.goneSince !== undefined) return ['gone', 'magenta']
  if (!publisher.reachable) return ['down', 'red']
  const age = now - milliseconds(publisher.checkedAt)
  if (age < -AHEAD_MS) return ['up ?', 'magenta']
  return age < staleAfterMs ? ['up', 'green'] : [`up ${shortDuration(age)} ago`, 'magenta']
}

/** How long a node has been in its state; `≥40s` if only a poll has shown it. */
function ageCell(view: ShownNode, { now }: Now): Cell {
  const began = beganOf(view)
  return began === undefined ? NONE : [`${began.orBefore ? '≥' : ''}${shortDuration(now - began.at)}`]
}

/** `42s`, `17m`, `5h`, `12d`; negative, from a publisher's clock ahead of ours, counts as 0. */
export function shortDuration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  if (seconds < 120) return `${seconds}s`
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)}h`
  return `${Math.floor(seconds / 86_400)}d`
}
