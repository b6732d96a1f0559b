import { setTimeout as sleep } from 'node:timers/promises'
import { type Dispatcher, errors, request } from 'undici'
import { type Answer, type Delivery, judge, milliseconds, pauseAfter } from './contract.ts'
import { type CloudEvent, type Mode, writeEvent } from './event.ts'

/** One try at delivering one event. */
export type Attempt = {
  readonly event: CloudEvent
  readonly destination: string
  /** Undefined where there was none in time. */
  readonly answer: Answer | undefined
}

/** How it ended, after all tries. */
export type Delivered =
  | { readonly kind: 'delivered' }
  | { readonly kind: 'reply'; readonly event: CloudEvent }
  | { readonly kind: 'dead'; readonly code: number; readonly body: Buffer }

export type DeliverOptions = {
  /** Asked before each try: a subscriber may have moved meanwhile. */
  readonly destination: () => string
  readonly delivery: Delivery
  readonly mode: Mode
  readonly dispatcher: Dispatcher
  /** Brokers ask every subscriber for a reply, and no dead letter sink. */
  readonly prefersReply: boolean
  readonly ended: AbortSignal
  readonly onAttempt: (attempt: Attempt) => void
  /** True where the answer is lost on its way: the Broker cannot tell that from a subscriber that is away. */
  readonly loses?: (attempt: Attempt) => boolean
  readonly pause?: (ms: number, ended: AbortSignal) => Promise<void>
}

/** Delivers an event as `spec.delivery` says. Rejects when `ended` is aborted meanwhile. */
export async function deliver(event: CloudEvent, options: DeliverOptions): Promise<Delivered> {
  const { destination, delivery, ended, onAttempt, loses = () => false, pause = wait } = options
  for (let tries = 0; ; tries += 1) {
    const to = destination()
    const tried = await attempt(event, to, options)
    ended.throwIfAborted()
    const made = { event, destination: to, answer: 'reason' in tried ? undefined : tried }
    onAttempt(made)
    const answer = 'reason' in tried ? tried : loses(made) ? { reason: 'connection reset' } : tried
    const verdict = 'reason' in answer ? ({ kind: 'again', code: 500 } as const) : judge(answer)
    if (verdict.kind === 'delivered' || verdict.kind === 'reply') return verdict
    if (verdict.kind === 'refused' || tries === delivery.retry) {
      const body = 'reason' in answer ? Buffer.from(`dispatch error: ${answer.reason}`) : answer.body
      return { kind: 'dead', code: verdict.code, body }
    }
    await pause(pauseAfter(tries, delivery), ended)
  }
}

async function attempt(
  event: CloudEvent,
  url: string,
  { delivery, mode, dispatcher, prefersReply, ended }: DeliverOptions,
): Promise<Answer | { reason: string }> {
  const { headers, body } = writeEvent(event, mode)
  try {
    const response = await request(url, {
      method: 'POST',
      headers: { ...headers, ...(prefersReply && { prefer: 'reply' }) },
      body,
      dispatcher,
      signal: AbortSignal.any([ended, AbortSignal.timeout(milliseconds(delivery.timeout))]),
    })
    const bytes = Buffer.from(await response.body.arrayBuffer())
    return { status: response.statusCode, headers: response.headers, body: bytes }
  } catch (error) {
    if (isNoAnswer(error)) return { reason: error.message }
    throw error
  }
}

function isNoAnswer(error: unknown): error is Error {
  if (!(error instanceof Error)) return false
  return (
    error instanceof errors.UndiciError ||
    error.name === 'TimeoutError' ||
    error.name === 'AbortError' ||
    'code' in error
  )
}

async function wait(ms: number, ended: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal: ended })
}
