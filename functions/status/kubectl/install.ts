import * as z from 'zod/mini'
import { StoreError } from '#shared/errors.ts'
import type { KubernetesClient } from '#shared/kubernetes/client.ts'
import { itemsOf, texts } from '#shared/kubernetes/objects.ts'

/** An installation of PTP Watch in a namespace, with the settings of all its functions. */
export type Install = { readonly namespace: string; readonly settings: Readonly<Record<string, string>> }

/** The ConfigMap that every installation has (knative/base). */
const SETTINGS = 'ptp-watch-settings'
/** Where the overlays install it. */
const USUAL = ['ptp-watch', 'cloud-events']

const configMap = z.object({
  metadata: z.object({ namespace: z.string() }),
  data: texts,
})
const list = z.object({ items: itemsOf(configMap) })

/**
 * Finds PTP Watch by its settings: in `namespace`, or else in that of the context, in those that the overlays use, or
 * anywhere in the cluster.
 * @throws StoreError if it is in none of them, in several, or we may not look.
 */
export async function findInstall(
  client: Pick<KubernetesClient, 'request'>,
  { namespace, current }: { readonly namespace: string | undefined; readonly current: string },
): Promise<Install> {
  const wanted = namespace === undefined ? [...new Set([current, ...USUAL])] : [namespace]
  const refused: string[] = []
  for (const each of wanted) {
    const call = { verb: 'get', resource: 'configmaps', namespace: each, name: SETTINGS } as const
    const { status, body } = await client.request({ ...call, expects: [403, 404] })
    if (status < 300) return installOf(configMap.parse(body))
    if (status === 403) refused.push(each)
  }
  if (namespace === undefined) {
    const query = { fieldSelector: `metadata.name=${SETTINGS}` }
    const { status, body } = await client.request({
      ...{ verb: 'list', resource: 'configmaps', query, expects: [403] },
    })
    const found = status < 300 ? list.parse(body).items.map(installOf) : []
    if (found.length > 1) {
      const names = found.map((each) => each.namespace).join(', ')
      throw fatal(`PTP Watch is in several namespaces (${names}): name one with -n`)
    }
    if (found[0] !== undefined) return found[0]
  }
  const where = wanted.join(', ')
  throw fatal(
    refused.length > 0
      ? `Not allowed to read the ConfigMap ${SETTINGS} in ${refused.join(', ')}: the role view there is enough; name another namespace with -n`
      : `There is no PTP Watch in ${where}: no ConfigMap ${SETTINGS}; name its namespace with -n`,
  )
}

function installOf({ metadata, data = {} }: z.infer<typeof configMap>): Install {
  return { namespace: metadata.namespace, settings: data }
}

/** An error that somebody has to fix first. */
export const fatal = (message: string) => new StoreError(message, { retryable: false })
