import { fleetTable } from '#functions/status/table.ts'
import { defaultSettings } from '#shared/state/settings.ts'
import type { NodeView } from '#shared/state/view.ts'
import type { LogLine } from './processes.ts'

/** How many of the latest transitions stand below the table. */
const LATEST = 12

export type Screen = {
  /** A transition that ingest or poll has logged. */
  transition(line: LogLine): void
  /** The fleet as it is now. */
  draw(views: readonly NodeView[], now: number): void
  end(): void
}

/**
 * A table that is redrawn in place, with the latest transitions under it. Where there is no terminal: a line for
 * each transition, and nothing else.
 */
export function createScreen(
  stream: { write(text: string): unknown; isTTY?: boolean; columns?: number; rows?: number },
  { head, colour }: { head: readonly string[]; colour: boolean },
): Screen {
  const latest: string[] = []
  if (stream.isTTY !== true) {
    return {
      transition: (line) => void stream.write(`${transitionText(line)}\n`),
      draw() {},
      end() {},
    }
  }
  stream.write('\u001b[?1049h\u001b[?25l')
  return {
    transition(line) {
      latest.unshift(transitionText(line))
      latest.length = Math.min(latest.length, LATEST)
    },
    draw(views, now) {
      // A terminal that does not know its size says 0.
      const columns = stream.columns || 100
      const table = fleetTable(
        views,
        { now, staleAfterMs: defaultSettings.staleAfterMs },
        { columns, colour },
      )
      const lines = [
        ...head,
        '',
        ...table,
        '',
        'Latest transitions',
        ...latest.map((text) => `  ${text}`),
        '',
        'Ctrl-C stops',
      ]
      const shown = lines.slice(0, (stream.rows || 40) - 1)
      // Only what is overlong without colours is cut: colours take no columns.
      stream.write(`\u001b[H${shown.map((line) => `${line}\u001b[K\n`).join('')}\u001b[J`)
    },
    end: () => void stream.write('\u001b[?25h\u001b[?1049l'),
  }
}

/** `06:36:24 worker-0  lock-state ens5fx/master  LOCKED → HOLDOVER  (push)` */
function transitionText(line: LogLine): string {
  const text = (name: string) => (typeof line[name] === 'string' ? line[name] : '')
  const clock = [text('kind'), text('instance')].filter((part) => part !== '').join(' ')
  const change = [text('from'), text('to')].filter((part) => part !== '').join(' → ')
  const how = text('type') === 'changed' ? text('via') : text('type')
  const parts = [text('node'), clock, change, `(${how})`].filter((part) => part !== '')
  return `${text('time').slice(11, 19)} ${parts.join('  ')}`
}
