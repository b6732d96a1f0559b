import { isDeepStrictEqual } from 'node:util'
import pLimit from 'p-limit'
import type { Config, NodeLabel } from '#shared/config/index.ts'
import { DiscoveryError, PublisherError, reasonOf, StoreError, tried } from '#shared/errors.ts'
import type { CallOptions, Http } from '#shared/http/client.ts'
import { findAccess } from '#shared/kubernetes/access.ts'
import { createKubernetesClient, type KubernetesClient } from '#shared/kubernetes/client.ts'
import type { Log } from '#shared/log.ts'
import { createProblemLog } from '#shared/outage.ts'
import { shardOf } from '#shared/publishers/shard.ts'
import type { Target } from '#shared/publishers/target.ts'
import type { Store } from '#shared/state/store/store.ts'
import type { Clock } from '#shared/time.ts'
import { type GoneOptions, knownNodes, markGone } from './gone.ts'
import { createNodeLabels, type NodeLabelsFound } from './node-labels.ts'
import { goneOf, isThere, type NodeBehind, resolve } from './resolve.ts'
import { listServices, nodeBehind, serviceOf, triedList } from './services.ts'

/** What was found of this shard's publishers. */
export type Found = {
  readonly targets: readonly Target[]
  /** Publishers whose node is not known yet. The `node` of such a target is the name of its Service. */
  readonly unnamed: readonly { readonly target: Target; readonly reason: string }[]
  /** Why the list could not be read (`targets` are then those in the store), or that no publisher answers at all. */
  readonly failure: DiscoveryError | undefined
  /** The labels that Nodes give to `targets`; absent if none are configured. */
  readonly nodeLabels?: NodeLabelsFound | undefined
}

export type FindOptions = {
  readonly signal?: AbortSignal | undefined
  /** Mark nodes that are gone and remove those gone for long; otherwise nothing is written. */
  readonly marks: boolean
}

export type Discovery = {
  /**
   * Lists the publishers' Services and asks each publisher for the name of its node. If one does not say, the name in
   * the store is used. Does not throw if the list or the store is unreachable.
   */
  find(options: FindOptions): Promise<Found>
  /**
   * For a target of `unnamed`: asks again and returns it with the name of its node. Other targets are returned as they
   * are.
   * @throws PublisherError while it does not say.
   */
  named(target: Target, call?: CallOptions): Promise<Target>
  close(): Promise<void>
}

type DiscoveryDeps = {
  readonly http: Http
  readonly store: Pick<Store, 'list' | 'update' | 'remove'>
  readonly clock: Clock
  readonly log: Log
}

type DiscoveryOptions = GoneOptions &
  Pick<Config, 'shard'> & {
    readonly namespace: string
    readonly scheme: 'http' | 'https'
    /** Without it Nodes are not read, and publishers have no labels. */
    readonly nodeLabels?: readonly NodeLabel[] | undefined
  }

/** Opens discovery as configured. Throws ConfigurationError if there is no way to an API server. */
export async function openDiscovery(
  namespace: string,
  config: Config,
  deps: DiscoveryDeps,
): Promise<Discovery> {
  const client = createKubernetesClient(await findAccess(config.stateOptions.kubernetes, deps), deps)
  const { ca, cert } = config.publisherFiles
  // A Service does not say whether it uses TLS: if certificates are configured, publishers use TLS.
  const scheme = ca === undefined && cert === undefined ? 'http' : 'https'
  return createDiscovery({ ...deps, client }, { ...config, namespace, scheme })
}

export function createDiscovery(
  deps: DiscoveryDeps & { readonly client: KubernetesClient },
  options: DiscoveryOptions,
): Discovery {
  const { client, http, store, clock, log } = deps
  const { namespace, scheme, shard, pollConcurrency } = options
  const readLabels = options.nodeLabels && createNodeLabels(client, log, options.nodeLabels)
  const unnamed = new WeakSet<Target>()
  /** The targets of the last run: a publisher found again keeps its target, and with it its client. */
  let targets = new Map<string, Target>()
  /** The last reading of Nodes. */
  let labelsOf: ((nodes: readonly string[]) => NodeLabelsFound) | undefined
  const report = createProblemLog(log, { failed: 'discovery failed', recovered: 'discovery works again' })

  // By the Service, which stays when a node is renamed: one shard then sees both names.
  const isMine = (service: string) => shardOf(service, shard.count) === shard.index

  const targetOf = (node: string, url: string, found?: NodeLabelsFound): Target => {
    const before = targets.get(`${node} ${url}`)
    const labels = readLabels === undefined ? {} : (found?.labels.get(node) ?? before?.labels)
    if (before !== undefined && isDeepStrictEqual(before.labels, labels)) return before
    return { node, url, dialect: 'red-hat-v2', ...(labels && { labels }) }
  }

  /** A store that cannot list its nodes may still accept what is polled; if not, the poll reports it. */
  const knownHere = async (): Promise<readonly NodeBehind[]> => {
    try {
      const known = await knownNodes(store)
      return known.flatMap((each) => {
        const service = serviceOf(each.url, namespace)
        return service !== undefined && isMine(service) ? [{ ...each, service }] : []
      })
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      log.warn('cannot list known nodes; no node marked as gone', { reason: reasonOf(error) })
      return []
    }
  }

  return {
    async find({ signal, marks }) {
      const listedAt = clock.now()
      // In parallel: labels must not delay polling.
      const reading = readLabels?.()
      const listing = triedList('Publishers cannot be discovered.', listServices(client, namespace, scheme))
      const [listed, known] = await Promise.all([listing, knownHere()])
      const withLabels = async (nodes: readonly { node: string; url: string }[]) => {
        labelsOf = await reading
        const nodeLabels = labelsOf?.(nodes.map(({ node }) => node))
        targets = new Map(nodes.map(({ node, url }) => [`${node} ${url}`, targetOf(node, url, nodeLabels)]))
        return { targets: [...targets.values()], nodeLabels }
      }
      if (listed instanceof DiscoveryError) {
        report('', listed.message)
        return { ...(await withLabels(known.filter(isThere))), unnamed: [], failure: listed }
      }
      const services = listed.filter(({ name }) => isMine(name))
      const asked = await pLimit(pollConcurrency).map(services, async (service) => ({
        ...service,
        says: await tried(nodeBehind(http, service, { signal })),
      }))
      const nodes: { node: string; url: string }[] = []
      const nameless: { target: Target; reason: string }[] = []
      const vacant: string[] = []
      for (const { name, url, node, reason } of resolve(asked, known)) {
        if (node !== undefined) nodes.push({ node, url })
        else if (reason === undefined) vacant.push(name)
        else nameless.push({ target: { node: name, url, dialect: 'red-hat-v2' }, reason })
        report(name, node === undefined ? reason : undefined, { service: name })
      }
      for (const { target } of nameless) unnamed.add(target)
      if (vacant.length > 0) log.debug('no publisher behind these Services', { services: vacant })
      // Without cluster DNS every Service looks like that, and "nothing to do" would look like success.
      const isNobody = shard.count === 1 && vacant.length === services.length
      const failure = isNobody ? nobodyBehind(services.length, namespace) : undefined
      report('', failure?.message)
      if (marks) {
        const gone = goneOf(known, asked).map((each) => {
          return { ...each, problem: `discovery no longer finds it behind the Service ${each.service}` }
        })
        await markGone(deps, gone, { ...options, listedAt })
      }
      return { ...(await withLabels(nodes)), unnamed: nameless, failure }
    },

    async named(target, call) {
      if (!unnamed.has(target)) return target
      const { node: name, url } = target
      const node = await nodeBehind(http, { name, url }, call)
      if (node !== undefined) return targetOf(node, url, labelsOf?.([node]))
      throw new PublisherError('unreachable', `No publisher is behind the Service ${name} any more`, { url })
    },

    close: () => client.close(),
  }
}

function nobodyBehind(count: number, namespace: string): DiscoveryError {
  return new DiscoveryError(
    `None of the ${count} publisher Services in namespace ${namespace} has a publisher behind it: either none is up yet, or names under ${namespace}.svc.cluster.local cannot be resolved here, outside the cluster`,
  )
}
