import type { Config } from '#shared/config/index.ts'
import { createCredentials, trustedBeside } from '#shared/credentials.ts'
import { ConfigurationError, PtpWatchError, PublisherError, reasonOf } from '#shared/errors.ts'
import { createHttp } from '#shared/http/client.ts'
import { silentLog } from '#shared/log.ts'
import type { Found } from '#shared/publishers/discovery/index.ts'
import type { Publishers } from '#shared/publishers/open.ts'
import type { Target } from '#shared/publishers/target.ts'
import type { Store } from '#shared/state/store/store.ts'
import { systemClock } from '#shared/time.ts'
import { isUntrusted, trust } from '../advice.ts'
import { count, type Report } from '../report.ts'

/** Which publishers there are. `namespace`: where they are discovered, if they are. */
export function checkPublishers(report: Report, found: Found, namespace: string | undefined): void {
  const { targets, unnamed, failure } = found
  const number = targets.length + unnamed.length
  const where = namespace === undefined ? 'PUBLISHERS' : `namespace ${namespace}`
  if (failure !== undefined) {
    report.failed(
      'publishers',
      reasonOf(failure),
      `Make the API server reachable and allow this process to list Services in ${namespace}; checking the publishers known from the store`,
    )
  } else if (number > 0) report.ok('publishers', `${count(number, 'publisher')} in ${where}`)
  else
    report.failed(
      'publishers',
      `no publishers in ${where}`,
      namespace === undefined ? LIST_SOME : NO_SERVICES,
    )
}

const LIST_SOME =
  'List them in PUBLISHERS. In an Indexed Job with more parts than publishers, some parts have none'
const NO_SERVICES = 'Check that the publishers run in that namespace, with enableEventPublisher true'

/** Whether the store answers. `shown`: its URL, without a password. */
export async function checkStore(
  report: Report,
  store: Pick<Store, 'ping'>,
  shown: string,
): Promise<boolean> {
  try {
    await store.ping()
    report.ok('store', `${shown} answers`)
    return true
  } catch (error) {
    if (!(error instanceof PtpWatchError)) throw error
    const fix = 'Restore the store: until it answers, ingest keeps a short backlog and then replies 503'
    report.failed('store', `${shown}: ${reasonOf(error)}`, fix)
    return false
  }
}

/** `secrets`: how many there are. */
export function checkToken(report: Report, secrets: number): void {
  if (secrets > 0) {
    report.ok(
      'callback-token',
      secrets > 1 ? 'CALLBACK_SECRET has two values: rotation in progress' : 'CALLBACK_SECRET is set',
    )
    return
  }
  const fix =
    'Set the same value for ingest, subscribe and poll: without it, anyone who can reach ingest can report clock states'
  report.warning('callback-token', 'CALLBACK_SECRET is not set', fix)
}

/** Whether ingest answers at CALLBACK_URL and accepts our token, from here; publishers may have another way to it. */
export async function checkIngest(
  report: Report,
  prove: Publishers['prove'],
  targets: readonly Target[],
  signal: AbortSignal,
): Promise<boolean> {
  try {
    const proof = await prove(targets, signal)
    if (proof.outcome === 'proven') report.ok('ingest', 'it answers at CALLBACK_URL with 204')
    else if (proof.outcome === 'wrong') report.failed('ingest', proof.reason, 'Correct CALLBACK_URL')
    else
      report.warning(
        'ingest',
        proof.reason,
        'It may still be reachable for publishers (a sidecar posts within its own pod): `callback` decides',
      )
    return proof.outcome === 'proven'
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error
    const fix =
      'Give ingest and this process the same CALLBACK_SECRET, restart ingest, then run `ptp-watch subscribe`'
    report.failed('ingest', error.problems.join('; '), fix)
    return false
  }
}

/** Whether a server answers at K_SINK. OPTIONS has no effect; sending an event would have one. */
export async function checkSink(report: Report, sink: Config['sink'], signal: AbortSignal): Promise<void> {
  const { url, ca } = sink
  if (url === undefined) return report.skipped('sink', 'K_SINK is not set: no CloudEvents are sent')
  const { origin, pathname, search } = new URL(url)
  const deps = { clock: systemClock, log: silentLog }
  const credentials = createCredentials({}, deps, { values: trustedBeside(ca) })
  const http = createHttp(deps, { credentials })
  try {
    const request = { method: 'OPTIONS', path: `${pathname}${search}`, statusOnly: true } as const
    const { what, status } = await http.request(origin, request, { signal })
    const result = `${what} answered ${status}`
    if (status >= 500) report.warning('sink', result, `It, or a proxy in front of it, is failing. ${KEPT}`)
    else if (status === 404)
      report.warning('sink', result, 'Check the path of K_SINK: /<namespace>/<name of the Broker>')
    else report.ok('sink', result)
  } catch (error) {
    if (!(error instanceof PublisherError)) throw error
    const fix = isUntrusted(error) ? trust('K_CA_CERTS') : `Correct K_SINK, or repair the Broker. ${KEPT}`
    report.failed('sink', reasonOf(error), fix)
  } finally {
    await http.close()
  }
}

const KEPT = 'Undelivered events stay in the log of their node and are sent later'
