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

/** What was found of this process's part of the publishers. */
export type Found = {
  readonly targets: readonly Target[]
  /** Publishers whose node is not known yet. The `node` of each target is the name of its Service. */
  readonly unnamed: readonly { readonly target: Target; readonly reason: string }[]
  /** Why the list could not be had: `targets` are then those that the store knows. Or that nobody is behind it. */
  readonly failure: DiscoveryError | undefined
  /** What the Nodes said of the labels of `targets`; absent where none is taken from them. */
  readonly nodeLabels?: NodeLabelsFound | undefined
}

export type FindOptions = {
  readonly signal?: AbortSignal | undefined
  /** Mark the nodes that are gone, and remove those that have been for long; without it nothing is written. */
  readonly marks: boolean
}

export type Discovery = {
  /**
   * Lists the publishers' Services and asks each for the name of its node. Where one does not say it just now, the
   * store's word for it is taken. Neither the list nor the store being out of reach makes it throw.
   */
  find(options: FindOptions): Promise<Found>
  /**
   * For a target of `unnamed`: the same with the name of its node, asked for again. Any other target as it is.
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
    /** Without it no Node is looked at, and publishers have no labels. */
    readonly nodeLabels?: readonly NodeLabel[] | undefined
  }

/** Discovery as the configuration has it. Throws ConfigurationError where there is no way to an API server. */
export async function openDiscovery(
  namespace: string,
  config: Config,
  deps: DiscoveryDeps,
): Promise<Discovery> {
  const client = createKubernetesClient(await findAccess(config.stateOptions.kubernetes, deps), deps)
  const { ca, cert } = config.publisherFiles
  // Of TLS a Service says nothing: whoever trusts certificates, or shows one, has publishers with TLS.
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
  /** The targets of the last run: one that is found again stays the same, and with it its client. */
  let targets = new Map<string, Target>()
  /** What the Nodes said last. */
  let labelsOf: ((nodes: readonly string[]) => NodeLabelsFound) | undefined
  const report = createProblemLog(log, { failed: 'discovery failed', recovered: 'discovery works again' })

  // By the Service, which a node that is renamed keeps: what happens to either name is then one shard's to see.
  const isMine = (service: string) => shardOf(service, shard.count) === shard.index

  const targetOf = (node: string, url: string, found?: NodeLabelsFound): Target => {
    const before = targets.get(`${node} ${url}`)
    const labels = readLabels === undefined ? {} : (found?.labels.get(node) ?? before?.labels)
    if (before !== undefined && isDeepStrictEqual(before.labels, labels)) return before
    return { node, url, dialect: 'red-hat-v2', ...(labels && { labels }) }
  }

  /** A store that does not list its nodes may well take what is polled; if not, that is said there. */
  const knownHere = async (): Promise<readonly NodeBehind[]> => {
    try {
      const known = await knownNodes(store)
      return known.flatMap((each) => {
        const service = serviceOf(each.url, namespace)
        return service !== undefined && isMine(service) ? [{ ...each, service }] : []
      })
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      log.warn('cannot list known nodes; none is marked as gone', { reason: reasonOf(error) })
      return []
    }
  }

  return {
    async find({ signal, marks }) {
      const listedAt = clock.now()
      // Beside the rest: labels keep nobody from being polled.
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
      // Without the cluster's DNS all Services look like that, and nothing to do would look like all done.
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
    `Nobody is behind any of the ${count} Services of publishers in namespace ${namespace}: either no publisher is up yet, or names under ${namespace}.svc.cluster.local are not known here, outside of the cluster`,
  )
}
