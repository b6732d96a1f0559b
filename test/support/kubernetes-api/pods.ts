import { request } from 'undici'
import { createPages, type List, type ListOptions } from './pages.ts'
import { Refusal } from './refusal.ts'

export type Pod = {
  readonly metadata: {
    readonly name: string
    readonly namespace: string
    readonly labels: Readonly<Record<string, string>>
  }
  readonly status: {
    readonly phase: 'Running'
    readonly conditions: readonly { readonly type: 'Ready'; readonly status: 'True' | 'False' }[]
  }
}

/** The Pods of a cluster, which the API server hands requests on to. */
export type Pods = {
  /** `url`: where its port 8080 is. */
  add(
    namespace: string,
    name: string,
    options: { labels: Pod['metadata']['labels']; url: string; ready?: boolean },
  ): void
  list(namespace: string, options: ListOptions): List<Pod>
  /** Answers as the Pod does; without the credentials of who asks, which are for the API server. */
  proxy(namespace: string, name: string, path: string): Promise<{ code: number; type: string; body: string }>
}

export function createPods(): Pods {
  const pods = new Map<string, { readonly pod: Pod; readonly url: string }>()
  const { list } = createPages(
    (namespace) =>
      [...pods.values()]
        .map(({ pod }) => pod)
        .filter(({ metadata }) => namespace === '' || metadata.namespace === namespace),
    () => pods.size + 1,
  )
  return {
    add(namespace, name, { labels, url, ready = true }) {
      const conditions = [{ type: 'Ready', status: ready ? 'True' : 'False' }] as const
      const pod = { metadata: { name, namespace, labels }, status: { phase: 'Running' as const, conditions } }
      pods.set(`${namespace}/${name}:8080`, { pod, url })
    },
    list,
    async proxy(namespace, name, path) {
      const found = pods.get(`${namespace}/${name}`)
      if (found === undefined) throw new Refusal(404, 'NotFound', `pods "${name.split(':')[0]}" not found`)
      try {
        const { statusCode, headers, body } = await request(`${found.url}/${path}`)
        return { code: statusCode, type: String(headers['content-type']), body: await body.text() }
      } catch {
        throw new Refusal(
          503,
          'ServiceUnavailable',
          'error trying to reach service: dial tcp: connection refused',
        )
      }
    },
  }
}
