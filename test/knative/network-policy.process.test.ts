import { expect, it } from 'vitest'
import { functionContainers, ofKind, renderOverlay, renderWith, workloads } from './support/render.ts'

const manifests = renderWith('red-hat-v2', ['network-policy-metrics'])
const policies = ofKind(manifests, 'NetworkPolicy', 'networking.k8s.io/v1')

/** The pods that a policy speaks of, as `Service/ingest`. */
function selected({ spec: { podSelector } }: (typeof policies)[number]): string[] {
  const wanted =
    'matchExpressions' in podSelector
      ? podSelector.matchExpressions
      : Object.entries('matchLabels' in podSelector ? podSelector.matchLabels : {}).map(([key, value]) => ({
          key,
          values: [value],
        }))
  return workloads(manifests)
    .filter(({ labels }) => wanted.every(({ key, values }) => values.includes(labels[key] ?? '')))
    .map(({ id }) => id)
}

const policy = (name: string) => policies.filter(({ metadata }) => metadata.name === name)

it('nobody is let in to any pod unless a policy says so', () => {
  const [all] = policy('nobody-unless-said')
  expect(all?.spec.ingress).toBeUndefined()
  expect(all && selected(all)).toEqual(workloads(manifests).map(({ id }) => id))
})

it('Prometheus is let in to each pod that serves, at the port where /metrics is, and to no other', () => {
  const serving = functionContainers(manifests).filter(({ container }) => container.ports !== undefined)
  const [metrics] = policy('monitoring-to-functions')
  expect(metrics && selected(metrics).toSorted()).toEqual(
    serving.map(({ workload }) => workload.id).toSorted(),
  )
  const ports = metrics?.spec.ingress?.flatMap((rule) => rule.ports ?? []).map(({ port }) => port)
  for (const { container } of serving)
    expect(container.ports?.map(({ containerPort }) => containerPort)).toEqual(ports)
})

it('Prometheus is let in only where that was asked for', () => {
  const without = ofKind(renderOverlay('red-hat-v2'), 'NetworkPolicy', 'networking.k8s.io/v1')
  expect(JSON.stringify(without)).not.toContain('monitoring')
})
