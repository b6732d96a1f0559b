import { silentLog } from '#shared/log.ts'
import { type ConfigMapOptions, createConfigMapDriver } from '#shared/state/drivers/configmap.ts'
import { type KubernetesApi, startKubernetesApi } from '../../support/kubernetes-api.ts'
import type { Subject } from './contract.ts'
import { temporaryFolder } from './temporary-folder.ts'

/** On a busy machine an answer may take longer than anybody would wait for it in earnest. */
export const PATIENT: ConfigMapOptions = { attemptMs: 20_000, budgetMs: 20_000 }

/** An API server of its own, by plain HTTP, and a driver over it for each `open`. */
export async function makeConfigMapSubject(): Promise<Subject> {
  const folder = await temporaryFolder()
  const api = await startKubernetesApi(folder.path, { tls: false })
  return {
    open: () => openConfigMaps(api),
    async cleanUp() {
      await api.close()
      await folder.remove()
    },
  }
}

export function openConfigMaps(
  { kubeconfig }: Pick<KubernetesApi, 'kubeconfig'>,
  { namespace = 'ptp-watch', ...options }: ConfigMapOptions & { namespace?: string } = {},
) {
  const deps = { log: silentLog, kubernetes: { kubeconfig } }
  return createConfigMapDriver(namespace, deps, { ...PATIENT, ...options })
}
