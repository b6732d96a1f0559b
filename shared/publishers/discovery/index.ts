import { isDeepStrictEqual } from 'node:util'
import pLimit from 'p-limit'
import type { Config } from '#shared/config/index.ts'
import { DiscoveryError, PublisherError, reasonOf, StoreError } from '#shared/errors.ts'
import type { CallOptions, Http } from '#shared/http/client.ts'
import { findAccess } from '#shared/kubernetes/access.ts'
import { createKubernetesClient } from '#shared/kubernetes/client.ts'
import type { Log } from '#shared/log.ts'
import { shardOf } from '#shared/publishers/shard.ts'
import type { Target } from '#shared/publishers/target.ts'
import type { Store } from '#shared/state/store/store.ts'
import type { Clock } from '#shared/time.ts'
import { type GoneOptions, knownNodes, markGone } from './gone.ts'
import { nameOf } from './names.ts'
import { createNodeLabels, type Labels, type NodeLabels, type NodeLabelsFound } from './node-labels.ts'
import { listNodes } from './nodes.ts'
import { goneOf, isThere, type NodeBehind, resolve } from './resolve.ts'
import { listServices, type PublisherService, serviceOf } from './services.ts'

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

export type DiscoveryDeps = {
  readonly http: Http
  readonly store: Pick<Store, 'list' | 'update' | 'remove'>
  readonly clock: Clock
  readonly log: Log
}

export type DiscoveryOptions = GoneOptions & {
  readonly namespace: string
  /** Throws DiscoveryError. */
  readonly list: () => Promise<readonly PublisherService[]>
  readonly shard: Config['shard']
  /** Absent where labels are not taken from Nodes: then publishers have none. */
  readonly nodeLabels?: NodeLabels | undefined
}

/** Discovery as the configuration has it. Throws ConfigurationError where there is no way to an API server. */
export async function openDiscovery(
  namespace: string,
  config: Config,
  deps: DiscoveryDeps,
): Promise<Discovery> {
  const access = await findAccess(config.stateOptions.kubernetes, deps)
  const client = createKubernetesClient(access, deps)
  const { ca, cert } = config.publisherFiles
  // Of TLS a Service says nothing: whoever trusts certificates, or shows one, has publishers with TLS.
  const scheme = ca === undefined && cert === undefined ? 'http' : 'https'
  const list = () => listServices(client, { namespace, source: access.source, scheme })
  const take = config.nodeLabels
  const listOfNodes = () => listNodes(client, { source: access.source })
  const nodeLabels = take && createNodeLabels(deps, { take, list: listOfNodes })
  const discovery = createDiscovery(deps, { ...config, namespace, list, nodeLabels })
  return { ...discovery, close: () => client.close() }
}

export function createDiscovery(deps: DiscoveryDeps, options: DiscoveryOptions): Omit<Discovery, 'close'> {
  const { http, store, clock, log } = deps
  const { namespace, shard, list, pollConcurrency, nodeLabels } = options
  const unnamed = new WeakSet<Target>()
  /** The targets of the last run: one that is found again stays the same, and with it its client. */
  let targets = new Map<string, Target>()
  /** What the Nodes said last. */
  let labelsOf: ((nodes: readonly string[]) => NodeLabelsFound) | undefined
  const report = createReport(log)

  // By the Service, which a node that is renamed keeps: what happens to either name is then one shard's to see.
  const isMine = (service: string) => shardOf(service, shard.count) === shard.index

  const targetsOf = (nodes: readonly { node: string; url: string }[], found?: NodeLabelsFound): Target[] => {
    const entries = nodes.map(({ node, url }): [string, Target] => {
      const key = `${node} ${url}`
      const before = targets.get(key)
      const labels = nodeLabels === undefined ? {} : (found?.labels.get(node) ?? before?.labels)
      if (before !== undefined && isDeepStrictEqual(before.labels, labels)) return [key, before]
      return [key, targetOf(node, url, labels)]
    })
    targets = new Map(entries)
    return [...targets.values()]
  }

  const listOrFailure = () =>
    list().catch((error: unknown) => {
      if (error instanceof DiscoveryError) return error
      throw error
    })

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
      log.warn('known nodes could not be listed: none is marked as gone', { reason: reasonOf(error) })
      return []
    }
  }

  return {
    async find({ signal, marks }) {
      const listedAt = clock.now()
      // Beside the rest: labels keep nobody from being polled.
      const reading = nodeLabels?.read()
      const [listed, known] = await Promise.all([listOrFailure(), knownHere()])
      const ended = async (nodes: readonly { node: string; url: string }[]) => {
        labelsOf = await reading
        const found = labelsOf?.(nodes.map(({ node }) => node))
        return { targets: targetsOf(nodes, found), ...(found && { nodeLabels: found }) }
      }
      if (listed instanceof DiscoveryError) {
        report(listed.message)
        return { ...(await ended(known.filter(isThere))), unnamed: [], failure: listed }
      }
      const services = listed.filter(({ name }) => isMine(name))
      const asked = await pLimit(pollConcurrency).map(services, async (service) => ({
        service,
        name: await nameOf(http, service, { signal }),
      }))
      const resolved = resolve(asked, known)
      const vacant = resolved.filter(({ node, reason }) => node === undefined && reason === undefined)
      if (vacant.length > 0) {
        log.debug('no publisher behind these Services', {
          services: vacant.map(({ service }) => service.name),
        })
      }
      // Without the cluster's DNS all Services look like that, and nothing to do would look like all done.
      const isNobody = shard.count === 1 && vacant.length === services.length
      const failure = isNobody ? nobodyBehind(services.length, namespace) : undefined
      const nameless = resolved.flatMap(({ node, reason, service: { name, url } }) => {
        if (node !== undefined || reason === undefined) return []
        const target = targetOf(name, url, undefined)
        unnamed.add(target)
        return [{ target, reason }]
      })
      report(
        failure?.message,
        new Map(
          services.map(({ name }) => [name, nameless.find(({ target }) => target.node === name)?.reason]),
        ),
      )
      if (marks) {
        const gone = goneOf(known, asked)
        const problemOf = ({ service }: NodeBehind) =>
          `discovery no longer finds it behind the Service ${service}`
        await markGone(deps, gone, problemOf, { ...options, listedAt })
      }
      const nodes = resolved.flatMap(({ node, service: { url } }) =>
        node === undefined ? [] : [{ node, url }],
      )
      return { ...(await ended(nodes)), unnamed: nameless, failure }
    },

    async named(target, call) {
      if (!unnamed.has(target)) return target
      const { node: service, url } = target
      const name = await nameOf(http, { name: service, url }, call)
      if (name.outcome === 'named') {
        const { node } = name
        const labels = nodeLabels === undefined ? {} : labelsOf?.([node]).labels.get(node)
        return targetOf(node, url, labels)
      }
      if (name.outcome === 'unknown') throw name.error
      throw new PublisherError('unreachable', `No publisher is behind the Service ${service} any more`, {
        url,
      })
    },
  }
}

function targetOf(node: string, url: string, labels: Labels | undefined): Target {
  return { node, url, dialect: 'red-hat-v2', ...(labels && { labels }) }
}

function nobodyBehind(count: number, namespace: string): DiscoveryError {
  return new DiscoveryError(
    `Nobody is behind any of the ${count} Services of publishers in namespace ${namespace}: either no publisher is up yet, or names under ${namespace}.svc.cluster.local are not known here, outside of the cluster`,
  )
}

/** Logs problems of the list, and of each listed Service, when they change. */
function createReport(log: Log) {
  let problems = new Map<string | undefined, string | undefined>()
  return (
    failure: string | undefined,
    services: ReadonlyMap<string, string | undefined> = new Map(),
  ): void => {
    const now = new Map<string | undefined, string | undefined>([[undefined, failure], ...services])
    for (const [service, problem] of now) {
      if (problem === problems.get(service)) continue
      const fields = service === undefined ? {} : { service }
      if (problem === undefined) log.info('discovery works again', fields)
      else log.warn('discovery failed', { ...fields, problem })
    }
    problems = services.size === 0 ? new Map([...problems, ...now]) : now
  }
}
