import type { Result } from './row.ts'

/** The rows as people read them. */
export function table(results: readonly Result[]): string {
  const head = ['row', 'ours', 'yardstick', 'unit', 'ratio', 'bar', '']
  const lines = results.map(({ name, ours, yardstick, unit, ratio, bar, passed }) => [
    name,
    shown(ours),
    shown(yardstick),
    unit,
    ratio.toFixed(2),
    bar,
    passed ? '' : 'missed',
  ])
  const all = [head, ...lines]
  const widths = head.map((_, column) => Math.max(...all.map((cells) => cells[column]?.length ?? 0)))
  const line = (cells: readonly string[]) => cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')
  return `${all.map((cells) => line(cells).trimEnd()).join('\n')}\n`
}

function shown(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3)
}
