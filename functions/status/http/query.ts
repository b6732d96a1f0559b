import { createHash } from 'node:crypto'
import { HttpError } from '#shared/runtime/reply.ts'
import { timeIn } from '#shared/state/history.ts'
import type { TimeSpan } from '#shared/state/timeline.ts'
import { oneOfAllowed, readSelection, type Selection } from '../select.ts'

/** The parameters that select and order nodes, and the one for a single node. */
export const FILTERING = ['overall', 'stale', 'label', 'name'] as const
export const SELECTING = [...FILTERING, 'sort'] as const
export const FOLLOWING = [...FILTERING, 'node'] as const

const refuse = (name: string, problem: string) => new HttpError(400, name, `${name} ${problem}`)

/**
 * The value of `node`; undefined if it is not given.
 * @throws HttpError 400 if it is empty, or combined with filters, which would be ignored.
 */
export function nodeOf(query: URLSearchParams): string | undefined {
  const node = query.get('node')
  if (node === '') throw refuse('node', 'is empty')
  const filter = FILTERING.find((name) => query.has(name))
  if (node === null || filter === undefined) return node ?? undefined
  throw refuse('node', `and ${filter} exclude each other`)
}

/**
 * `overall=FREERUN,HOLDOVER`, `stale=true`, `label=site:a` (may be repeated, all must match), `name=<part>`,
 * `sort=severity|name|since`; by name by default.
 * @throws HttpError 400 for an unknown value.
 */
export function selectionOf(query: URLSearchParams): Selection {
  const label = query.has('label') ? query.getAll('label') : undefined
  return readSelection({ sort: 'name', ...Object.fromEntries(query), label }, ':', refuse)
}

/** One of `allowed`; by default the first. @throws HttpError 400 */
export function choiceOf<T extends string>(
  query: URLSearchParams,
  name: string,
  allowed: readonly [T, ...T[]],
): T {
  return oneOfAllowed(allowed, query.get(name) ?? allowed[0], name, refuse)
}

/** `limit`: a whole number from 1 to `most`; undefined if not given. @throws HttpError 400 */
export function limitOf(query: URLSearchParams, most: number): number | undefined {
  const text = query.get('limit')
  if (text === null) return undefined
  const number = Number(text)
  if (/^\d+$/.test(text) && number >= 1 && number <= most) return number
  throw refuse('limit', `must be a whole number from 1 to ${most}`)
}

/**
 * Identifies the list that a query asks for: the same text for the same filters and order, however they are written.
 * Empty for the unfiltered list, which comes straight from the store.
 */
export function listOf(query: URLSearchParams): string {
  if (!SELECTING.some((name) => query.has(name))) return ''
  const { overall, labels, ...others } = selectionOf(query)
  const text = JSON.stringify({ ...others, overall: [...overall].sort(), labels: [...labels].sort() })
  return createHash('sha256').update(text).digest('base64url').slice(0, 10)
}

/** A `continue` token: a position in a list ({@link listOf}), opaque so that nobody makes one up. */
export function tokenOf(list: string, at: string): string {
  return Buffer.from(`from:${list}:${at}`).toString('base64url')
}

/**
 * The position at which a page of a list begins.
 * @throws HttpError 400 for a token of another list: nodes would be left out or repeated.
 */
export function fromOf(query: URLSearchParams, list: string): string | undefined {
  const token = query.get('continue')
  if (token === null) return undefined
  const text = Buffer.from(token, 'base64url').toString()
  const [, its = '', at = ''] = /^from:([^:]*):(.*)$/s.exec(text) ?? []
  if (tokenOf(its, at) !== token) throw refuse('continue', 'must be the value returned with the page before')
  if (its === list) return at
  throw refuse(
    'continue',
    'is from a list with another sort or other filters: ask for the first page of this one',
  )
}

/**
 * `from` and `to`: RFC 3339, by default the last 24 h.
 * @throws HttpError 400 if a time cannot be parsed, or the span ends before it begins.
 */
export function spanOf(query: URLSearchParams, now: number): TimeSpan {
  const timeOf = (name: string) => {
    const text = query.get(name)
    const time = text === null ? undefined : timeIn(text)
    if (Number.isNaN(time)) throw refuse(name, 'must be a time such as 2026-11-28T03:00:00Z')
    return time
  }
  const to = timeOf('to') ?? now
  const from = timeOf('from') ?? to - 86_400_000
  if (from < to) return { from, to }
  throw refuse('from', 'must be earlier than to')
}
