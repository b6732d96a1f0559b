import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { type KubernetesApi, startKubernetesApi } from '../../support/kubernetes-api.ts'
import type { Verb } from '../../support/kubernetes-api/routes.ts'
import { startRedis } from '../../support/redis.ts'
import type { Image } from './container.ts'

/** A Redis until the test ends, and what the Secret of its URL would say. */
export async function redisStore(): Promise<Record<string, string>> {
  const redis = await startRedis()
  onTestFinished(() => redis.close())
  return { STATE_URL: `redis://127.0.0.1:${redis.port}` }
}

/**
 * An API server until the test ends, the service account of a pod that may do no more than `verbs`, and what Kubernetes
 * puts into the environment of every pod.
 */
export async function kubernetesStore(image: Image, verbs: Iterable<Verb>): Promise<Record<string, string>> {
  const { api, env } = await kubernetesAround(image)
  api.allowed.clear()
  for (const verb of verbs) api.allowed.add(verb)
  return env
}

/** The same, with the API server itself. */
export async function kubernetesAround(
  image: Image,
): Promise<{ readonly api: KubernetesApi; readonly env: Record<string, string> }> {
  const files = mkdtempSync(join(tmpdir(), 'ptp-watch-api-'))
  const api = await startKubernetesApi(files)
  onTestFinished(async () => {
    await api.close()
    rmSync(files, { recursive: true })
  })
  for (const file of ['token', 'ca.crt', 'namespace']) {
    image.mount(
      `/var/run/secrets/kubernetes.io/serviceaccount/${file}`,
      readFileSync(join(api.serviceAccount, file), 'utf8'),
    )
  }
  const env = { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: String(api.port) }
  return { api, env }
}
