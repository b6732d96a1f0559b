import { describe, expect, it } from 'vitest'
import { readConfig, VARIABLES } from '#shared/config/index.ts'
import { catalogue } from '#functions/catalogue.ts'
import { environmentOf, functionContainers, ofKind, workloads } from './support/render.ts'
import { namesOf, RENDERED } from './support/rendered.ts'
import type { Manifest } from './support/schemas.ts'
import { SECRETS } from './support/secrets.ts'

describe.each(RENDERED)('$name', ({ manifests }) => {
  const pods = workloads(manifests)
  const names = (kind: Manifest['kind']) => namesOf(manifests, kind)

  it.each(functionContainers(manifests))(
    'sets for $workload.id variables that its function knows, to values that it takes',
    async ({ container }) => {
      const load = Object.entries(catalogue).find(([each]) => each === container.args?.[0])?.[1]
      const definition = await load?.()
      if (definition === undefined) throw new Error('No such function')
      const env = environmentOf(manifests, container, SECRETS)
      const known = new Set<string>(VARIABLES.map((variable) => variable.name))
      expect(Object.keys(env).filter((each) => !known.has(each))).toEqual([])
      const config = await readConfig(env, {
        required: definition.required,
        readFile: async (path) => contentsOf(manifests, container.volumeMounts ?? [], path),
      })
      expect(config.publishers.length > 0).toBe(config.discovery === undefined)
      expect(config.callbackSecrets.length).toBe(definition.environment.includes('Callback') ? 1 : 0)
      expect(config.stateUrl).toMatch(/^(configmap|redis):/)
      const read = new Set<string>(
        VARIABLES.filter(({ group }) => definition.environment.includes(group)).map(({ name }) => name),
      )
      for (const [variable, value] of Object.entries(env)) {
        if (!variable.endsWith('_FILE') || !read.has(variable)) continue
        const mounted = (container.volumeMounts ?? []).some(({ mountPath }) =>
          value.startsWith(`${mountPath}/`),
        )
        expect([variable, mounted]).toEqual([variable, true])
      }
    },
  )

  it('names in its settings the addresses that its own objects have', () => {
    const [namespace = ''] = names('Namespace')
    const settings = ofKind(manifests, 'ConfigMap', 'v1').find(
      ({ metadata }) => metadata.name === 'ptp-watch-settings',
    )
    expect(new URL(settings?.data.K_SINK ?? '').pathname).toBe(`/${namespace}/default`)
    const callback = new URL(settings?.data.CALLBACK_URL ?? '')
    if (callback.hostname !== 'localhost')
      expect(callback.hostname).toBe(`ingest.${namespace}.svc.cluster.local`)
    else {
      const ingest = pods.find(({ id }) => id === 'Deployment/ingest')
      expect(ingest?.pod.containers[0]?.ports?.map(({ containerPort }) => String(containerPort))).toEqual([
        callback.port,
      ])
    }
  })

  it('gives each attempt less time than the one who waits for it', () => {
    for (const { workload, container } of functionContainers(manifests)) {
      const env = environmentOf(manifests, container, SECRETS)
      const job = manifests.find((each) => `${each.kind}/${each.metadata.name}` === workload.id)
      const limit =
        job?.kind === 'CronJob'
          ? job.spec.jobTemplate.spec.activeDeadlineSeconds
          : job?.kind === 'Job'
            ? job.spec.activeDeadlineSeconds
            : job?.kind === 'Service' && job.apiVersion !== 'v1'
              ? job.spec.template.spec.timeoutSeconds
              : undefined
      const own = env.POLL_DEADLINE_SECONDS ?? env.SUBSCRIBE_DEADLINE_SECONDS
      if (own !== undefined) expect(Number(own)).toBeLessThan(limit ?? 0)
    }
  })
})

/** What a container would read at a path that a ConfigMap is mounted at. */
function contentsOf(
  manifests: readonly Manifest[],
  mounts: readonly { readonly name: string; readonly mountPath: string }[],
  path: string,
): string {
  const mount = mounts.find(({ mountPath }) => path.startsWith(`${mountPath}/`))
  const key = path.slice((mount?.mountPath.length ?? 0) + 1)
  const map = ofKind(manifests, 'ConfigMap', 'v1').find(
    ({ metadata }) => metadata.name === `ptp-watch-${mount?.name}`,
  )
  const text = map?.data[key]
  if (text === undefined) throw new Error(`Nothing is mounted at ${path}`)
  return text
}
