import { hash } from 'node:crypto'
import pLimit from 'p-limit'
import type { Config } from '#shared/config.ts'
import { DiscoveryError, PublisherError, reasonOf } from '#shared/errors.ts'
import { findAccess } from '#shared/kubernetes/access.ts'
import { createKubernetesClient } from '#shared/kubernetes/client.ts'
import type { Log } from '#shared/log.ts'
import type { MergeSettings } from '#shared/state/settings.ts'
import type { Store } from '#shared/state/store.ts'
import type { Clock } from '#shared/time.ts'
import type { CallOptions } from './client.ts'
import { type KnownNode, knownNodes, markGone } from './discover-gone.ts'
import { type Named, nameOf } from './discover-name.ts'
import { isNamedAfter, listServices, type PublisherService } from './discover-services.ts'
import type { Http } from './http.ts'
import type { Target } from './target.ts'

/** What was found of this process's part of the publishers. */
export type Found = {
  readonly targets: readonly Target[]
  /** Publishers whose node is not known yet. The `node` of each target is the name of its Service. */
  readonly unnamed: readonly { readonly target: Target; readonly reason: string }[]
  /** Why the list could not be had. `targets` are then those that the store knows. */
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
   * store's word for it is taken.
   * @throws StoreError when the store is out of reach.
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
  const { namespace, shard, retentionMs, merge: settings } = options
  const limit = pLimit(options.concurrency)
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

  return {
    async find({ signal, marks }) {
      const listedAt = clock.now()
      const [listed, known] = await Promise.all([listOrFail(), knownNodes(store, namespace)])
      const ours = known.filter(({ service }) => isMine(service))
      if (listed instanceof DiscoveryError) {
        told.problem(LIST, listed.message)
        return { targets: targetsOf(ours.filter(isThere)), unnamed: [], failure: listed }
      }
      told.problem(LIST, undefined)
      const services = listed.filter(({ name }) => isMine(name))
      const asked = await limit.map(services, async (service) => ({
        service,
        named: await nameOf(http, service.url, { signal }),
      }))
      const places = resolve(asked, ours)
      told.only(services.map(({ name }) => name))
      for (const { service, node, reason } of places) {
        told.problem(service.name, node === undefined ? reason : undefined)
      }
      if (marks) {
        await limit.map(goneOf(ours, asked), (each) =>
          markGone(deps, each, { settings, retentionMs, listedAt }),
        )
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
        failure: undefined,
      }
    },

    async named(target, call) {
      if (!unnamed.has(target)) return target
      const named = await nameOf(http, target.url, call)
      if (named.outcome === 'named') return { ...target, node: named.node }
      if (named.outcome === 'unknown') throw named.error
      throw new PublisherError('unreachable', `Nobody is behind the Service ${target.node} any more`, {
        url: target.url,
      })
    },
  }
}

type Asked = { readonly service: PublisherService; readonly named: Named }

type Resolved = {
  readonly service: PublisherService
  readonly node: string | undefined
  /** Why the node is not known; absent too where nobody is behind the Service and never was. */
  readonly reason: string | undefined
}

/** Which node is behind each Service, by its own word, or else by the store's. Pure. */
export function resolve(asked: readonly Asked[], known: readonly KnownNode[]): Resolved[] {
  const claims = Map.groupBy(
    asked.filter(({ named }) => named.outcome === 'named'),
    ({ named }) => (named.outcome === 'named' ? named.node : ''),
  )
  return asked.map(({ service, named }): Resolved => {
    if (named.outcome !== 'named') {
      const node = lastKnown(service, known)?.node
      const taken = node !== undefined && claims.has(node)
      const reason = named.outcome === 'unknown' ? reasonOf(named.error) : undefined
      return { service, node: taken ? undefined : node, reason }
    }
    const { node } = named
    const rivals = claims.get(node) ?? []
    const [first] = rivals
    const owner = rivals.find((rival) => isNamedAfter(rival.service.name, node)) ?? first
    if (owner === undefined || owner.service === service) return { service, node, reason: undefined }
    return {
      service,
      node: undefined,
      reason: `behind ${service.name} is node ${node}, as behind ${owner.service.name}: remove one of the two Services`,
    }
  })
}

/** The node that was last behind a Service, as far as it is still there. */
function lastKnown({ name }: PublisherService, known: readonly KnownNode[]): KnownNode | undefined {
  const candidates = known.filter((each) => each.service === name && isThere(each))
  return candidates.toSorted((a, b) => (a.checkedAt < b.checkedAt ? 1 : -1))[0]
}

const isThere = ({ goneSince }: KnownNode) => goneSince === undefined

/**
 * The known nodes that are gone: nobody has their Service any more, or its publisher says that it is another node.
 * Where a publisher does not say who it is, only those are gone that were before. Pure.
 */
export function goneOf(known: readonly KnownNode[], asked: readonly Asked[]): KnownNode[] {
  const names = new Set(asked.map(({ named }) => (named.outcome === 'named' ? named.node : undefined)))
  const outcomes = new Map(asked.map(({ service, named }) => [service.name, named.outcome]))
  return known.filter(({ node, service, goneSince }) => {
    if (names.has(node)) return false
    const outcome = outcomes.get(service)
    return outcome === undefined || outcome === 'named' || goneSince !== undefined
  })
}

/** The part, from 0, that a Service belongs to: the same in every process, whoever else is listed. */
export function shardOf(service: string, count: number): number {
  return Number.parseInt(hash('sha256', service).slice(0, 8), 16) % count
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
