import { onTestFinished } from 'vitest'
import { findAccess, type KubernetesSettings } from '#shared/kubernetes/access.ts'
import {
  type Access,
  type Call,
  type ClientOptions,
  createKubernetesClient,
} from '#shared/kubernetes/client.ts'
import { silentLog } from '#shared/log.ts'
import { folder } from '../publishers/support/folder.ts'
import { type KubernetesApi, startKubernetesApi } from '../support/kubernetes-api.ts'

/** A cluster for one test. */
export async function startApi(options?: {
  tls?: boolean
  host?: string
  authority?: string
}): Promise<KubernetesApi> {
  const api = await startKubernetesApi(await folder(), options)
  onTestFinished(() => api.close())
  return api
}

/** What every pod of the cluster has in its environment. */
export function podOf({ port, serviceAccount }: KubernetesApi): KubernetesSettings {
  return { serviceHost: '127.0.0.1', servicePort: port, serviceAccount }
}

export function accessOf(settings: KubernetesSettings, now: () => number = Date.now): Promise<Access> {
  return findAccess(settings, { clock: { now }, log: silentLog })
}

export async function openClient(
  settings: KubernetesSettings,
  { now, ...options }: ClientOptions & { now?: () => number } = {},
) {
  // On a busy machine an answer may take longer than anybody would wait for it in earnest.
  const patient = { attemptMs: 20_000, budgetMs: 20_000 }
  const access = await accessOf(settings, now)
  const client = createKubernetesClient(access, { log: silentLog }, { ...patient, ...options })
  onTestFinished(() => client.close())
  return client
}

const HERE = { resource: 'configmaps', namespace: 'ns' } as const

export const LIST: Call = { ...HERE, verb: 'list' }

export const get = (name: string): Call => ({ ...HERE, verb: 'get', name, expects: [404] })

export const create = (name: string): Call => ({
  ...HERE,
  verb: 'create',
  body: { metadata: { name }, data: { a: '1' } },
})

/** What was thrown, which a test then looks at. */
export async function failureOf(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => undefined,
    (error: unknown) => error,
  )
}
