/** Figures of a page in Prometheus text format. */
export type Exposition = {
  /** Whether there is a series whose name begins so. */
  has(prefix: string): boolean
  /** The sum of all series of that name that have these labels; 0 where there is none. */
  sum(name: string, labels?: Readonly<Record<string, string>>): number
}

type Series = { readonly name: string; readonly labels: ReadonlyMap<string, string>; readonly value: number }

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g

/** Reads what it understands of a page; lines that are no series are left out. */
export function readExposition(text: string): Exposition {
  const series = text.split('\n').flatMap((line): Series[] => {
    const [, name, inner = '', figure] = LINE.exec(line) ?? []
    const value = Number(figure)
    if (name === undefined || Number.isNaN(value)) return []
    const labels = Array.from(inner.matchAll(LABEL), ([, label = '', said = '']) => [label, said] as const)
    return [{ name, labels: new Map(labels), value }]
  })
  return {
    has: (prefix) => series.some(({ name }) => name.startsWith(prefix)),
    sum: (name, labels = {}) =>
      series
        .filter((one) => one.name === name)
        .filter((one) => Object.entries(labels).every(([label, value]) => one.labels.get(label) === value))
        .reduce((sum, { value }) => sum + value, 0),
  }
}
