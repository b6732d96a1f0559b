import type { Row } from '../http/schemas.ts'
import { type State, STATES } from './words.ts'

export const ORDERS = ['severity', 'name', 'since'] as const
export type Sort = (typeof ORDERS)[number]

/** What the fleet page shows: all of it is in the URL, by the names that the API has. */
export type Filters = {
  readonly overall: ReadonlySet<State>
  readonly name: string
  readonly labels: ReadonlyMap<string, string>
  readonly sort: Sort
  /** The label whose values group the nodes; empty: the first that most nodes have; `-`: none. */
  readonly group: string
}

export function readFilters(search: string): Filters {
  const query = new URLSearchParams(search)
  const words = (query.get('overall') ?? '').split(',')
  return {
    overall: new Set(STATES.filter((state) => words.includes(state))),
    name: query.get('name') ?? '',
    labels: new Map(
      query.getAll('label').flatMap((text): [string, string][] => {
        const colon = text.indexOf(':')
        return colon > 0 ? [[text.slice(0, colon), text.slice(colon + 1)]] : []
      }),
    ),
    sort: ORDERS.find((sort) => sort === query.get('sort')) ?? 'severity',
    group: query.get('group') ?? '',
  }
}

export function searchOf(filters: Filters): string {
  const query = new URLSearchParams()
  if (filters.overall.size > 0) query.set('overall', [...filters.overall].join(','))
  if (filters.name !== '') query.set('name', filters.name)
  for (const [key, value] of filters.labels) query.append('label', `${key}:${value}`)
  if (filters.sort !== 'severity') query.set('sort', filters.sort)
  if (filters.group !== '') query.set('group', filters.group)
  const text = query.toString()
  return text === '' ? '' : `?${text}`
}

/** Those that match by name and labels, whatever their state. */
export function matching(rows: Iterable<Row>, { name, labels }: Filters): Row[] {
  const part = name.trim().toLowerCase()
  return [...rows].filter(
    (row) =>
      row.node.toLowerCase().includes(part) && [...labels].every(([key, value]) => row.labels[key] === value),
  )
}

export function sortedRows(rows: readonly Row[], sort: Sort): Row[] {
  const byName = (a: Row, b: Row) => (a.node < b.node ? -1 : a.node > b.node ? 1 : 0)
  if (sort === 'name') return rows.toSorted(byName)
  if (sort === 'since')
    return rows.toSorted((a, b) => (b.since ?? '').localeCompare(a.since ?? '') || byName(a, b))
  const rank = ({ overall, flags }: Row) => STATES.indexOf(overall) * 2 - (flags.length > 0 ? 1 : 0)
  return rows.toSorted((a, b) => rank(a) - rank(b) || byName(a, b))
}

/** Every label of the rows with its values, sorted. */
export function labelsOf(rows: readonly Row[]): Map<string, string[]> {
  const found = new Map<string, Set<string>>()
  for (const { labels } of rows) {
    for (const [key, value] of Object.entries(labels)) {
      const values = found.get(key) ?? new Set()
      found.set(key, values.add(value))
    }
  }
  return new Map(
    [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, values]) => [key, [...values].sort()]),
  )
}

/** The rows by the value of a label, the group with the worst node first; without a label one group. */
export function grouped(rows: readonly Row[], label: string): [value: string, rows: Row[]][] {
  if (label === '') return [['', [...rows]]]
  const groups = Map.groupBy(rows, ({ labels }) => labels[label] ?? '')
  const worst = (group: readonly Row[]) => Math.min(...group.map(({ overall }) => STATES.indexOf(overall)))
  return [...groups].sort(([a, x], [b, y]) => worst(x) - worst(y) || (a < b ? -1 : 1))
}
