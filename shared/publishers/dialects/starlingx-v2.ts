import { PublisherError } from '#shared/errors.ts'
import type { CallOptions, Client, CurrentState, DialectFacts, Resource } from './client.ts'
import type { Http } from '#shared/http/client.ts'
import { ALL_KINDS, resourceOf } from './addresses.ts'
import { type StartLike, startLikeIn } from './starlingx-start.ts'
import type { Place } from '#shared/publishers/target.ts'
import { createV2Calls } from './v2-calls.ts'
import { messageOf, readList, readSubscription, unexpected } from './wire.ts'

export const STARLINGX_V2_BASE = '/ocloudNotifications/v2'

export const STARLINGX_V2: DialectFacts = {
  dialect: 'starlingx-v2',
  sendsInitial: true,
  queryTime: false,
  listProves: true,
  uniqueBy: 'resource-and-endpoint',
  kinds: ALL_KINDS,
}

/** It tries our endpoint three times, 2 s each, for each instance (starlingx.md). */
const CREATE_DEADLINE_MS = 15_000

/** The sidecar gives its own call to the notification service 5 s, and then answers 404 (starlingx.md). */
const PULL_DEADLINE_MS = 7_000

const STARTING = 'its notification service has just started, and has only start values yet'

/**
 * The notification sidecar of StarlingX (starlingx.md). Addresses are `/./<node>/sync/…`: one resource each, since
 * the hierarchical ones lose events that are close in time.
 */
export function createStarlingX(http: Http, place: Place, node: string): Client {
  const base = `${place.prefix}${STARLINGX_V2_BASE}`
  const calls = createV2Calls(http, place, base)
  const get = (path: string, options?: CallOptions) =>
    http.request(place.origin, { method: 'GET', path: `${base}${path}` }, options)

  const pull = async (address: string, options?: CallOptions): Promise<CurrentState> => {
    const state = await calls.currentState(address, {
      ...options,
      deadlineMs: options?.deadlineMs ?? PULL_DEADLINE_MS,
    })
    // A kind without an instance is an empty answer: 404 is a node that the sidecar has not heard of, or not in time.
    return state.outcome === 'none' ? { ...state, cause: 'not-ready' } : state
  }

  /** The two kinds that every node has: with the same time to the microsecond they are start values. */
  const startNow = async (options?: CallOptions) => {
    const addresses = ['sync-state', 'os-clock-sync-state'].map((kind) => addressOf(node, kind) ?? '')
    const [sync, os] = (await Promise.all(addresses.map((address) => pull(address, options)))).map((state) =>
      startLikeIn(state, node),
    )
    const at = sync !== undefined && sync.at === os?.at ? sync.at : undefined
    return { at, isRecent: sync !== undefined || os !== undefined }
  }

  const currentState = async (address: string, options?: CallOptions): Promise<CurrentState> => {
    const state = await pull(address, options)
    const like = startLikeIn(state, node)
    if (like === undefined) return state
    try {
      const start = await startNow(options)
      if (isStart(like, start.at)) return noReading(state)
      // The start may have ended in between: by then the others have been looked at.
      return start.isRecent ? await pull(address, options) : state
    } catch (error) {
      // What is worse stands where it cannot be told.
      if (error instanceof PublisherError) return state
      throw error
    }
  }

  return {
    ...STARLINGX_V2,
    ...calls,
    node,
    url: place.shown,
    currentState,

    async health(options) {
      const answer = await http.request(
        place.origin,
        { method: 'GET', path: `${place.prefix}/health` },
        options,
      )
      if (answer.status !== 200) throw unexpected('GET', answer)
    },

    async offer(kinds) {
      const resources = kinds.flatMap((kind): Resource[] => {
        const address = addressOf(node, kind)
        return address === undefined ? [] : [{ kind, address }]
      })
      const unpublished = kinds.filter((kind) => resourceOf(kind, 'v2') === undefined)
      return { outcome: 'offered', resources, unpublished, node: undefined }
    },

    async list(options) {
      const answer = await get('/subscriptions', options)
      // An empty store is a 404 to some images.
      if (answer.status === 404) return []
      if (answer.status !== 200) throw unexpected('GET', answer)
      return readList(answer)
    },

    async create({ address, endpoint }, options) {
      // It would post start values to us.
      const start = await startNow({ ...options, deadlineMs: undefined }).catch((error: unknown) => {
        if (error instanceof PublisherError) return undefined
        throw error
      })
      if (start?.at !== undefined) return { outcome: 'not-ready', reason: STARTING }
      const body = JSON.stringify({ EndpointUri: endpoint, ResourceAddress: address })
      const answer = await http.request(
        place.origin,
        { method: 'POST', path: `${base}/subscriptions`, body },
        { deadlineMs: CREATE_DEADLINE_MS, ...options },
      )
      switch (answer.status) {
        case 200:
        case 201: {
          const held = readSubscription(answer)
          return { outcome: 'created', id: held.id, location: held.location, endpoint: held.endpoint }
        }
        case 409:
          return { outcome: 'exists', reason: messageOf(answer.body) }
        case 404:
          return {
            outcome: 'not-ready',
            reason: `the sidecar answered 404: it has not heard of node ${node} (yet, where it has just started)`,
          }
        default:
          throw unexpected('POST', answer)
      }
    },
  }
}

function addressOf(node: string, kind: string): string | undefined {
  const resource = resourceOf(kind, 'v2')
  return resource === undefined ? undefined : `/./${node}/${resource}`
}

function isStart({ at }: StartLike, startAt: string | undefined): boolean {
  return startAt !== undefined && (at === undefined || at === startAt)
}

function noReading({ sentAt, receivedAt }: CurrentState): CurrentState {
  return { outcome: 'none', cause: 'not-ready', reason: STARTING, sentAt, receivedAt }
}
