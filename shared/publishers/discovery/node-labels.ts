import * as z from 'zod/mini'
import type { NodeLabel } from '#shared/config/index.ts'
import { isLabel } from '#shared/config/publishers.ts'
import { DiscoveryError } from '#shared/errors.ts'
import type { KubernetesClient } from '#shared/kubernetes/client.ts'
import { texts } from '#shared/kubernetes/objects.ts'
import type { Log, LogFields } from '#shared/log.ts'
import { createProblemLog } from '#shared/outage.ts'
import { triedList } from './services.ts'

/** What Nodes say about publishers' labels. */
export type NodeLabelsFound = {
  /** By node name; a node without an entry keeps its labels. */
  readonly labels: ReadonlyMap<string, Readonly<Record<string, string>>>
  /** Why Nodes could not be listed: then there are no labels here. */
  readonly failure: DiscoveryError | undefined
  /** Publishers' nodes without a Node in the cluster. */
  readonly absent: readonly string[]
  /** Configured labels that none of these Nodes has with a usable value. */
  readonly unused: readonly string[]
}

const nodeItem = z.object({ metadata: z.object({ name: z.string(), labels: texts }) })

/** Labels must not delay polling. Milliseconds. */
const LIST_MS = { attemptMs: 5_000, budgetMs: 10_000 }

/**
 * Lists the Nodes and returns a function that looks up publishers' labels. A failure is logged once until its reason
 * changes or Nodes are listed again, and never thrown; anything odd about a node is logged once.
 */
export function createNodeLabels(client: KubernetesClient, log: Log, take: readonly NodeLabel[]) {
  const call = {
    ...{ resource: 'nodes', metadataOnly: true, query: { limit: '500' }, component: 'node-labels' },
    ...LIST_MS,
  }
  const reportFailure = createProblemLog(log, {
    failed: 'cannot read Node labels; nodes keep the labels that they have',
    recovered: 'Node labels can be read again',
  })
  const told = new Set<string>()
  const tellOnce = (about: string, nodes: readonly string[], message: string, fields: LogFields = {}) => {
    const fresh = nodes.filter((node) => !told.has(`${about} ${node}`))
    for (const node of fresh) told.add(`${about} ${node}`)
    if (fresh.length > 0) log.warn(message, { ...fields, count: fresh.length, nodes: fresh.slice(0, 5) })
  }

  return async (): Promise<(nodes: readonly string[]) => NodeLabelsFound> => {
    const listed = await triedList('Labels of Nodes cannot be read.', client.list(call, nodeItem))
    const failure = listed instanceof DiscoveryError ? listed : undefined
    reportFailure('', failure?.message)
    if (listed instanceof DiscoveryError)
      return () => ({ labels: new Map(), failure, absent: [], unused: [] })
    // Only these are kept: a Node has some thirty labels.
    const taken = new Map(listed.map(({ metadata: { name, labels } }) => [name, takenOf(take, labels ?? {})]))
    return (nodes) => {
      // Node names are lower case; publishers write the host's own name.
      const found = nodes.flatMap((node) => {
        const values = taken.get(node) ?? taken.get(node.toLowerCase())
        return values === undefined ? [] : [{ node, values }]
      })
      const there = new Set(found.map(({ node }) => node))
      const absent = nodes.filter((node) => !there.has(node))
      tellOnce('', absent, 'the cluster has no Node of this name: the node keeps the labels that it has')
      for (const { key, label } of take) {
        const odd = found.filter(({ values }) => values.some((one) => one.key === key && !one.isGood))
        const names = odd.map(({ node }) => node)
        tellOnce(key, names, 'empty or invalid value of a Node label: left out', { key, label })
      }
      const labels = new Map(
        found.map(({ node, values }) => {
          const good = values.filter(({ isGood }) => isGood)
          return [node, Object.fromEntries(good.map(({ key, value }) => [key, value]))]
        }),
      )
      const all = [...labels.values()]
      const unused = take.filter(({ key }) => all.every((own) => own[key] === undefined))
      return { labels, failure, absent, unused: unused.map(({ label }) => label) }
    }
  }
}

/** The configured labels that a Node has. Kubernetes allows empty values, we do not. */
function takenOf(take: readonly NodeLabel[], labels: Readonly<Record<string, string>>) {
  return take.flatMap(({ key, label }) => {
    const value = Object.hasOwn(labels, label) ? labels[label] : undefined
    return value === undefined ? [] : [{ key, value, isGood: isLabel(key, value) }]
  })
}
