import * as z from 'zod/mini'
import type { Source } from '../terminal/print.ts'
import type { ShownNode } from '../shown.ts'
import { failure, node, nodes, summary } from '../http/schemas.ts'
import type { StoreError } from '#shared/errors.ts'
import type { KubernetesClient } from '#shared/kubernetes/client.ts'
import { statusMessage, orAbsent } from '#shared/kubernetes/objects.ts'
import { fatal } from './install.ts'

/** The labels that the manifests give the pods of `status`. */
const SELECTOR = 'app.kubernetes.io/name=ptp-watch,app.kubernetes.io/component=status'
const PORT = 8080
const NODES_A_PAGE = '500'
/** These calls read the whole store. Milliseconds. */
const CALLS = { attemptMs: 20_000, budgetMs: 30_000 }

const condition = z.object({ type: z.string(), status: z.string() })
const podItem = z.object({
  metadata: z.object({ name: z.string(), deletionTimestamp: orAbsent(z.string()) }),
  status: orAbsent(z.object({ conditions: orAbsent(z.array(condition)) })),
})

/**
 * Reads the fleet from a pod of `status` through the API server: a Redis in the cluster cannot be reached from outside.
 * @throws StoreError if no pod serves, or we may not ask it.
 */
export async function openRemote(client: KubernetesClient, namespace: string): Promise<Source> {
  const pod = await podIn(client, namespace)
  const ask = async <T extends z.ZodMiniType>(
    schema: T,
    path: string,
    query: Record<string, string> = {},
  ) => {
    const { status, body } = await client.request({
      ...{ verb: 'get', resource: 'pods', namespace, name: `${pod}:${PORT}`, ...CALLS },
      ...{ subresource: `proxy/api/${path}`, query, expects: [400, 401, 403, 404, 500, 502, 503] },
    })
    if (status >= 300) {
      const refusal = failure.safeParse(body).data?.error
      if (status === 404 && refusal?.code === 'not-found') return undefined
      throw refusedBy(pod, namespace, status, refusal?.message ?? statusMessage(body) ?? '')
    }
    const parsed = schema.safeParse(body)
    if (parsed.success) return parsed.data
    throw fatal(
      `Pod ${pod} answers in a form that this version of kubectl ptp does not know: ${z.prettifyError(parsed.error)}`,
    )
  }
  const picture = await ask(summary, 'summary')
  return {
    shownStore: `${picture?.store ?? '?'}, by pod ${pod}`,
    staleAfterMs: picture?.staleAfterMs ?? 0,
    now: () => Date.now(),
    async *views(signal) {
      let next: string | null | undefined
      do {
        signal.throwIfAborted()
        const from = next != null && { continue: next }
        const page = await ask(nodes, 'nodes', { limit: NODES_A_PAGE, ...from })
        yield* (page?.nodes ?? []).map(viewIn)
        next = page?.continue
      } while (next != null)
    },
    async node(name) {
      const found = await ask(node, `nodes/${encodeURIComponent(name)}`)
      return found && viewIn(found)
    },
  }
}

/** Restores the fields that JSON leaves out. */
function viewIn({ log, damaged, ...view }: z.infer<typeof node>): ShownNode {
  const resources = view.resources.map((clock) => ({ ...clock, timeFrom: clock.timeFrom }))
  return { ...view, resources, ...(damaged !== undefined && { damaged }), ...(log !== undefined && { log }) }
}

async function podIn(client: KubernetesClient, namespace: string): Promise<string> {
  const query = { labelSelector: SELECTOR, fieldSelector: 'status.phase=Running' }
  const running = await client.list({ resource: 'pods', namespace, query }, podItem)
  const found = running.filter(({ metadata }) => metadata.deletionTimestamp === undefined)
  const ready = found.find(({ status }) =>
    status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True'),
  )
  const pod = ready ?? found[0]
  if (pod !== undefined) return pod.metadata.name
  throw fatal(`No pod of status runs in namespace ${namespace}: kubectl -n ${namespace} get ksvc status`)
}

function refusedBy(pod: string, namespace: string, status: number, message: string): StoreError {
  const forward = `kubectl -n ${namespace} port-forward pod/${pod} 8080:${PORT}, then http://localhost:8080`
  if (status === 401) {
    return fatal(
      `status asks for a token (STATUS_TOKEN_FILE), which the API server does not pass on: ${forward}`,
    )
  }
  return fatal(
    status === 403
      ? `not allowed to ask pod ${pod} through the API server (get pods/proxy, as the role edit has): ${message}`
      : `pod ${pod} was asked through the API server, which answered ${status}: ${message}`,
  )
}
