import { describe, expect, it } from 'vitest'
import { COMPONENTS, componentsOf, exclude, OVERLAYS, ofKind, renderWith } from './support/render.ts'
import type { Manifest } from './support/schemas.ts'

/** What a component changes, and so has to come after. */
const NEEDS: Readonly<Record<string, string>> = {
  'network-policy-metrics': 'network-policy',
  'node-labels': 'discovery',
  'node-taint': 'node-conditions',
  'poll-sharded': 'poll-cronjob',
}

/** Whether docs/deploy.md lets a component into an overlay. */
function fits(component: string, overlay: string): boolean {
  const { own, under } = componentsOf(overlay)
  if (own.includes(component) || under.includes(component)) return false
  // Its Role is in another namespace, and only red-hat-v2-discovery, which has it, lets it stay there.
  if (component === 'discovery') return false
  // It holds the namespace ptp-watch in places that kustomize does not know.
  if (component === 'sink-tls-oidc' && overlay.startsWith('red-hat-v1')) return false
  // What was chosen in an overlay under this one cannot be replaced here.
  return !under.some((one) => exclude(one, component))
}

/**
 * All components together: as many as go together, and those with each that takes the place of the overlay's own. Into
 * the overlay that most begin with, each alone too.
 */
function combinationsOf(overlay: string): string[][] {
  const { own, under } = componentsOf(overlay)
  const has = [...own, ...under]
  const single = COMPONENTS.filter((one) => fits(one, overlay)).flatMap((component) => {
    const needed = NEEDS[component]
    if (needed === undefined || has.includes(needed)) return [[component]]
    return fits(needed, overlay) ? [[needed, component]] : []
  })
  const replaces = (all: readonly string[]) => all.some((one) => own.some((other) => exclude(one, other)))
  const free = single.filter((all) => !replaces(all)).flat()
  const together = [free, ...single.filter(replaces)].map((some) => {
    const rest = free.filter((one) => !some.some((other) => exclude(other, NEEDS[one] ?? one)))
    return [...new Set([...rest, ...some])]
  })
  return overlay === 'red-hat-v2' ? [...single, ...together] : together
}

/** Every `namespace` that is written anywhere in an object. */
function namespacesIn(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(namespacesIn)
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) =>
    key === 'namespace' && typeof inner === 'string' ? [inner] : namespacesIn(inner),
  )
}

const idOf = ({ apiVersion, kind, metadata }: Manifest) => `${apiVersion} ${kind} ${metadata.name}`

describe.each(OVERLAYS)('%s', (overlay) => {
  it.each(combinationsOf(overlay).map((all) => ({ components: all.join(', ') })))(
    'with $components is whole, each object once, in its namespace',
    ({ components }) => {
      const manifests = renderWith(overlay, components.split(', '))
      const [namespace] = ofKind(manifests, 'Namespace', 'v1').map(({ metadata }) => metadata.name)
      const elsewhere = manifests.filter(
        (each) =>
          each.kind !== 'Namespace' &&
          ((!each.kind.startsWith('Cluster') && each.metadata.namespace !== namespace) ||
            namespacesIn(each).some((name) => name !== namespace)),
      )
      const foreign = componentsOf(overlay).own.includes('discovery')
        ? ['Role', 'RoleBinding'].map((kind) => [
            `rbac.authorization.k8s.io/v1 ${kind} ptp-watch-discovery`,
            'openshift-ptp',
          ])
        : []
      expect(elsewhere.map((each) => [idOf(each), each.metadata.namespace])).toEqual(foreign)
      const ids = manifests.map(idOf)
      expect(ids.filter((id, place) => ids.indexOf(id) !== place)).toEqual([])
    },
  )
})
