import type { Config } from '#shared/config/index.ts'
import { createCredentials, trustedBeside } from '#shared/credentials.ts'
import { PtpWatchError, PublisherError, reasonOf } from '#shared/errors.ts'
import { createHttp } from '#shared/http/client.ts'
import { silentLog } from '#shared/log.ts'
import type { Found } from '#shared/publishers/discovery/index.ts'
import type { Publishers } from '#shared/publishers/open.ts'
import type { Target } from '#shared/publishers/target.ts'
import type { Store } from '#shared/state/store/store.ts'
import { systemClock } from '#shared/time.ts'
import { isUntrusted, trust } from '../advice.ts'
import { count, type Verdict } from '../report.ts'

/** Which publishers there are. `namespace`: where they are discovered, if they are. */
export function checkPublishers(
  { targets, unnamed, failure }: Found,
  namespace: string | undefined,
): Verdict {
  const number = targets.length + unnamed.length
  const where = namespace === undefined ? 'PUBLISHERS' : `namespace ${namespace}`
  if (failure !== undefined) return ['failed', reasonOf(failure), `${UNLISTED} ${namespace}. ${KNOWN}`]
  if (number > 0) return ['ok', `${count(number, 'publisher')} in ${where}`]
  return ['failed', `no publishers in ${where}`, namespace === undefined ? LIST_SOME : NO_SERVICES]
}

const UNLISTED = 'Make the API server reachable and allow this process to list Services in'
const KNOWN = 'The publishers known from the store are checked'
const LIST_SOME =
  'List them in PUBLISHERS. In an Indexed Job with more parts than publishers, some parts have none'
const NO_SERVICES = 'Check that the publishers run in that namespace, with enableEventPublisher true'

/** Whether the store answers. `shown`: its URL, without a password. */
export async function checkStore(store: Pick<Store, 'ping'>, shown: string): Promise<Verdict> {
  try {
    await store.ping()
    return ['ok', `${shown} answers`]
  } catch (error) {
    if (!(error instanceof PtpWatchError)) throw error
    const fix = 'Restore the store: until it answers, ingest keeps a short backlog and then replies 503'
    return ['failed', `${shown}: ${reasonOf(error)}`, fix]
  }
}

/** `secrets`: how many there are. */
export function checkToken(secrets: number): Verdict {
  if (secrets === 1) return ['ok', 'CALLBACK_SECRET is set']
  if (secrets > 1) return ['ok', 'CALLBACK_SECRET has two values: rotation in progress']
  return ['warning', 'CALLBACK_SECRET is not set', NO_SECRET]
}

const NO_SECRET =
  'Set the same value for ingest, subscribe and poll: without it, anyone who can reach ingest can report clock states'

/** Whether ingest answers at CALLBACK_URL and accepts our token, from here; publishers may have another way to it. */
export async function checkIngest(
  prove: Publishers['prove'],
  targets: readonly Target[],
  signal: AbortSignal,
): Promise<Verdict> {
  const proof = await prove(targets, signal)
  switch (proof.outcome) {
    case 'proven':
      return ['ok', 'it answers at CALLBACK_URL with 204']
    case 'wrong':
      return ['failed', proof.reason, 'Correct CALLBACK_URL']
    case 'refused':
      return ['failed', proof.error.problems.join('; '), OTHER_SECRET]
    case 'unreachable':
      return ['warning', proof.reason, MAYBE_REACHABLE]
  }
}

const MAYBE_REACHABLE =
  'It may still be reachable for publishers (a sidecar posts within its own pod): `callback` decides'
const OTHER_SECRET =
  'Give ingest and this process the same CALLBACK_SECRET, restart ingest, then run `ptp-watch subscribe`'

/** Whether a server answers at K_SINK. OPTIONS has no effect; sending an event would have one. */
export async function checkSink({ url, ca }: Config['sink'], signal: AbortSignal): Promise<Verdict> {
  if (url === undefined) return ['skipped', 'K_SINK is not set: no CloudEvents are sent']
  const { origin, pathname, search } = new URL(url)
  const deps = { clock: systemClock, log: silentLog }
  const credentials = createCredentials({}, deps, { values: trustedBeside(ca) })
  const http = createHttp(deps, { credentials })
  try {
    const request = { method: 'OPTIONS', path: `${pathname}${search}`, statusOnly: true } as const
    const { what, status } = await http.request(origin, request, { signal })
    const result = `${what} answered ${status}`
    if (status >= 500) return ['warning', result, `It, or a proxy in front of it, is failing. ${KEPT}`]
    if (status === 404)
      return ['warning', result, 'Check the path of K_SINK: /<namespace>/<name of the Broker>']
    return ['ok', result]
  } catch (error) {
    if (!(error instanceof PublisherError)) throw error
    const fix = isUntrusted(error) ? trust('K_CA_CERTS') : `Correct K_SINK, or repair the Broker. ${KEPT}`
    return ['failed', reasonOf(error), fix]
  } finally {
    await http.close()
  }
}

const KEPT = 'Undelivered events stay in the log of their node and are sent later'
