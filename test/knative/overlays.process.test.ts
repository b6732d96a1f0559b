import { execFileSync } from 'node:child_process'
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse, stringify } from 'yaml'
import { COMPONENTS, KNATIVE, ofKind, renderOverlay, renderWith, workloads } from './support/render.ts'
import { RENDERED } from './support/rendered.ts'

describe('the components', () => {
  it.each([
    ['poll-cronjob', 'poll-pingsource'],
    ['poll-cronjob', 'poll-deployment'],
    ['poll-pingsource', 'poll-deployment'],
  ])('%s and %s exclude each other', (...both) => {
    expect(() => renderWith('dev', both)).toThrow(/already registered|conflict/)
  })

  it.each(['poll-deployment', 'poll-pingsource'])('%s and poll-sharded exclude each other', (other) => {
    expect(() => renderWith('dev', [other, 'poll-sharded'])).toThrow(/CronJob.*poll/)
  })

  it('that polls every few seconds makes what is stale fit that, for all functions', () => {
    const settings = ofKind(renderWith('dev', ['poll-deployment']), 'ConfigMap', 'v1').find(
      ({ metadata }) => metadata.name === 'ptp-watch-settings',
    )
    expect(settings?.data.STALE_AFTER_SECONDS).toBe('30')
  })

  it.each([
    ['state-redis', 'state-redis-url'],
    ['state-configmap', 'state-redis'],
    ['state-redis-url', 'state-configmap'],
  ])('%s and %s exclude each other', (...both) => {
    expect(() => renderWith('dev', both)).toThrow('testing value /data/STATE_URL failed')
  })

  it.each(['state-redis', 'state-redis-url'])('%s is refused before node-conditions', (store) => {
    const folder = realpathSync(mkdtempSync(join(tmpdir(), 'ptp-watch-order-')))
    try {
      const components = join(relative(folder, KNATIVE), 'components')
      const write = (...names: string[]) =>
        writeFileSync(
          join(folder, 'kustomization.yaml'),
          stringify({
            resources: [join(components, '../base')],
            components: names.map((name) => join(components, name)),
          }),
        )
      const render = () => execFileSync('kubectl', ['kustomize', folder], { encoding: 'utf8', stdio: 'pipe' })
      write(store, 'node-conditions')
      expect(render).toThrow('testing value /data/STATE_URL failed')
      write('node-conditions', store)
      expect(render()).toContain('name: condition')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it('are each in a rendering above', () => {
    const used = new Set(
      RENDERED.flatMap(({ manifests }) => manifests.map(({ kind, metadata }) => `${kind}/${metadata.name}`)),
    )
    const marks: Record<string, string> = {
      'broker-input': 'Trigger/ingest',
      discovery: 'Role/ptp-watch-discovery',
      'ingest-deployment': 'Deployment/ingest',
      monitoring: 'PrometheusRule/ptp-watch',
      'network-policy': 'NetworkPolicy/nobody-unless-said',
      'network-policy-metrics': 'NetworkPolicy/monitoring-to-functions',
      'node-conditions': 'Trigger/condition',
      'node-labels': 'ClusterRole/ptp-watch-node-labels',
      'node-taint': 'ConfigMap/ptp-watch-taints',
      'poll-cronjob': 'CronJob/poll',
      'poll-deployment': 'Deployment/poll',
      'poll-pingsource': 'PingSource/poll',
      'poll-sharded': 'CronJob/poll',
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
