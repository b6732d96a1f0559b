import type { Callback } from '#shared/callback.ts'
import { PublisherError, PtpWatchError, reasonOf } from '#shared/errors.ts'
import type { CallOptions } from '#shared/publishers/dialects/client.ts'
import type { Found } from '#shared/publishers/discovery/index.ts'
import type { Http } from '#shared/http/client.ts'
import { redact } from '#shared/redact.ts'
import { placeOf } from '#shared/publishers/target.ts'
import type { Store } from '#shared/state/store/store.ts'
import { adviceOn } from '../advice.ts'
import type { Report } from '../report.ts'
import { count } from './subscriptions.ts'

/** Which publishers there are. `namespace`: where they are discovered, if they are. */
export function checkPublishers(report: Report, found: Found, namespace: string | undefined): void {
  const { targets, unnamed, failure } = found
  const asked = namespace === undefined ? 'PUBLISHERS' : `PUBLISHERS=kubernetes://${namespace}`
  if (failure !== undefined) {
    const todo = `The API server must be reachable, and let this process list Services in ${namespace}; meanwhile those are looked at that the store knows`
    report.failed('publishers', asked, reasonOf(failure), todo)
  } else if (targets.length + unnamed.length === 0) {
    report.failed('publishers', asked, 'there are none', namespace === undefined ? NAME_SOME : NO_SERVICES)
  } else report.ok('publishers', asked, count(targets.length + unnamed.length, 'publisher'))
}

const NAME_SOME = 'Name some in PUBLISHERS; an Indexed Job of more parts than publishers has idle ones'
const NO_SERVICES = 'Is it the namespace of the publishers, and is enableEventPublisher true there?'

/** Whether the store answers. `shown`: which one it is, without a password. */
export async function checkStore(
  report: Report,
  store: Pick<Store, 'ping'>,
  shown: string,
): Promise<boolean> {
  try {
    await store.ping()
    report.ok('store', shown, 'it answers')
    return true
  } catch (error) {
    if (!(error instanceof PtpWatchError)) throw error
    const todo = 'Nothing can be taken in until it does; meanwhile ingest holds what comes, and answers 503'
    report.failed('store', shown, reasonOf(error), todo)
    return false
  }
}

export function checkToken(report: Report, callback: Callback, secrets: number): void {
  const asked = 'CALLBACK_SECRET'
  if (callback.secured) {
    report.ok('callback-token', asked, secrets > 1 ? 'two, while it is being changed' : 'set')
    return
  }
  const todo =
    'Set it, to the same value for ingest, subscribe and poll: without it whoever reaches ingest can report a clock'
  report.warning('callback-token', asked, 'not set', todo)
}

/**
 * Whether ingest answers at the callback from here, and takes our token: it answers an empty body, as a v1 sidecar
 * sends it, with 204 and does no more. Publishers may well reach what cannot be reached from here.
 */
export async function checkCallbackHere(
  report: Report,
  { callback, http, node }: { callback: Callback; http: Pick<Http, 'request'>; node: string },
  call: CallOptions,
): Promise<boolean> {
  const endpoint = callback.endpointFor(node)
  const asked = `POST ${redact(endpoint)}, empty`
  const { origin, pathname } = new URL(endpoint)
  try {
    const { status } = await http.request(origin, { method: 'POST', path: pathname, body: '' }, call)
    if (status === 204) {
      report.ok('callback-here', asked, '204')
      return true
    }
    const todo =
      status === 403
        ? 'Ingest has another CALLBACK_SECRET than this process: give both the same, restart ingest, then run `ptp-watch subscribe`'
        : 'What answers there is not ingest: CALLBACK_URL is its base, without `/event`'
    report.failed('callback-here', asked, `${status}`, todo)
    return false
  } catch (error) {
    if (!(error instanceof PublisherError)) throw error
    const { came } = adviceOn(error, placeOf(endpoint))
    const todo =
      'Is ingest up? From here it need not be reached (a sidecar posts to its own pod): `callback` below is what counts'
    report.warning('callback-here', asked, came, todo)
    return false
  }
}
