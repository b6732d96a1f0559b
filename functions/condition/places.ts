import * as z from 'zod/mini'
import { StoreError } from '#shared/errors.ts'
import type { KubernetesClient } from '#shared/kubernetes/client.ts'
import { texts } from '#shared/kubernetes/objects.ts'

/** Made by the component `node-taint`, without data: what is kept in it no `apply` takes away. */
const NAME = 'ptp-watch-taints'
const KEY = 'nodes'
const CONFLICTS = 10

export type Places = {
  /** Names of the Nodes that have a place. */
  read(): Promise<ReadonlySet<string>>
  /** Sets them to what `next` makes of those that are there; asked again where another instance came first. */
  change(next: (before: ReadonlySet<string>) => ReadonlySet<string>): Promise<{ taken: ReadonlySet<string> }>
}

const schema = z.object({ metadata: z.object({ resourceVersion: z.string() }), data: texts })

/** The Nodes that may have our taint, in a ConfigMap of this namespace: one list, written by compare-and-set. */
export function createPlaces(client: KubernetesClient, namespace: string): Places {
  const target = { resource: 'configmaps', namespace, name: NAME } as const

  const get = async () => {
    const found = await client.read({ ...target, verb: 'get', expects: [404] }, schema)
    if (found === undefined) {
      throw new StoreError(
        `TAINT needs the ConfigMap ${NAME} in namespace ${namespace}, which the component node-taint makes`,
        { retryable: false },
      )
    }
    const names = (found.data?.[KEY] ?? '').split('\n').filter((name) => name !== '')
    return { version: found.metadata.resourceVersion, taken: new Set(names) }
  }

  return {
    async read() {
      return (await get()).taken
    },
    async change(next) {
      for (let conflicts = 0; conflicts < CONFLICTS; conflicts += 1) {
        const { version, taken: before } = await get()
        const taken = next(before)
        if (taken.size === before.size && [...taken].every((name) => before.has(name))) return { taken }
        const data = { [KEY]: [...taken].toSorted().join('\n') }
        const body = { metadata: { resourceVersion: version }, data }
        const { status } = await client.request({ ...target, verb: 'patch', body, expects: [409] })
        if (status !== 409) return { taken }
      }
      throw new StoreError(`Others changed the ConfigMap ${NAME} again and again`)
    },
  }
}
