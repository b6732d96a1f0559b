import type { Store } from '#shared/state/store/store.ts'

/** What a test table says of a node in the store: undefined where the store has no document of it. */
export type Stored =
  | { readonly clocks?: readonly string[]; readonly log?: readonly string[]; readonly quarantined?: number }
  | undefined

/** The document and the log of a node, in the words of {@link Stored}; bodies set aside and not the counter of them. */
export async function storedOf(store: Store, node: string): Promise<Stored> {
  const state = await store.read(node)
  if (state === undefined) return undefined
  const log = await store.log(node, { after: 0, limit: 100_000 })
  return {
    clocks: state.clocks.map(({ kind, instance, state: word }) => `${kind} ${instance} ${word}`),
    log: log.filter(({ type }) => type === 'changed').map(({ kind, to }) => `${kind} ${to}`),
    quarantined: state.quarantine.length,
  }
}
