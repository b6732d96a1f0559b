import { describe, expect, it } from 'vitest'
import { functionContainers, ofKind, verbsOf, workloads } from './support/render.ts'
import { RENDERED } from './support/rendered.ts'

describe.each(RENDERED)('$name', ({ name, manifests }) => {
  const pods = workloads(manifests)

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
    const [own] = ofKind(manifests, 'Namespace', 'v1')
    const roles = ofKind(manifests, 'Role', 'rbac.authorization.k8s.io/v1')
    for (const { rules } of roles.filter(({ metadata }) => metadata.namespace === own?.metadata.name)) {
      for (const { apiGroups, resources } of rules)
        expect({ apiGroups, resources }).toEqual({ apiGroups: [''], resources: ['configmaps'] })
    }
    const withToken = ofKind(manifests, 'ServiceAccount', 'v1').filter(
      (each) => each.automountServiceAccountToken,
    )
    const bindings = ofKind(manifests, 'RoleBinding', 'rbac.authorization.k8s.io/v1')
    const bound = new Set(bindings.flatMap(({ subjects }) => subjects.map((subject) => subject.name)))
    expect(withToken.map(({ metadata }) => metadata.name).sort()).toEqual([...bound].sort())
  })

  it('lets what finds publishers list their Services, and no other function delete state', () => {
    const [own] = ofKind(manifests, 'Namespace', 'v1')
    const roles = ofKind(manifests, 'Role', 'rbac.authorization.k8s.io/v1')
    const settings = ofKind(manifests, 'ConfigMap', 'v1').find(
      ({ metadata }) => metadata.name === 'ptp-watch-settings',
    )
    const [, publishers] = /^kubernetes:\/\/(.+)$/.exec(settings?.data.PUBLISHERS ?? '') ?? []
    const elsewhere = roles.filter(({ metadata }) => metadata.namespace !== own?.metadata.name)
    expect(elsewhere.map(({ metadata, rules }) => [metadata.namespace, rules])).toEqual(
      publishers === undefined
        ? []
        : [[publishers, [{ apiGroups: [''], resources: ['services'], verbs: ['list'] }]]],
    )
    const bindings = ofKind(manifests, 'RoleBinding', 'rbac.authorization.k8s.io/v1')
    const bound = bindings
      .filter(({ metadata }) => metadata.namespace !== own?.metadata.name)
      .flatMap(({ subjects }) => subjects.map((subject) => `${subject.namespace}/${subject.name}`))
    const finders = functionContainers(manifests).filter(({ container }) =>
      ['poll', 'subscribe'].includes(container.args?.[0] ?? ''),
    )
    const accounts = finders.map(({ workload }) => `${own?.metadata.name}/${workload.pod.serviceAccountName}`)
    expect(bound.sort()).toEqual(publishers === undefined ? [] : accounts.sort())
    const removers = ['ptp-watch-poll', 'ptp-watch-subscribe']
    for (const { metadata } of ofKind(manifests, 'ServiceAccount', 'v1')) {
      const verbs = verbsOf(manifests, metadata.name, { resource: 'configmaps' })
      expect(verbs.has('delete') && !removers.includes(metadata.name)).toBe(false)
    }
  })

  it('holds no Secret', () => {
    expect(manifests.filter(({ kind }) => String(kind) === 'Secret')).toEqual([])
  })

  it('names images by digest, save those that are loaded by hand', () => {
    const images = pods.flatMap(({ pod }) => pod.containers.map(({ image }) => image))
    const loose = images.filter((image) => !/^[^@]+\/[^@:]+@sha256:[0-9a-f]{64}$/.test(image))
    expect([...new Set(loose)]).toEqual(name.startsWith('dev') ? ['kind.local/ptp-watch:dev'] : [])
  })
})
