import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { readConfig, VARIABLES } from '#shared/config.ts'
import { catalogue } from '#functions/catalogue.ts'
import {
  COMPONENTS,
  environmentOf,
  functionContainers,
  OVERLAYS,
  ofKind,
  renderOverlay,
  renderWith,
  workloads,
} from './support/render.ts'
import type { Manifest } from './support/schemas.ts'
import { SECRETS } from './support/secrets.ts'

/** Every overlay, and the components that none of them has. */
const RENDERED: readonly { name: string; manifests: readonly Manifest[] }[] = [
  ...OVERLAYS.map((name) => ({ name, manifests: renderOverlay(name) })),
  {
    name: 'red-hat-v2 with Broker input, TLS and tokens',
    manifests: renderWith('red-hat-v2', ['broker-input', 'sink-tls-oidc', 'publisher-auth']),
  },
  {
    name: 'red-hat-v1-http with Broker input',
    manifests: renderWith('red-hat-v1-http', ['broker-input']),
  },
  {
    name: 'dev with TLS, tokens and a Redis that is there',
    manifests: renderWith('dev', ['sink-tls-oidc', 'publisher-auth', 'state-redis-url']),
  },
]

/** Made by other hands: the service certificates of OpenShift, the service accounts of a namespace. */
const DOCUMENTED_SECRETS = new Set(Object.keys(SECRETS).map((id) => id.split('/')[0]))

describe.each(RENDERED)('$name', ({ name, manifests }) => {
  const pods = workloads(manifests)
  const names = (kind: Manifest['kind']) =>
    manifests.filter((each) => each.kind === kind).map(({ metadata }) => metadata.name)

  it('has all that belongs to it: functions, a Broker, a store', () => {
    const functions = functionContainers(manifests).map(({ container }) => container.args?.[0])
    expect(functions.sort()).toEqual(Object.keys(catalogue).sort())
    expect(names('Broker')).toEqual(['default'])
  })

  it('is in one namespace, which it makes', () => {
    const [namespace] = names('Namespace')
    const others = manifests.filter(
      ({ kind, metadata }) => kind !== 'Namespace' && metadata.namespace !== namespace,
    )
    expect(others).toEqual([])
    for (const { subjects } of ofKind(manifests, 'RoleBinding', 'rbac.authorization.k8s.io/v1')) {
      expect(new Set(subjects.map((subject) => subject.namespace))).toEqual(new Set([namespace]))
    }
  })

  it('names every object once', () => {
    const ids = manifests.map(({ apiVersion, kind, metadata }) => `${apiVersion} ${kind} ${metadata.name}`)
    expect(new Set(ids).size).toBe(ids.length)
  })

  it('refers to service accounts, ConfigMaps and Secrets that are there', () => {
    const missing: string[] = []
    const needs = (kind: 'ServiceAccount' | 'ConfigMap', wanted: string | undefined, by: string) => {
      if (wanted !== undefined && !names(kind).includes(wanted)) missing.push(`${by}: ${kind} ${wanted}`)
    }
    const needsSecret = (wanted: string, by: string) => {
      if (!DOCUMENTED_SECRETS.has(wanted)) missing.push(`${by}: Secret ${wanted}`)
    }
    for (const { id, pod } of pods) {
      needs('ServiceAccount', pod.serviceAccountName, id)
      for (const volume of pod.volumes ?? []) {
        if ('configMap' in volume) needs('ConfigMap', volume.configMap.name, id)
        if ('secret' in volume) needsSecret(volume.secret.secretName, id)
        if (!('projected' in volume)) continue
        for (const source of volume.projected.sources)
          if ('secret' in source) needsSecret(source.secret.name, id)
      }
      for (const { env = [], envFrom = [] } of pod.containers) {
        for (const source of envFrom) {
          if ('configMapRef' in source) needs('ConfigMap', source.configMapRef.name, id)
          else needsSecret(source.secretRef.name, id)
        }
        for (const each of env) {
          if ('valueFrom' in each && 'secretKeyRef' in each.valueFrom)
            needsSecret(each.valueFrom.secretKeyRef.name, id)
        }
      }
    }
    for (const { roleRef, subjects } of ofKind(manifests, 'RoleBinding', 'rbac.authorization.k8s.io/v1')) {
      if (!names('Role').includes(roleRef.name)) missing.push(`Role ${roleRef.name}`)
      for (const subject of subjects) needs('ServiceAccount', subject.name, 'RoleBinding')
    }
    expect(missing).toEqual([])
  })

  it('mounts what it has, and has what it mounts', () => {
    for (const { id, pod } of pods) {
      const claims = ofKind(manifests, 'StatefulSet', 'apps/v1')
        .filter(({ metadata }) => id === `StatefulSet/${metadata.name}`)
        .flatMap(({ spec }) => spec.volumeClaimTemplates.map(({ metadata }) => metadata.name))
      const volumes = [...(pod.volumes ?? []).map((volume) => volume.name), ...claims]
      const mounted = pod.containers.flatMap(({ volumeMounts = [] }) =>
        volumeMounts.map((mount) => mount.name),
      )
      expect([id, [...new Set(mounted)].sort()]).toEqual([id, volumes.sort()])
    }
  })

  it('sends events, dead letters and ticks to what is there, and binds sinks to what is there', () => {
    const there = new Set(
      manifests.map(({ apiVersion, kind, metadata }) => `${apiVersion} ${kind} ${metadata.name}`),
    )
    const refs = manifests.flatMap((each) => {
      switch (each.kind) {
        case 'Broker':
          return [each.spec.delivery.deadLetterSink.ref]
        case 'Trigger':
          return [each.spec.subscriber.ref, each.spec.delivery.deadLetterSink.ref, broker(each.spec.broker)]
        case 'PingSource':
          return [each.spec.sink.ref]
        case 'EventPolicy':
          return each.spec.to.map(({ ref }) => ref)
        case 'SinkBinding':
          return [each.spec.sink.ref, ...('name' in each.spec.subject ? [each.spec.subject] : [])]
        default:
          return []
      }
    })
    expect(
      refs.map((ref) => `${ref.apiVersion} ${ref.kind} ${ref.name}`).filter((id) => !there.has(id)),
    ).toEqual([])
  })

  it('binds a sink to every function that sends, to Jobs by a label that they have when they are made', () => {
    const bindings = ofKind(manifests, 'SinkBinding', 'sources.knative.dev/v1')
    const bound = pods.filter(
      ({ id, labels }) =>
        bindings.some(({ spec: { subject } }) =>
          'name' in subject
            ? id === `${subject.kind}/${subject.name}`
            : subject.kind === 'Job' && includes(jobLabels(manifests, id), subject.selector.matchLabels),
        ) && labels !== undefined,
    )
    const senders = functionContainers(manifests).filter(({ container }) => container.args?.[0] !== 'status')
    expect(bound.map(({ id }) => id).sort()).toEqual(senders.map(({ workload }) => workload.id).sort())
  })

  it('selects pods by labels that they have', () => {
    const selectors = [
      ...ofKind(manifests, 'Service', 'v1').map(({ spec }) => spec.selector),
      ...ofKind(manifests, 'Deployment', 'apps/v1').map(({ spec }) => spec.selector.matchLabels),
      ...ofKind(manifests, 'StatefulSet', 'apps/v1').map(({ spec }) => spec.selector.matchLabels),
    ]
    for (const selector of selectors) {
      expect(pods.filter(({ labels }) => includes(labels, selector)).map(({ id }) => id)).toHaveLength(1)
    }
  })

  it('gives its Services target ports that their pods have', () => {
    for (const { metadata, spec } of ofKind(manifests, 'Service', 'v1')) {
      const ports = pods
        .filter(({ labels }) => includes(labels, spec.selector))
        .flatMap(({ pod }) => pod.containers.flatMap((container) => container.ports ?? []))
      for (const { port, targetPort = port } of spec.ports) {
        const found =
          ports.some((each) => each.name === targetPort || each.containerPort === targetPort) ||
          // The sidecar's API, a port that the OpenShift reference does not declare.
          targetPort === 8089
        expect([metadata.name, targetPort, found]).toEqual([metadata.name, targetPort, true])
      }
    }
  })

  it('probes every container that serves at a port that it has', () => {
    for (const { id, pod } of pods) {
      for (const { name: own, args = [], ports = [], readinessProbe, livenessProbe } of pod.containers) {
        const probes = [readinessProbe, livenessProbe].filter((probe) => probe !== undefined)
        for (const probe of probes) {
          const { port } = 'httpGet' in probe ? probe.httpGet : probe.tcpSocket
          const found = ports.some((each) => each.name === port || each.containerPort === port)
          expect([id, own, port, found]).toEqual([id, own, port, true])
        }
        if (args.includes('ingest') || args.includes('--serve')) expect([id, probes.length]).toEqual([id, 2])
      }
    }
  })

  it('restricts every container, save the one that can only be root', () => {
    const loose = pods.flatMap(({ id, pod }) =>
      pod.containers
        .filter(({ securityContext }) => securityContext === undefined)
        .map((each) => `${id} ${each.name}`),
    )
    expect(loose).toEqual(name === 'starlingx' ? ['Deployment/ingest notification-client'] : [])
  })

  it('gives rights to nothing but ConfigMaps of its own namespace, and tokens to those alone that need them', () => {
    const roles = ofKind(manifests, 'Role', 'rbac.authorization.k8s.io/v1')
    for (const { rules } of roles) {
      for (const { apiGroups, resources } of rules)
        expect({ apiGroups, resources }).toEqual({ apiGroups: [''], resources: ['configmaps'] })
    }
    const withToken = ofKind(manifests, 'ServiceAccount', 'v1').filter(
      (each) => each.automountServiceAccountToken,
    )
    const bindings = ofKind(manifests, 'RoleBinding', 'rbac.authorization.k8s.io/v1')
    const bound = bindings.flatMap(({ subjects }) => subjects.map((subject) => subject.name))
    expect(withToken.map(({ metadata }) => metadata.name).sort()).toEqual(bound.sort())
  })

  it('lets status read only', () => {
    const bindings = ofKind(manifests, 'RoleBinding', 'rbac.authorization.k8s.io/v1')
    const own = bindings.filter(({ subjects }) =>
      subjects.some((subject) => subject.name === 'ptp-watch-status'),
    )
    const roles = ofKind(manifests, 'Role', 'rbac.authorization.k8s.io/v1')
    const verbs = own.flatMap(({ roleRef }) =>
      roles
        .filter(({ metadata }) => metadata.name === roleRef.name)
        .flatMap(({ rules }) => rules.flatMap((rule) => rule.verbs)),
    )
    expect(verbs.filter((verb) => verb !== 'get' && verb !== 'list')).toEqual([])
  })

  it('holds no Secret, and no state', () => {
    expect(manifests.filter(({ kind }) => String(kind) === 'Secret')).toEqual([])
    const maps = ofKind(manifests, 'ConfigMap', 'v1').map(({ metadata }) => metadata.name)
    const declared = ['ptp-watch-publishers', 'ptp-watch-redis', 'ptp-watch-settings']
    expect(maps.filter((map) => !declared.includes(map))).toEqual([])
  })

  it('names images by digest, save those that are loaded by hand', () => {
    const images = pods.flatMap(({ pod }) => pod.containers.map(({ image }) => image))
    const loose = images.filter((image) => !/^[^@]+\/[^@:]+@sha256:[0-9a-f]{64}$/.test(image))
    expect([...new Set(loose)]).toEqual(name.startsWith('dev') ? ['kind.local/ptp-watch:dev'] : [])
  })

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
      expect(config.publishers.length).toBeGreaterThan(0)
      expect(config.callbackSecrets.length).toBe(definition.environment.includes('CALLBACK_SECRET') ? 1 : 0)
      expect(config.stateUrl).toMatch(/^(configmap|redis):/)
      for (const [variable, value] of Object.entries(env)) {
        if (!variable.endsWith('_FILE') || !definition.environment.some((each) => each === variable)) continue
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

describe('the components', () => {
  it('that poll exclude each other', () => {
    expect(() => renderWith('dev', ['poll-pingsource'])).toThrow(/already registered|conflict/)
  })

  it('are each in a rendering above', () => {
    const used = new Set(
      RENDERED.flatMap(({ manifests }) => manifests.map(({ kind, metadata }) => `${kind}/${metadata.name}`)),
    )
    const marks: Record<string, string> = {
      'broker-input': 'Trigger/ingest',
      'ingest-deployment': 'Deployment/ingest',
      'network-policy': 'NetworkPolicy/nobody-unless-said',
      'poll-cronjob': 'CronJob/poll',
      'poll-pingsource': 'PingSource/poll',
      'publisher-auth': 'Service/poll',
      'sink-tls-oidc': 'EventPolicy/ptp-watch',
      'state-configmap': 'Role/ptp-watch-state',
      'state-redis': 'StatefulSet/redis',
      'state-redis-url': 'CronJob/poll',
    }
    expect(Object.keys(marks)).toEqual(COMPONENTS)
    expect(Object.values(marks).filter((mark) => !used.has(mark))).toEqual([])
  })
})

describe.each(RENDERED.filter(({ name }) => /^(red-hat-v1|starlingx)/.test(name)))(
  '$name',
  ({ manifests }) => {
    it('pins its pod to the node that its publishers file names', () => {
      const deployments = ofKind(manifests, 'Deployment', 'apps/v1')
      const selected = deployments.map(
        ({ spec }) => spec.template.spec.nodeSelector?.['kubernetes.io/hostname'],
      )
      const map = ofKind(manifests, 'ConfigMap', 'v1').find(
        ({ metadata }) => metadata.name === 'ptp-watch-publishers',
      )
      const listed = parse(map?.data['publishers.yaml'] ?? '').map(({ node }: { node: string }) => node)
      expect(selected).toEqual(listed)
    })
  },
)

describe('the sidecar of Red Hat', () => {
  const argsOf = (overlay: string) =>
    workloads(renderOverlay(overlay))
      .flatMap(({ pod }) => pod.containers)
      .find(({ name }) => name === 'cloud-event-proxy')?.args

  it('has the arguments of the OpenShift 4.14 reference over HTTP', () => {
    expect(argsOf('red-hat-v1-http')).toEqual([
      '--metrics-addr=127.0.0.1:9091',
      '--store-path=/store',
      '--transport-host=consumer-events-subscription-service.cloud-events.svc.cluster.local:9043',
      '--http-event-publishers=ptp-event-publisher-service-NODE_NAME.openshift-ptp.svc.cluster.local:9043',
      '--api-port=8089',
    ])
  })

  it('has those of the bus over AMQP, and no publisher by HTTP', () => {
    expect(argsOf('red-hat-v1-amqp')).toEqual([
      '--metrics-addr=127.0.0.1:9091',
      '--store-path=/store',
      '--transport-host=amqp://router.router.svc.cluster.local',
      '--api-port=8089',
    ])
  })
})

const broker = (name: string) => ({ apiVersion: 'eventing.knative.dev/v1', kind: 'Broker', name })

function includes(
  labels: Readonly<Record<string, string>>,
  wanted: Readonly<Record<string, string>>,
): boolean {
  return Object.entries(wanted).every(([key, value]) => labels[key] === value)
}

/** Of the Jobs themselves, not of their pods: a SinkBinding looks at those. */
function jobLabels(manifests: readonly Manifest[], id: string): Readonly<Record<string, string>> {
  const found = manifests.find((each) => `${each.kind}/${each.metadata.name}` === id)
  if (found?.kind === 'CronJob') return found.spec.jobTemplate.metadata.labels
  return found?.kind === 'Job' ? (found.metadata.labels ?? {}) : {}
}

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
