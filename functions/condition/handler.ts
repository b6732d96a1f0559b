import * as z from 'zod/mini'
import { MalformedEventError } from '#shared/errors.ts'
import { readCloudEvent } from '#shared/events/cloudevent.ts'
import type { Log } from '#shared/log.ts'
import type { OnEvent } from '#shared/runtime/function.ts'
import { ACCEPTED, errorReply, type HttpFunction, methodNotAllowed, notFound } from '#shared/runtime/reply.ts'
import type { Reconcile } from './reconcile.ts'

/** Sent by a PingSource: the Functions Framework has no paths, so a tick is recognised by its type. */
const PING = 'dev.knative.sources.ping'

/** Our own events (docs/events.md), all of which name their node. */
const OWN_TYPES = 'ptpwatch.'
const own = z.object({ node: z.string() })

/**
 * Checks the node that an event is about. The event itself decides nothing: whether repeated, late or out of order, it
 * only makes us read the store.
 */
export function createOnEvent(deps: {
  readonly reconcile: Reconcile
  readonly sweep: () => Promise<void>
  readonly log: Log
}): OnEvent {
  const { reconcile, sweep, log } = deps
  const look = joined((node) => reconcile(node, { heartbeat: false }))
  return async ({ id, type, data }) => {
    if (type === PING) return sweep()
    const about = own.safeParse(data)
    if (!String(type).startsWith(OWN_TYPES) || !about.success) {
      log.warn('ignored an event that is not from PTP Watch', { id, type })
      return
    }
    await look(about.data.node)
  }
}

/**
 * Checks each node once at a time. Calls during a check share the next one, so that a burst of events for one node
 * costs two checks.
 */
function joined(look: (node: string) => Promise<unknown>): (node: string) => Promise<void> {
  const running = new Map<string, Promise<unknown>>()
  const waiting = new Map<string, Promise<void>>()
  const afterOthers = async (node: string) => {
    await running.get(node)?.catch(() => {})
    waiting.delete(node)
    const mine = look(node)
    running.set(node, mine)
    await mine.finally(() => running.delete(node))
  }
  return (node) => {
    const next = waiting.get(node) ?? afterOthers(node)
    waiting.set(node, next)
    return next
  }
}

/** The same on our own host: `POST /` with one CloudEvent in either mode; 202 once it has been handled. */
export function createEventHandler(onEvent: OnEvent): HttpFunction {
  return async ({ path, method, headers, body }) => {
    if (path !== '/') return notFound()
    if (method !== 'POST') return methodNotAllowed(['POST'])
    try {
      await onEvent(readCloudEvent(headers, body))
      return ACCEPTED
    } catch (error) {
      if (!(error instanceof MalformedEventError)) throw error
      return errorReply(error.code === 'unsupported-media-type' ? 415 : 400, error.code, error.message)
    }
  }
}
