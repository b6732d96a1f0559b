import { PublisherError, tried } from '#shared/errors.ts'
import type { CallOptions, Http } from '#shared/http/client.ts'
import { isNumeric } from '#shared/kinds.ts'
import type { Place } from '#shared/publishers/target.ts'
import { milliseconds, nanoseconds } from '#shared/time.ts'
import { wellKnown } from './addresses.ts'
import { createCalls } from './calls.ts'
import type { Client, CurrentState } from './client.ts'

export const STARLINGX_V2_BASE = '/ocloudNotifications/v2'

/** It tries our endpoint three times, 2 s each, for each instance (starlingx.md). */
const CREATE_DEADLINE_MS = 15_000

/** The sidecar gives its own call to the notification service 5 s, and then answers 404 (starlingx.md). */
const PULL_DEADLINE_MS = 7_000

const STARTING = 'its notification service has just started and has only start values yet'

/**
 * The notification sidecar of StarlingX (starlingx.md). Addresses are `/./<node>/sync/…`: one resource each, since
 * the hierarchical ones lose events that are close in time.
 */
export function createStarlingX(http: Http, place: Place, node: string): Client {
  // To some images an empty list is a 404.
  const calls = createCalls(http, place, node, STARLINGX_V2_BASE, { list: 404, id: [404] })

  const pull = async (address: string, options?: CallOptions): Promise<CurrentState> => {
    const state = await calls.pullV2(address, { deadlineMs: PULL_DEADLINE_MS, ...options })
    // A kind without an instance gives an empty answer. 404 means that the sidecar has not heard of the node (in time).
    return state.outcome === 'none' ? { ...state, cause: 'not-ready' } : state
  }

  /** Every node has these two kinds; if their times are equal to the microsecond, they are start-up values. */
  const startNow = async (options?: CallOptions) => {
    const states = ['sync-state', 'os-clock-sync-state'].map((kind) =>
      pull(`/./${node}/sync/sync-status/${kind}`, options),
    )
    const [sync, os] = (await Promise.all(states)).map(startLikeIn)
    const at = sync !== undefined && sync.at === os?.at ? sync.at : undefined
    return { at, isRecent: sync !== undefined || os !== undefined }
  }

  return {
    ...calls,
    dialect: 'starlingx-v2',
    sendsInitial: true,
    queryTime: false,
    listProves: true,
    uniqueBy: 'resource-and-endpoint',

    async currentState(address, options) {
      const state = await pull(address, options)
      const like = startLikeIn(state)
      if (like === undefined) return state
      const start = await tried(startNow(options))
      // If that cannot be determined, the worse state stands.
      if (start instanceof PublisherError) return state
      if (start.at !== undefined && (like.at === undefined || like.at === start.at)) {
        const { sentAt, receivedAt } = state
        return { outcome: 'none', cause: 'not-ready', reason: STARTING, sentAt, receivedAt }
      }
      // Start-up may have ended in between; by now every clock has been read.
      return start.isRecent ? await pull(address, options) : state
    },

    offer: async (kinds) => wellKnown(kinds, 'v2', `/./${node}`),

    async create(subscription, options) {
      // It would post start-up values to us.
      const start = await tried(startNow({ ...options, deadlineMs: PULL_DEADLINE_MS }))
      if (!(start instanceof PublisherError) && start.at !== undefined)
        return { outcome: 'not-ready', reason: STARTING }
      const unknown = () => `the sidecar answered 404: it has not heard of node ${node}, or has just started`
      return await calls.createV2(subscription, unknown, { deadlineMs: CREATE_DEADLINE_MS, ...options })
    },
  }
}

/**
 * For some 10 s after its start StarlingX's notification service has not read any clock, and returns start-up values:
 * the words below, all with the same time to the microsecond (starlingx.md). They are not readings. A free-running
 * clock has them for as long as it free-runs, so they are believed once they are older than this. Milliseconds.
 */
const START_MS = 20_000

/** Start times are local times labelled as UTC, so they may be off by whole quarters of an hour. */
const QUARTER_MS = 900_000

/** Number kinds have the time of the query until their first change. */
const START_VALUES: ReadonlyMap<string, string> = new Map([
  ['lock-state', 'FREERUN'],
  ['os-clock-sync-state', 'FREERUN'],
  ['sync-state', 'FREERUN'],
  ['gnss-sync-status', 'FAILURE-NOFIX'],
  ['synce-lock-state', 'UNKNOWN'],
  ['clock-class', '248'],
  ['synce-clock-quality', '255'],
])

/** The first reading of an answer that may be a start-up value by its word and age; number kinds have no `at`. */
function startLikeIn(state: CurrentState): { readonly at: string | undefined } | undefined {
  if (state.outcome === 'none') return undefined
  for (const { kind, at, metrics, state: word } of state.readings?.observations ?? []) {
    const start = START_VALUES.get(kind)
    if (start === undefined) continue
    if (isNumeric(kind) && Object.values(metrics).includes(start)) return { at: undefined }
    if (word === start && isRecent(at, milliseconds(state.receivedAt))) return { at }
  }
  return undefined
}

function isRecent(at: string, now: number): boolean {
  // Half a second early: the two clocks need not agree to the millisecond.
  const age = now - Number(nanoseconds(at) / 1_000_000n) + 500
  return ((age % QUARTER_MS) + QUARTER_MS) % QUARTER_MS < START_MS
}
