import { HttpError } from '#shared/runtime/reply.ts'
import type { Row } from './api.ts'
import { OVERALL, oneOf, SORTS } from './select.ts'

/** Which nodes are asked for, and in which order. */
export type Wanted = {
  /** Empty: all. */
  readonly overall: ReadonlySet<Row['overall']>
  /** Any of these flags (`stale`: those with it, or with `false` those without); undefined: all. */
  readonly stale: boolean | undefined
  readonly labels: readonly (readonly [key: string, value: string])[]
  /** Part of a node's name, lower case. */
  readonly name: string
  /** Undefined: by name, the order of the store. */
  readonly sort: (typeof SORTS)[number] | undefined
}

/** The parameters that {@link readWanted} reads. */
export const WANTED = ['overall', 'stale', 'label', 'name', 'sort'] as const

/**
 * `overall=FREERUN,HOLDOVER`, `stale=true`, `label=site:a` (may be repeated, all must match), `name=<part>`,
 * `sort=severity|name|since`.
 * @throws HttpError 400 for a value that there is not.
 */
export function readWanted(query: URLSearchParams): Wanted {
  const stale = query.get('stale')
  const sort = query.get('sort')
  const words = (query.get('overall') ?? '').split(',').filter((word) => word !== '')
  return {
    overall: new Set(words.map((word) => oneOf(OVERALL, word.toUpperCase(), 'overall', refuse))),
    stale: stale === null ? undefined : oneOf(['true', 'false'], stale, 'stale', refuse) === 'true',
    labels: query.getAll('label').map((text) => {
      const colon = text.indexOf(':')
      if (colon > 0) return [text.slice(0, colon), text.slice(colon + 1)]
      throw refuse('label', 'must be <key>:<value>, for example label=site:a')
    }),
    name: (query.get('name') ?? '').trim().toLowerCase(),
    sort: sort === null ? undefined : oneOf(SORTS, sort, 'sort', refuse),
  }
}

const refuse = (name: string, problem: string) => new HttpError(400, name, `${name} ${problem}`)

export function matches(row: Row, { overall, stale, labels, name }: Wanted): boolean {
  return (
    (overall.size === 0 || overall.has(row.overall)) &&
    (stale === undefined || row.flags.includes('stale') === stale) &&
    row.node.toLowerCase().includes(name) &&
    labels.every(([key, value]) => row.labels[key] === value)
  )
}

/** Where a row stands in an order: compared by code units, equal for no two rows. Worst, or newest, first. */
export function placeOf(row: Row, sort: Wanted['sort']): string {
  if (sort === 'severity') return `${OVERALL.indexOf(row.overall)} ${row.node}`
  if (sort === 'since') {
    const began = row.since === null ? 0 : Date.parse(row.since)
    return `${String(9e15 - began).padStart(16, '0')} ${row.node}`
  }
  return row.node
}
