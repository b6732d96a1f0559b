import type { NodeLabel } from '#shared/config/index.ts'
import { isLabel } from '#shared/config/labels.ts'
import { DiscoveryError } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import type { KubernetesNode } from './nodes.ts'

export type Labels = Readonly<Record<string, string>>

/** What the Nodes of some publishers said. */
export type NodeLabelsFound = {
  /** By the name of the node; one that is not there keeps the labels that it has. */
  readonly labels: ReadonlyMap<string, Labels>
  /** Why the Nodes could not be listed: then there are no labels here. */
  readonly failure: DiscoveryError | undefined
  /** Publishers' nodes that are no Node of the cluster. */
  readonly absent: readonly string[]
  /** Of the labels asked for, those that no Node of these publishers has with a value that we take. */
  readonly unused: readonly string[]
}

export type NodeLabels = {
  /** Lists the Nodes, and gives what looks up those of publishers. A failure is logged once a reason, and never thrown. */
  read(): Promise<(nodes: readonly string[]) => NodeLabelsFound>
}

export type NodeLabelsOptions = {
  readonly take: readonly NodeLabel[]
  /** Throws DiscoveryError. */
  readonly list: () => Promise<readonly KubernetesNode[]>
}

export function createNodeLabels({ log }: { log: Log }, { take, list }: NodeLabelsOptions): NodeLabels {
  const report = createReport(log)
  return {
    async read() {
      let failure: DiscoveryError | undefined
      const listed = await list().catch((error: unknown) => {
        if (!(error instanceof DiscoveryError)) throw error
        failure = error
        return []
      })
      report.failure(failure)
      // Only these are kept: a Node has some thirty labels.
      const taken = new Map(listed.map(({ name, labels }) => [name, takenOf(take, labels)]))
      return (nodes) => {
        if (failure !== undefined) return { labels: new Map(), failure, absent: [], unused: [] }
        const found = nodes.flatMap((node) => {
          // Nodes are lower case; publishers write what the host is called.
          const own = taken.get(node) ?? taken.get(node.toLowerCase())
          return own === undefined ? [] : [{ node, ...own }]
        })
        const there = new Set(found.map(({ node }) => node))
        const absent = nodes.filter((node) => !there.has(node))
        report.absent(absent)
        for (const { key, label } of take) {
          const odd = found.filter(({ rejected }) => rejected.includes(key))
          report.rejected(
            { key, label },
            odd.map(({ node }) => node),
          )
        }
        const unused = take.filter(({ key }) => found.every(({ labels }) => labels[key] === undefined))
        return {
          labels: new Map(found.map(({ node, labels }) => [node, labels])),
          failure,
          absent,
          unused: unused.map(({ label }) => label),
        }
      }
    },
  }
}

/** Pure. `rejected`: our keys whose value cannot be ours: Kubernetes allows an empty one. */
function takenOf(
  take: readonly NodeLabel[],
  values: Labels,
): { readonly labels: Labels; readonly rejected: readonly string[] } {
  const there = take.flatMap(({ key, label }) => {
    const value = Object.hasOwn(values, label) ? values[label] : undefined
    return value === undefined ? [] : [{ key, value, isGood: isLabel(key, value) }]
  })
  return {
    labels: Object.fromEntries(there.filter(({ isGood }) => isGood).map(({ key, value }) => [key, value])),
    rejected: there.filter(({ isGood }) => !isGood).map(({ key }) => key),
  }
}

/** A failure is told once until its reason changes or Nodes are listed again; what is odd of a node, once. */
function createReport(log: Log) {
  let problem: string | undefined
  const told = new Set<string>()
  const tell = (about: string, nodes: readonly string[], message: string, fields: Labels = {}) => {
    const fresh = nodes.filter((node) => !told.has(`${about} ${node}`))
    for (const node of fresh) told.add(`${about} ${node}`)
    if (fresh.length > 0) log.warn(message, { ...fields, count: fresh.length, nodes: fresh.slice(0, 5) })
  }
  return {
    failure(failure: DiscoveryError | undefined): void {
      const before = problem
      problem = failure?.message
      if (problem === before) return
      if (problem === undefined) log.info('labels of Nodes are read again')
      else log.warn('labels of Nodes could not be read: nodes keep the labels that they have', { problem })
    },
    absent: (nodes: readonly string[]) =>
      tell('', nodes, 'the cluster has no Node of this name: the node keeps the labels that it has'),
    rejected: ({ key, label }: NodeLabel, nodes: readonly string[]) =>
      tell(key, nodes, 'empty or invalid value of a Node label: left out', { key, label }),
  }
}
