import { execFileSync } from 'node:child_process'
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse, stringify } from 'yaml'
import { KNATIVE, ofKind, renderWith } from './support/render.ts'
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
