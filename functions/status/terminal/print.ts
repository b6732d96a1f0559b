import { type Flags, type FunctionDefinition, UsageError } from '#shared/runtime/function.ts'
import type { Terminal } from '#shared/runtime/terminal.ts'
import { milliseconds } from '#shared/time.ts'
import { fleetCsv } from './csv.ts'
import { DOUBTS, OVERALL } from '../http/schemas.ts'
import { isNamed, isShown, oneOfAllowed, partsOf, readSelection, type Selection, sorted } from '../select.ts'
import { AHEAD_MS, shortDuration, fleetTable, type Now } from './table.ts'
import { type Deps, nodeWithLog, rowOf, type ShownNode, shownOf } from '../shown.ts'
import { cutMiddle, escaped, plain, widthOf } from './text.ts'

/** How many nodes are read from the store at once. */
const PAGE = 200
const OUTPUTS = ['table', 'json', 'csv', 'name'] as const
/** The flags of `ptp-watch status` and `kubectl ptp status`. */
export const STATUS_FLAGS: FunctionDefinition['flags'] = {
  overall: { value: 'states', description: 'Only FREERUN,HOLDOVER,UNKNOWN,LOCKED nodes.' },
  label: { value: 'key=value,…', description: 'Only nodes with all of these labels.' },
  name: { value: 'part', description: 'Only nodes with this in their name.' },
  sort: { value: 'order', description: 'severity (the default), name, or since (newest).' },
  wide: { description: 'All columns at full width, as when piped.' },
  output: { short: 'o', value: 'format', description: 'table (default), json, csv or name.' },
  json: { description: 'The same as --output json.' },
  'exit-code': { description: 'Exits with 3 unless every selected node is LOCKED.' },
}

/** The exit code of --exit-code if any selected node is not LOCKED. */
const NOT_LOCKED = 3

/** Where the fleet is read. */
export type Source = {
  /** What the store is, without credentials. */
  readonly shownStore: string
  readonly staleAfterMs: number
  readonly now: () => number
  views(signal: AbortSignal): AsyncIterable<ShownNode>
  /** A node with its newest log entries; undefined if there is no such node. */
  node(name: string): Promise<ShownNode | undefined>
}

/** Reads the store directly. `shownStore`: its URL, without credentials. */
export function sourceOf(deps: Deps & { readonly shownStore: string }): Source {
  const { store, clock, settings, shownStore } = deps
  return {
    shownStore,
    staleAfterMs: settings.staleAfterMs,
    now: () => clock.now(),
    async *views(signal) {
      let from: string | undefined
      do {
        signal.throwIfAborted()
        const { nodes, next } = await store.list({ limit: PAGE, from })
        for (const { state } of nodes) yield shownOf(state, clock.now(), settings)
        from = next
      } while (from !== undefined)
    },
    node: (name) => nodeWithLog(deps, name),
  }
}

/** `ptp-watch status`: prints the fleet once. */
export async function printStatus(
  source: Source,
  flags: Flags,
  { signal, terminal }: { signal: AbortSignal; terminal: Terminal },
): Promise<number> {
  const output = outputOf(flags)
  const selection = selectionOf(flags)
  let total = 0
  const checkedAt: number[] = []
  const found: ShownNode[] = []
  for await (const view of source.views(signal)) {
    total += 1
    if (view.publisher !== null) checkedAt.push(milliseconds(view.publisher.checkedAt))
    if (!isNamed(view, selection)) continue
    const isFull = output === 'json' && isShown(rowOf(view), selection)
    found.push((isFull && (await source.node(view.node))) || view)
  }
  const shown = sorted(
    found.filter((view) => isShown(rowOf(view), selection)),
    selection.sort,
  )
  const now = { now: source.now(), staleAfterMs: source.staleAfterMs }
  const isWide = flags.wide === true || !terminal.interactive
  const columns = isWide ? Number.POSITIVE_INFINITY : terminal.columns
  const store = `Store ${source.shownStore}.`
  const texts = {
    json: () => escaped(`${JSON.stringify({ nodes: shown, continue: null }, null, 2)}\n`),
    csv: () => fleetCsv(shown),
    name: () => shown.map(({ node }) => `${plain(node)}\n`).join(''),
    table: () => {
      const summary = summaryOf(total, found, shown.length, lastPoll(checkedAt, now))
      const line = `${store} ${summary}`
      const head = widthOf(line) <= columns ? [line] : [cutMiddle(store, columns), summary]
      const table = fleetTable(shown, now, { ...terminal, columns })
      return [...head, ...(table.length > 0 ? ['', ...table] : []), ''].join('\n')
    },
  }
  terminal.out(texts[output]())
  const isLocked = found.length > 0 && found.every(({ overall }) => overall === 'LOCKED')
  return flags['exit-code'] === true && !isLocked ? NOT_LOCKED : 0
}

function selectionOf({ overall, label, name, sort }: Flags): Selection {
  const textOf = (flag: Flags[string]) => (flag === undefined ? undefined : String(flag))
  const labels = textOf(label)
  const given = {
    overall: textOf(overall),
    label: labels === undefined ? undefined : labels.trim() === '' ? [''] : partsOf(labels),
    name: textOf(name),
    sort: textOf(sort),
  }
  return readSelection(given, '=', refuse)
}

const refuse = (flag: string, problem: string) => new UsageError(`--${flag} ${problem}`)

function outputOf({ output, json, wide }: Flags): (typeof OUTPUTS)[number] {
  const named = output === undefined ? undefined : oneOfAllowed(OUTPUTS, String(output), 'output', refuse)
  if (json === true && named !== undefined && named !== 'json')
    throw new UsageError(`--json and --output ${named} exclude each other`)
  const picked = json === true ? 'json' : (named ?? 'table')
  if (wide === true && picked !== 'table')
    throw new UsageError(`--wide is for the table; --output ${picked} always has all columns`)
  return picked
}

/** `8 nodes: 1 FREERUN, 7 LOCKED. Last poll ≤12s ago.` */
function summaryOf(total: number, found: readonly ShownNode[], shown: number, polled: string): string {
  const nodes = total === 1 ? '1 node' : `${total} nodes`
  if (total === 0) return 'It holds no nodes yet: run ptp-watch subscribe and ptp-watch poll first.'
  if (found.length === 0) return `None of its ${nodes} matches the filters.`
  const words = found.flatMap((view) => [view.overall, ...DOUBTS.filter((doubt) => view[doubt])])
  const counted = [...OVERALL, ...DOUBTS].flatMap((word) => {
    const count = words.filter((each) => each === word).length
    return count === 0 ? [] : `${count} ${word}`
  })
  const part = found.length < total ? `${found.length} of ` : ''
  const hidden = shown < found.length ? ` Showing ${shown}.` : ''
  return `${part}${nodes}: ${counted.join(', ')}. ${polled}${hidden}`
}

function lastPoll(checkedAt: readonly number[], { now, staleAfterMs }: Now): string {
  if (checkedAt.length === 0) return 'Never polled.'
  const ages = checkedAt.map((at) => now - at).filter((age) => age >= -AHEAD_MS)
  if (ages.length === 0) return 'Last poll at an unknown time: it lies in the future.'
  // A mere confirmation is written only now and then, so the last poll may be more recent.
  const age = Math.min(...ages)
  if (age < staleAfterMs) return `Last poll ≤${shortDuration(age)} ago.`
  return `Last poll ${shortDuration(age)} ago: polls have stopped.`
}
