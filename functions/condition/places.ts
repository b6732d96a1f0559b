import * as z from 'zod/mini'
import { StoreError } from '#shared/errors.ts'
import type { KubernetesClient } from '#shared/kubernetes/client.ts'
import { texts } from '#shared/kubernetes/objects.ts'
import { despiteOthers } from './nodes.ts'

/** Created empty by the component `node-taint`: `kubectl apply` does not reset its data. */
const NAME = 'ptp-watch-taints'
const KEY = 'nodes'

const schema = z.object({ metadata: z.object({ resourceVersion: z.string() }), data: texts })

export type Places = ReturnType<typeof createPlaces>

/** The Nodes that may have our taint, in a ConfigMap of this namespace: one list, written by compare-and-set. */
export function createPlaces(client: KubernetesClient, namespace: string) {
  const target = { resource: 'configmaps', namespace, name: NAME } as const

  const get = async () => {
    const found = await client.read({ ...target, verb: 'get', expects: [404] }, schema)
    if (found === undefined) {
      throw new StoreError(
        `TAINT needs the ConfigMap ${NAME} in namespace ${namespace}, which the component node-taint creates`,
        { retryable: false },
      )
    }
    const names = (found.data?.[KEY] ?? '').split('\n').filter((name) => name !== '')
    return { version: found.metadata.resourceVersion, taken: new Set(names) }
  }

  return {
    /** The names of the Nodes that hold a place. */
    read: async () => (await get()).taken,
    /** Changes the set with `next`; called again if another instance wrote first. */
    change: (next: (before: ReadonlySet<string>) => Set<string>) =>
      despiteOthers(`the ConfigMap ${NAME}`, async () => {
        const { version, taken: before } = await get()
        const taken = next(before)
        if (taken.size === before.size && [...taken].every((name) => before.has(name))) return taken
        const data = { [KEY]: [...taken].toSorted().join('\n') }
        const body = { metadata: { resourceVersion: version }, data }
        const { status } = await client.request({ ...target, verb: 'patch', body, expects: [409] })
        return status === 409 ? 'conflict' : taken
      }),
  }
}
