import type { Discovery } from './index.ts'
import type { KeepOptions, Keeper } from '#shared/publishers/reconcile/reconciler.ts'
import type { Target } from '#shared/publishers/target.ts'

/**
 * A keeper that first asks a publisher for the name of its node where discovery could not learn it, so that it can be
 * tried again like one that is not ready. `learnt` is told each name. Throws PublisherError while there is none.
 */
export function createNamingKeeper(
  keeper: Keeper,
  discovery: Pick<Discovery, 'named'>,
  learnt: (node: string) => void,
): Keeper {
  const named = async (target: Target, { signal }: KeepOptions = {}) => {
    const found = await discovery.named(target, { signal })
    learnt(found.node)
    return found
  }
  return {
    keep: async (target, options) => keeper.keep(await named(target, options), options),
    cure: async (target, options) => keeper.cure(await named(target, options), options),
    remove: async (target, options) => keeper.remove(await named(target, options), options),
  }
}
