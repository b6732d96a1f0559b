import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { createCredentials } from '#shared/credentials.ts'
import { ConfigurationError, reasonOf } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import type { Clock } from '#shared/time.ts'
import type { Access } from './client.ts'

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount'

/** What the environment says about the cluster; in `Config` it is `kubernetes`. */
export type KubernetesSettings = {
  /** KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT, which every pod has. */
  readonly serviceHost?: string | undefined
  readonly servicePort?: number | undefined
  /** KUBECONFIG: one path or several, separated as in PATH. */
  readonly kubeconfig?: string | undefined
  /** The context to use instead of the current one. */
  readonly context?: string | undefined
  /** Allow credential plug-ins: only for commands that run briefly. */
  readonly exec?: boolean | undefined
  /** The folder with a pod's token, CA and namespace. */
  readonly serviceAccount?: string | undefined
}

/**
 * Finds the API server: KUBECONFIG if set, else the service account of this pod, else `~/.kube/config`. Reads files but
 * makes no request. An Access that was found already is returned as it is.
 * @throws ConfigurationError if there is none, or it cannot be used.
 */
export async function findAccess(
  settings: KubernetesSettings | Access,
  deps: { clock: Clock; log: Log },
): Promise<Access> {
  if ('origin' in settings) return settings
  const { kubeconfig, context, serviceHost, servicePort = 443, serviceAccount = SERVICE_ACCOUNT } = settings
  if (kubeconfig !== undefined || context !== undefined || serviceHost === undefined) {
    const { readKubeconfig } = await import('./kubeconfig.ts')
    // Only when needed: on OpenShift pods run as a user without a passwd entry, and therefore without a home.
    return readKubeconfig(kubeconfig ?? join(homedir(), '.kube', 'config'), deps, settings)
  }
  const at = (name: string) => join(serviceAccount, name)
  const files = { ca: at('ca.crt'), token: at('token') }
  const credentials = createCredentials(files, deps, { whom: 'the Kubernetes API server' })
  await credentials.current()
  return {
    origin: originOf(serviceHost, servicePort),
    basePath: '',
    credentials,
    async namespace() {
      try {
        return (await readFile(at('namespace'), 'utf8')).trim()
      } catch (error) {
        const problem = `STATE_URL names no namespace, and this pod's own cannot be read: ${reasonOf(error)}`
        throw new ConfigurationError([problem])
      }
    },
    source: 'the service account of this pod',
  }
}

/** The origin of an API server; an IPv6 address is put in brackets (RFC 3986, section 3.2.2). */
export function originOf(host: string, port: number): string {
  return `https://${host.includes(':') ? `[${host}]` : host}:${port}`
}
