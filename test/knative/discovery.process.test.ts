import { readFileSync } from 'node:fs'
import { expect, it, onTestFinished } from 'vitest'
import { createRedHatV2, type Publisher } from '#local/publishers/index.ts'
import { serviceFor } from '../publishers/discovery/world.ts'
import type { KubernetesApi } from '../support/kubernetes-api.ts'
import { createImage, type Image } from './support/container.ts'
import { ended, served } from './support/processes.ts'
import { environmentOf, functionContainers, renderWith, verbsOf } from './support/render.ts'
import { SECRETS } from './support/secrets.ts'
import { kubernetesAround } from './support/stores.ts'

const manifests = renderWith('red-hat-v2-discovery', ['node-labels'])
const DNS = '/test/cluster-dns.ts'

/** A cluster in which our service accounts may do what the manifests allow them, and no more. */
async function startCluster(image: Image) {
  const cluster = await kubernetesAround(image)
  const { api } = cluster
  const may = (where: { resource: string; namespace?: string }) => verbsOf(manifests, 'ptp-watch-poll', where)
  api.allowed.clear()
  for (const verb of may({ resource: 'configmaps' })) api.allowed.add(verb)
  api.discoverable.clear()
  api.permitted.clear()
  for (const verb of may({ resource: 'nodes' })) api.permitted.add(`${verb} nodes`)
  const namespace = 'openshift-ptp'
  if (may({ resource: 'services', namespace }).has('list')) api.discoverable.add(namespace)
  image.mount(DNS, readFileSync(new URL('../support/cluster-dns.ts', import.meta.url), 'utf8'))
  return cluster
}

async function startPublisher(api: KubernetesApi, node: string): Promise<Publisher> {
  const publisher = createRedHatV2({ node, release: 'main', warmUpMs: 0 })
  await publisher.listen()
  onTestFinished(() => publisher.close())
  api.services.put('openshift-ptp', serviceFor(node), { publisher: Number(new URL(publisher.url).port) })
  return publisher
}

it('red-hat-v2-discovery finds publishers, labels them as their Nodes are, and forgets them, with the rights of its manifests', async () => {
  const image = createImage()
  onTestFinished(() => image.remove())
  const { api, env } = await startCluster(image)
  const stays = await startPublisher(api, 'node1.example.com')
  const leaves = await startPublisher(api, 'node2.example.com')
  const zone = { 'topology.kubernetes.io/zone': 'hall-1', 'topology.kubernetes.io/region': 'north' }
  api.nodes.add(stays.node, zone)
  api.nodes.add(leaves.node)
  const around: Record<string, string> = {
    HOST: '127.0.0.1',
    PORT: '0',
    K_SINK: '',
    ...env,
    NODE_OPTIONS: `--import=${DNS}`,
    STATE_RETENTION_SECONDS: '1',
  }
  const start = (name: string, args: readonly string[] = []) => {
    const found = functionContainers(manifests).find(({ container }) => container.args?.[0] === name)
    if (found === undefined) throw new Error(`There is no ${name}`)
    const env = { ...environmentOf(manifests, found.container, SECRETS), ...around }
    return image.run([...(found.container.args?.slice(0, 1) ?? []), ...args], env)
  }
  around.CALLBACK_URL = await served(start('ingest'))
  expect(await ended(start('subscribe'))).toMatchObject({
    code: 0,
    out: expect.stringContaining('2 of 2 publishers done, 14 subscriptions held'),
  })
  api.services.remove('openshift-ptp', serviceFor(leaves.node))
  let err = ''
  while (!err.includes('removed node that was gone')) {
    const polled = await ended(start('poll'))
    expect(polled).toMatchObject({ code: 0, out: '1 of 1 publishers polled\n' })
    err = polled.err
  }
  const { out } = await ended(start('status', ['--json']))
  expect(JSON.parse(out).nodes).toEqual([
    expect.objectContaining({ node: stays.node, labels: { site: 'hall-1', region: 'north' } }),
  ])
})
