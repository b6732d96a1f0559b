import { UsageError } from '#shared/runtime/arguments.ts'
import type { Flags, Terminal } from '#shared/runtime/function.ts'
import { type NodeView, viewOf } from '#shared/state/view.ts'
import { milliseconds } from '#shared/time.ts'
import { fleetCsv } from './csv.ts'
import { allNodes, type Deps, withLog } from './nodes.ts'
import { isNamed, isShown, oneOf, readSelection, sorted } from './select.ts'
import { AHEAD_MS, duration, fleetTable, type Now } from './table.ts'
import { cutMiddle, escaped, plain, widthOf } from './text.ts'

const OUTPUTS = ['table', 'json', 'csv', 'name'] as const
/** With --exit-code: not every node that was asked for is known to be in lock. */
const NOT_LOCKED = 3

/** `ptp-watch status`: prints the fleet once. `store` names the store to people, without credentials. */
export async function printStatus(
  deps: Deps & { readonly shownStore: string },
  flags: Flags,
  { signal, terminal }: { signal: AbortSignal; terminal: Terminal },
): Promise<number> {
  const output = outputOf(flags)
  const selection = readSelection(flags)
  const all: NodeView[] = []
  const found: NodeView[] = []
  for await (const state of allNodes(deps.store, signal)) {
    const view = viewOf(state, deps.clock.now(), deps.settings)
    all.push(view)
    if (!isNamed(view, selection)) continue
    found.push(output === 'json' && isShown(view, selection) ? await withLog(deps, state) : view)
  }
  const shown = sorted(
    found.filter((view) => isShown(view, selection)),
    selection.sort,
  )
  switch (output) {
    case 'json':
      terminal.out(escaped(`${JSON.stringify({ nodes: shown, continue: null }, null, 2)}\n`))
      break
    case 'csv':
      terminal.out(fleetCsv(shown))
      break
    case 'name':
      terminal.out(shown.map(({ node }) => `${plain(node)}\n`).join(''))
      break
    case 'table': {
      const now = { now: deps.clock.now(), staleAfterMs: deps.settings.staleAfterMs }
      const columns =
        flags.wide === true || !terminal.interactive ? Number.POSITIVE_INFINITY : terminal.columns
      const table = fleetTable(shown, now, { ...terminal, columns })
      const store = `Store ${deps.shownStore}.`
      const summary = summaryOf(all, found, shown, now)
      const head =
        widthOf(`${store} ${summary}`) <= columns
          ? [`${store} ${summary}`]
          : [cutMiddle(store, columns), summary]
      terminal.out(`${[...head, ...(table.length > 0 ? ['', ...table] : [])].join('\n')}\n`)
    }
  }
  const isLocked = found.length > 0 && found.every(({ overall }) => overall === 'LOCKED')
  return flags['exit-code'] === true && !isLocked ? NOT_LOCKED : 0
}

function outputOf(flags: Flags): (typeof OUTPUTS)[number] {
  const named = flags.output === undefined ? undefined : oneOf(OUTPUTS, String(flags.output), '--output')
  if (flags.json === true && (named ?? 'json') !== 'json')
    throw new UsageError(`--json and --output ${named} exclude each other`)
  const output = flags.json === true ? 'json' : (named ?? 'table')
  if (flags.wide === true && output !== 'table')
    throw new UsageError(`--wide is for the table; --output ${output} always has all columns`)
  return output
}

/** `8 nodes: 1 FREERUN, 7 LOCKED. Last poll ≤12s ago.` */
export function summaryOf(
  all: readonly NodeView[],
  found: readonly NodeView[],
  shown: readonly NodeView[],
  now: Now,
): string {
  if (all.length === 0) return 'It holds no nodes yet: run ptp-watch subscribe and ptp-watch poll first.'
  if (found.length === 0) return `None of its ${counted(all.length)} matches the filters.`
  const words = ['FREERUN', 'HOLDOVER', 'UNKNOWN', 'LOCKED'].flatMap((word) => {
    const count = found.filter(({ overall }) => overall === word).length
    return count === 0 ? [] : [`${count} ${word}`]
  })
  for (const flag of ['blind', 'suspect', 'stale'] as const) {
    const count = found.filter((view) => view[flag]).length
    if (count > 0) words.push(`${count} ${flag}`)
  }
  const part = found.length < all.length ? ` of ${all.length}` : ''
  const hidden = shown.length < found.length ? ` Showing ${shown.length}.` : ''
  return `${found.length}${part} ${found.length === 1 && part === '' ? 'node' : 'nodes'}: ${words.join(', ')}. ${lastPoll(all, now)}${hidden}`
}

function counted(nodes: number): string {
  return nodes === 1 ? '1 node' : `${nodes} nodes`
}

function lastPoll(all: readonly NodeView[], { now, staleAfterMs }: Now): string {
  const ages = all.flatMap(({ publisher }) =>
    publisher === null ? [] : now - milliseconds(publisher.checkedAt),
  )
  if (ages.length === 0) return 'Never polled.'
  const past = ages.filter((age) => age >= -AHEAD_MS)
  if (past.length === 0) return 'Last poll at an unknown time: it lies in the future.'
  // That publishers still answer is written now and then only: the last poll may well be newer.
  const age = Math.min(...past)
  return age < staleAfterMs
    ? `Last poll ≤${duration(age)} ago.`
    : `Last poll ${duration(age)} ago: polls have stopped.`
}
