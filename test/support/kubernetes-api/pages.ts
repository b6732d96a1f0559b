import { badRequest, Refusal } from './refusal.ts'
import { parseSelector } from './selector.ts'

export type ListOptions = { labelSelector: string; limit: number; continue: string }
export type List<T> = { items: T[]; resourceVersion: string; continue: string }

type Listed = {
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> }
}

/** Lists by pages, as the real API server makes them. */
export type Pages<T> = {
  /** In order of names. What follows the first page is of the time of the first page. */
  list(namespace: string, options: ListOptions): List<T>
  /** As after five minutes, when etcd has forgotten the time of the first page. */
  expire(): void
}

/** `all`: the objects of a namespace as they are now, by name; `revision`: the number of the last change. */
export function createPages<T extends Listed>(
  all: (namespace: string) => T[],
  revision: () => number,
): Pages<T> {
  const snapshots = new Map<number, T[]>()

  /** The objects that a continuation goes on in, and the name before which it goes on. */
  function resume(namespace: string, token: string): { rv: number; start: string; from: T[] } {
    const { rv, start } = decode(token)
    if (rv === LATEST) return { rv, start, from: all(namespace) }
    const from = snapshots.get(rv)
    if (from !== undefined) return { rv, start, from }
    throw new Refusal(
      410,
      'Expired',
      'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results.',
      { continue: encode(LATEST, start) },
    )
  }

  return {
    list(namespace, { labelSelector, limit, continue: token }) {
      const selects = parseSelector(labelSelector)
      const { rv, start, from } = token
        ? resume(namespace, token)
        : { rv: revision(), start: '', from: all(namespace) }
      const rest = from.filter(({ metadata }) => metadata.name >= start && selects(metadata.labels))
      const next = limit > 0 ? rest[limit] : undefined
      if (next === undefined) return { items: rest, resourceVersion: String(revision()), continue: '' }
      if (rv !== LATEST) snapshots.set(rv, from)
      for (const oldest of snapshots.keys()) if (snapshots.size > SNAPSHOTS) snapshots.delete(oldest)
      return {
        items: rest.slice(0, limit),
        resourceVersion: String(rv === LATEST ? revision() : rv),
        continue: encode(rv, next.metadata.name),
      }
    },
    expire: () => snapshots.clear(),
  }
}

/** So many lists can be under way at once; those that began before expire. */
const SNAPSHOTS = 20

/** The revision in a continuation that an answer 410 offers: the rest, as it is now. */
const LATEST = -1

function encode(rv: number, start: string): string {
  return Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv, start })).toString('base64url')
}

function decode(token: string): { rv: number; start: string } {
  try {
    const { rv, start } = JSON.parse(Buffer.from(token, 'base64url').toString('utf8'))
    if (Number.isInteger(rv) && typeof start === 'string') return { rv, start }
  } catch {
    // Said below.
  }
  throw badRequest('continue key is not valid')
}
