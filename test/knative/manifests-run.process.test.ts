import type { ChildProcess } from 'node:child_process'
import { request } from 'undici'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createRedHatV1, createRedHatV2, createStarlingX, type Publisher } from '#local/publishers/index.ts'
import { stringify } from 'yaml'
import { startRedis } from '../support/redis.ts'
import { startSink } from '../support/sink.ts'
import { createImage } from './support/container.ts'
import { ended, served } from './support/processes.ts'
import {
  environmentOf,
  type FunctionContainer,
  functionContainers,
  ofKind,
  renderOverlay,
  verbsOf,
} from './support/render.ts'
import type { Manifest } from './support/schemas.ts'
import { SECRETS } from './support/secrets.ts'
import { kubernetesStore, redisStore } from './support/stores.ts'

type Site = {
  readonly overlay: string
  readonly store: 'configmap' | 'redis'
  create(): Publisher
}

const SITES: readonly Site[] = [
  {
    overlay: 'red-hat-v2',
    store: 'configmap',
    create: () => createRedHatV2({ node: 'node1.example.com', release: 'main', warmUpMs: 0 }),
  },
  {
    overlay: 'red-hat-v1-http',
    store: 'configmap',
    create: () => createRedHatV1({ node: 'node1.example.com', release: '4.14', warmUpMs: 0 }),
  },
  {
    overlay: 'starlingx',
    store: 'redis',
    create: () => createStarlingX({ node: 'controller-0', warmUpMs: 0 }),
  },
]

const CONFIG_MAPS = { resource: 'configmaps' }

describe.each(SITES)('the functions of $overlay', ({ overlay, store, create }) => {
  it('start, pass their probes, subscribe, poll, show the node, send its events and stop, as their manifests have them', async () => {
    const manifests = renderOverlay(overlay)
    const image = createImage()
    onTestFinished(() => image.remove())
    const publisher = create()
    publisher.setClock({ kind: 'lock-state', state: 'LOCKED', offset: 2 })
    await publisher.listen()
    onTestFinished(() => publisher.close())
    const sink = await startSink()
    onTestFinished(() => sink.close())
    const place =
      store === 'redis'
        ? await redisStore()
        : await kubernetesStore(image, verbsOf(manifests, 'ptp-watch-poll', CONFIG_MAPS))
    const { dialect } = publishersOf(manifests)
    image.mount(
      '/etc/ptp-watch/publishers/publishers.yaml',
      stringify([{ node: publisher.node, url: publisher.url, dialect }]),
    )
    // What is not the manifest's to say: where the neighbours are that a test has in place of a cluster's.
    const around: Record<string, string> = { HOST: '127.0.0.1', PORT: '0', K_SINK: sink.url, ...place }
    const start = (name: string) => {
      const { container } = find(manifests, name)
      const env = { ...environmentOf(manifests, container, SECRETS), ...around }
      return image.run(container.args ?? [], env)
    }

    around.CALLBACK_URL = await probed(find(manifests, 'ingest'), start('ingest'))
    expect(await ended(start('subscribe'))).toMatchObject({ code: 0 })
    expect(publisher.deliveries.some(({ outcome }) => outcome === 204)).toBe(true)

    const tick = ofKind(manifests, 'PingSource', 'sources.knative.dev/v1').find(
      ({ metadata }) => metadata.name === 'poll',
    )
    if (tick === undefined) {
      expect(await ended(start('poll'))).toMatchObject({ code: 0 })
    } else {
      const poll = await probed(find(manifests, 'poll'), start('poll'))
      const { statusCode, body } = await request(`${poll}${tick.spec.sink.uri}`, {
        method: 'POST',
        headers: { 'content-type': tick.spec.contentType },
        body: tick.spec.data,
      })
      expect([statusCode, await body.text()]).toEqual([202, ''])
    }

    const status = await probed(find(manifests, 'status'), start('status'))
    const { body } = await request(`${status}/api/nodes`)
    expect(await body.json()).toMatchObject({
      nodes: [{ node: publisher.node, publisher: { reachable: true } }],
    })
    publisher.setClock({ kind: 'lock-state', state: 'FREERUN', offset: 4000 })
    await sink.until((all) => all.taken(publisher.node).some(({ data }) => data.to === 'FREERUN'))
  })
})

describe('the Redis of our own', () => {
  it('keeps an append-only file, drops nothing and wants the password, with its configuration', async () => {
    const map = ofKind(renderOverlay('starlingx'), 'ConfigMap', 'v1').find(
      ({ metadata }) => metadata.name === 'ptp-watch-redis',
    )
    const auth = SECRETS['ptp-watch-redis/auth.conf'] ?? ''
    const lines = (map?.data['redis.conf'] ?? '').trim().split('\n')
    expect(lines).toContain('dir /data')
    const config = lines.map((line) =>
      line === 'dir /data' ? 'dir %' : line === 'include /etc/redis/auth/auth.conf' ? auth : line,
    )
    const redis = await startRedis({ config })
    onTestFinished(() => redis.close())
    await expect(redis.cli(['GET', 'x'])).rejects.toThrow('NOAUTH')
    const get = (name: string) => redis.cli(['CONFIG', 'GET', name], ['-a', 'password', '--no-auth-warning'])
    expect(await get('appendonly')).toContain('yes')
    expect(await get('appendfsync')).toContain('everysec')
    expect(await get('maxmemory-policy')).toContain('noeviction')
  })
})

function publishersOf(manifests: readonly Manifest[]): { dialect: string } {
  const map = ofKind(manifests, 'ConfigMap', 'v1').find(
    ({ metadata }) => metadata.name === 'ptp-watch-publishers',
  )
  const dialect = /dialect: (\S+)/.exec(map?.data['publishers.yaml'] ?? '')?.[1]
  if (dialect === undefined) throw new Error('The publishers file names no dialect')
  return { dialect }
}

function find(manifests: readonly Manifest[], name: string): FunctionContainer {
  const found = functionContainers(manifests).find(({ container }) => container.args?.[0] === name)
  if (found === undefined) throw new Error(`There is no ${name}`)
  return found
}

/** As the kubelet would: 200 from both probes once it listens. */
async function probed({ container }: FunctionContainer, child: ChildProcess): Promise<string> {
  const url = await served(child)
  for (const probe of [container.readinessProbe, container.livenessProbe]) {
    if (probe === undefined || !('httpGet' in probe)) throw new Error(`${container.name} lacks a probe`)
    const { statusCode, body } = await request(`${url}${probe.httpGet.path}`)
    await body.dump()
    expect([probe.httpGet.path, statusCode]).toEqual([probe.httpGet.path, 200])
  }
  return url
}
