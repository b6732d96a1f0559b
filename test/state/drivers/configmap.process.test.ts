import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { makeConfigMapSubject, openConfigMaps } from './configmap-subject.ts'
import { driverContract } from './contract.ts'
import { processContract, type SharedSubject } from './processes.ts'
import { temporaryFolder } from './temporary-folder.ts'

// Most of the 256 KiB that a ConfigMap is given.
driverContract('configmap', makeConfigMapSubject, { documentKiB: 150, logEntries: 700 })
processContract('configmap', makeSharedSubject, { updates: 100 })

const API = fileURLToPath(new URL('../../support/kubernetes-api.ts', import.meta.url))

/** An API server in a process of its own, by HTTPS. */
async function makeSharedSubject(): Promise<SharedSubject> {
  const folder = await temporaryFolder()
  const api = spawn(process.execPath, [API, folder.path], { stdio: ['pipe', 'pipe', 'inherit'] })
  const exited = once(api, 'exit')
  await once(createInterface({ input: api.stdout }), 'line')
  const kubeconfig = join(folder.path, 'kubeconfig')
  return {
    url: 'configmap://ptp-watch',
    env: { KUBECONFIG: kubeconfig },
    open: () => openConfigMaps({ kubeconfig }),
    async cleanUp() {
      api.kill()
      await exited
      await folder.remove()
    },
  }
}
