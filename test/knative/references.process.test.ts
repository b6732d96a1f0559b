import { describe, expect, it } from 'vitest'
import { catalogue } from '#functions/catalogue.ts'
import { functionContainers, ofKind, workloads } from './support/render.ts'
import { namesOf, RENDERED } from './support/rendered.ts'
import type { Manifest } from './support/schemas.ts'
import { SECRETS } from './support/secrets.ts'

/** Commands for people; and what only a component brings. */
const NOT_DEPLOYED = ['doctor', 'forget', 'history', 'condition']
/** Those that send nothing into the Broker. */
const READERS: readonly (string | undefined)[] = ['status', 'condition']

/** Those that docs/deploy.md has people make. */
const DOCUMENTED_SECRETS = new Set(Object.keys(SECRETS).map((id) => id.split('/')[0]))

describe.each(RENDERED)('$name', ({ manifests }) => {
  const pods = workloads(manifests)
  const names = (kind: Manifest['kind']) => namesOf(manifests, kind)

  it('has all that belongs to it: functions, a Broker, a store', () => {
    const functions = functionContainers(manifests).map(({ container }) => container.args?.[0])
    const deployed = Object.keys(catalogue).filter((name) => !NOT_DEPLOYED.includes(name))
    expect(functions.filter((name) => name !== 'condition').sort()).toEqual(deployed.sort())
    expect(names('Broker')).toEqual(['default'])
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
    for (const { roleRef, subjects } of bindingsIn(manifests)) {
      if (!names(roleRef.kind).includes(roleRef.name)) missing.push(`${roleRef.kind} ${roleRef.name}`)
      for (const subject of subjects) needs('ServiceAccount', subject.name, 'RoleBinding')
    }
    expect(missing).toEqual([])
  })

  // Knative refuses a Service whose service account is not there yet (knative.md §11).
  it('is applied in an order in which nothing comes before what it needs', () => {
    const at = (wanted: readonly Manifest['kind'][]) =>
      manifests.flatMap(({ kind, apiVersion }, i) =>
        wanted.includes(kind) && apiVersion !== 'v1' ? [i] : [],
      )
    const needed = manifests.flatMap(({ kind, apiVersion }, i) =>
      apiVersion === 'v1' && kind !== 'Service' ? [i] : [],
    )
    const users = at(['Service', 'Deployment', 'StatefulSet', 'Job', 'CronJob', 'JobSink'])
    expect(users.length).toBeGreaterThan(3)
    expect(Math.max(...needed)).toBeLessThan(Math.min(...users))
  })

  it('lets the accounts of all who send into its Broker, by tokens that are meant for it', () => {
    const [namespace] = names('Namespace')
    const policies = ofKind(manifests, 'EventPolicy', 'eventing.knative.dev/v1alpha1')
    const senders = functionContainers(manifests).filter(
      ({ container }) => !READERS.includes(container.args?.[0]),
    )
    const accounts = senders.map(
      ({ workload }) => `system:serviceaccount:${namespace}:${workload.pod.serviceAccountName}`,
    )
    for (const { spec } of policies) {
      expect(spec.from.map(({ sub }) => sub).sort()).toEqual(accounts.sort())
      for (const { workload } of senders) {
        const sources = (workload.pod.volumes ?? []).flatMap((volume) =>
          'projected' in volume ? volume.projected.sources : [],
        )
        const audiences = sources.map((each) =>
          'serviceAccountToken' in each ? each.serviceAccountToken.audience : undefined,
        )
        expect(audiences).toContain(`eventing.knative.dev/broker/${namespace}/default`)
      }
    }
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
    const senders = functionContainers(manifests).filter(
      ({ container }) => !READERS.includes(container.args?.[0]),
    )
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
})

const bindingsIn = (manifests: readonly Manifest[]) => [
  ...ofKind(manifests, 'RoleBinding', 'rbac.authorization.k8s.io/v1'),
  ...ofKind(manifests, 'ClusterRoleBinding', 'rbac.authorization.k8s.io/v1'),
]

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
