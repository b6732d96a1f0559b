import { OVERLAYS, renderOverlay, renderWith } from './render.ts'
import type { Manifest } from './schemas.ts'

/** Every overlay, and the components that none of them has. */
export const RENDERED: readonly { name: string; manifests: readonly Manifest[] }[] = [
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
    name: 'red-hat-v2-discovery with Broker input, TLS, tokens, and scraped',
    manifests: renderWith('red-hat-v2-discovery', [
      'broker-input',
      'sink-tls-oidc',
      'publisher-auth',
      'network-policy-metrics',
    ]),
  },
  {
    name: 'red-hat-v2-discovery with labels of Nodes',
    manifests: renderWith('red-hat-v2-discovery', ['node-labels']),
  },
  {
    name: 'dev polled by several pods at once, and scraped',
    manifests: renderWith('dev', ['poll-sharded', 'network-policy', 'network-policy-metrics', 'monitoring']),
  },
  {
    name: 'dev with TLS, tokens and a Redis that is there',
    manifests: renderWith('dev', ['sink-tls-oidc', 'publisher-auth', 'state-redis-url']),
  },
  {
    name: 'red-hat-v2 polled every few seconds, with everything else',
    manifests: renderWith('red-hat-v2', [
      'broker-input',
      'poll-deployment',
      'state-redis-url',
      'sink-tls-oidc',
      'publisher-auth',
    ]),
  },
  {
    name: 'red-hat-v2 with conditions and taints of Nodes',
    manifests: renderWith('red-hat-v2', ['broker-input', 'node-conditions', 'node-taint']),
  },
  {
    name: 'red-hat-v1-http with conditions of Nodes',
    manifests: renderWith('red-hat-v1-http', ['node-conditions']),
  },
  {
    name: 'dev polled every few seconds',
    manifests: renderWith('dev', ['poll-deployment']),
  },
]

/** The names of all objects of a kind. */
export function namesOf(manifests: readonly Manifest[], kind: Manifest['kind']): string[] {
  return manifests.filter((each) => each.kind === kind).map(({ metadata }) => metadata.name)
}
