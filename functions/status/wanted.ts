import { HttpError } from '#shared/runtime/reply.ts'
import type { Row } from './api.ts'

const WORDS = ['FREERUN', 'HOLDOVER', 'UNKNOWN', 'LOCKED'] as const
export const SORTS = ['severity', 'name', 'since'] as const

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
  if (stale !== null && stale !== 'true' && stale !== 'false') {
    throw new HttpError(400, 'stale', 'stale must be true or false')
  }
  const sort = query.get('sort')
  return {
    overall: new Set(
      (query.get('overall') ?? '').split(',').flatMap((word) => (word === '' ? [] : [wordOf(word)])),
    ),
    stale: stale === null ? undefined : stale === 'true',
    labels: query.getAll('label').map((text) => {
      const colon = text.indexOf(':')
      if (colon > 0) return [text.slice(0, colon), text.slice(colon + 1)]
      throw new HttpError(400, 'label', 'label must be <key>:<value>, for example label=site:a')
    }),
    name: (query.get('name') ?? '').trim().toLowerCase(),
    sort: sort === null ? undefined : sortOf(sort),
  }
}

function wordOf(word: string): Row['overall'] {
  const found = WORDS.find((each) => each === word.toUpperCase())
  if (found !== undefined) return found
  throw new HttpError(400, 'overall', `overall must be of ${WORDS.join(', ')}, separated by commas`)
}

function sortOf(text: string): (typeof SORTS)[number] {
  const found = SORTS.find((each) => each === text)
  if (found !== undefined) return found
  throw new HttpError(400, 'sort', `sort must be one of ${SORTS.join(', ')}`)
}

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
  if (sort === 'severity') return `${WORDS.indexOf(row.overall)} ${row.node}`
  if (sort === 'since') {
    const began = row.since === null ? 0 : Date.parse(row.since)
    return `${String(9e15 - began).padStart(16, '0')} ${row.node}`
  }
  return row.node
}
