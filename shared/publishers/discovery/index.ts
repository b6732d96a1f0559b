import pLimit from 'p-limit'
import type { Config } from '#shared/config/index.ts'
import { DiscoveryError, PublisherError, reasonOf, StoreError } from '#shared/errors.ts'
import { findAccess } from '#shared/kubernetes/access.ts'
import { createKubernetesClient } from '#shared/kubernetes/client.ts'
import type { Log } from '#shared/log.ts'
import type { MergeSettings } from '#shared/state/merge/draft.ts'
import type { Store } from '#shared/state/store/store.ts'
import type { Clock } from '#shared/time.ts'
import type { CallOptions } from '#shared/publishers/dialects/client.ts'
import { nameOf } from './names.ts'
import { goneOf, isThere, type NodeBehind, resolve } from './resolve.ts'
import { listServices, type PublisherService, serviceOf } from './services.ts'
import { knownNodes, markAllGone } from './gone.ts'
import type { Http } from '#shared/http/client.ts'
import { shardOf } from '#shared/publishers/shard.ts'
import type { Target } from '#shared/publishers/target.ts'

/** What was found of this process's part of the publishers. */
export type Found = {
  readonly targets: readonly Target[]
  /** Publishers whose node is not known yet. The `node` of each target is the name of its Service. */
  readonly unnamed: readonly { readonly target: Target; readonly reason: string }[]
  /** Why the list could not be had: `targets` are then those that the store knows. Or that nobody is behind it. */
  readonly failure: DiscoveryError | undefined
}

export type FindOptions = {
  readonly signal?: AbortSignal | undefined
  /** Mark the nodes that are gone, and forget those that have been for long; without it nothing is written. */
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

export type DiscoveryOptions = {
  readonly namespace: string
  /** Throws DiscoveryError. */
  readonly list: () => Promise<readonly PublisherService[]>
  readonly shard: Config['shard']
  readonly merge: MergeSettings
  readonly retentionMs: number
  readonly concurrency: number
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
  const services = {
    namespace,
    source: access.source,
    // Of what is TLS a Service says nothing: whoever trusts certificates, or shows one, has publishers with TLS.
    scheme: ca === undefined && cert === undefined ? 'http' : 'https',
  } as const
  const discovery = createDiscovery(deps, {
    namespace,
    list: () => listServices(client, services),
    shard: config.shard,
    merge: config.merge,
    retentionMs: config.stateRetentionMs,
    concurrency: config.pollConcurrency,
  })
  return { ...discovery, close: () => client.close() }
}

export function createDiscovery(deps: DiscoveryDeps, options: DiscoveryOptions): Omit<Discovery, 'close'> {
  const { http, store, clock, log } = deps
  const { namespace, shard, retentionMs, concurrency, merge: settings } = options
  const limit = pLimit(concurrency)
  const unnamed = new WeakSet<Target>()
  /** The targets of the last run: one that is found again stays the same, and with it its client. */
  let targets = new Map<string, Target>()
  const told = createTold(log)

  // By the Service, which a node that is renamed keeps: what happens to either name is then one shard's to see.
  const isMine = (service: string) => shardOf(service, shard.count) === shard.index

  const targetsOf = (places: readonly { node: string; url: string }[]): Target[] => {
    const next = new Map<string, Target>()
    for (const { node, url } of places) {
      const key = `${node} ${url}`
      next.set(key, targets.get(key) ?? { node, url, dialect: 'red-hat-v2' })
    }
    targets = next
    return [...next.values()]
  }

  const listOrFail = async (): Promise<readonly PublisherService[] | DiscoveryError> => {
    try {
      return await options.list()
    } catch (error) {
      if (error instanceof DiscoveryError) return error
      throw error
    }
  }

  /** A store that does not list its nodes may well take what is polled; if not, that is said there. */
  const knownHere = async (): Promise<readonly NodeBehind[]> => {
    try {
      const known = await knownNodes(store)
      return known.flatMap((each) => {
        const service = serviceOf(each.url, namespace)
        return service === undefined ? [] : { ...each, service }
      })
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      log.warn('The nodes that are known cannot be listed: none is marked', { reason: reasonOf(error) })
      return []
    }
  }

  return {
    async find({ signal, marks }) {
      const listedAt = clock.now()
      const [listed, known] = await Promise.all([listOrFail(), knownHere()])
      const ours = known.filter(({ service }) => isMine(service))
      if (listed instanceof DiscoveryError) {
        told.problem(LIST, listed.message)
        return { targets: targetsOf(ours.filter(isThere)), unnamed: [], failure: listed }
      }
      const services = listed.filter(({ name }) => isMine(name))
      const asked = await limit.map(services, async (service) => ({
        service,
        named: await nameOf(http, service, { signal }),
      }))
      const places = resolve(asked, ours)
      const vacant = places.filter(({ node, reason }) => node === undefined && reason === undefined)
      if (vacant.length > 0) {
        log.debug('Nobody is behind these Services', { services: vacant.map(({ service }) => service.name) })
      }
      // Without the cluster's DNS all Services look like that, and nothing to do would look like all done.
      const failure =
        shard.count === 1 && vacant.length === services.length
          ? nobodyBehind(services.length, namespace)
          : undefined
      told.problem(LIST, failure?.message)
      told.only(services.map(({ name }) => name))
      for (const { service, node, reason } of places) {
        told.problem(service.name, node === undefined ? reason : undefined)
      }
      if (marks) {
        const gone = goneOf(ours, asked).map((each) => ({
          ...each,
          problem: `discovery finds it no more behind the Service ${each.service}`,
        }))
        await markAllGone(deps, gone, { settings, retentionMs, listedAt, concurrency })
      }
      return {
        targets: targetsOf(
          places.flatMap(({ node, service: { url } }) => (node === undefined ? [] : { node, url })),
        ),
        unnamed: places.flatMap(({ node, reason, service: { name, url } }) => {
          if (node !== undefined || reason === undefined) return []
          const target: Target = { node: name, url, dialect: 'red-hat-v2' }
          unnamed.add(target)
          return [{ target, reason }]
        }),
        failure,
      }
    },

    async named(target, call) {
      if (!unnamed.has(target)) return target
      const { node: name, url } = target
      const named = await nameOf(http, { name, url }, call)
      if (named.outcome === 'named') return { ...target, node: named.node }
      if (named.outcome === 'unknown') throw named.error
      throw new PublisherError('unreachable', `Nobody is behind the Service ${name} any more`, { url })
    },
  }
}

function nobodyBehind(count: number, namespace: string): DiscoveryError {
  return new DiscoveryError(
    `Nobody is behind any of the ${count} Services of publishers in namespace ${namespace}: either no publisher is up yet, or names under ${namespace}.svc.cluster.local are not known here, outside of the cluster`,
  )
}

/** What is told of the list as a whole is told under this name, which no Service has. */
const LIST = ''

/** Problems are logged when they change: what is as it was at the last poll is no news. */
function createTold(log: Log) {
  const told = new Map<string, string>()
  return {
    problem(service: string, problem: string | undefined): void {
      const before = told.get(service)
      if (problem === before) return
      const fields = service === LIST ? {} : { service }
      if (problem === undefined) {
        told.delete(service)
        log.info('Discovery is as it should be again', fields)
      } else {
        told.set(service, problem)
        log.warn('Discovery is not as it should be', { ...fields, problem })
      }
    },
    only(services: readonly string[]): void {
      for (const service of told.keys())
        if (service !== LIST && !services.includes(service)) told.delete(service)
    },
  }
}
