import type { Config } from '#shared/config/index.ts'
import { createCredentials, trustedBeside } from '#shared/credentials.ts'
import { PtpWatchError, PublisherError, reasonOf, tried } from '#shared/errors.ts'
import { createHttp } from '#shared/http/client.ts'
import { silentLog } from '#shared/log.ts'
import type { Found } from '#shared/publishers/discovery/index.ts'
import type { Proof } from '#shared/publishers/reconcile/proof.ts'
import type { Store } from '#shared/state/store/store.ts'
import { systemClock } from '#shared/time.ts'
import { plural, type Verdict } from './report.ts'
import { FIX, untrusted } from './words.ts'

export function checkPublishers({ targets, unnamed, failure }: Found, namespace?: string): Verdict {
  const number = targets.length + unnamed.length
  const where = namespace === undefined ? 'PUBLISHERS' : `namespace ${namespace}`
  if (failure !== undefined)
    return ['failed', reasonOf(failure), FIX.publishersUnlisted(namespace ?? 'its namespace')]
  if (number > 0) return ['ok', `${plural(number, 'publisher')} in ${where}`]
  const fix = namespace === undefined ? FIX.publishersListed : FIX.publishersFound
  return ['failed', `no publishers in ${where}`, fix]
}

/** What NODE_LABELS gives the publishers; nothing if it is not set. */
export function checkNodeLabels(found: Found['nodeLabels']): Verdict[] {
  if (found === undefined) return []
  const { labels, failure, absent, unused } = found
  if (failure !== undefined) return [['warning', reasonOf(failure), FIX.nodeLabelsUnlisted]]
  if (absent.length > 0)
    return [['warning', `the cluster has no Node ${absent.join(', ')}`, FIX.nodeLabelsAbsent]]
  const result = `no Node of a publisher has a usable label ${unused.join(', ')}`
  if (labels.size > 0 && unused.length > 0) return [['warning', result, FIX.nodeLabelsUnused]]
  return [['ok', `labels of ${plural(labels.size, 'Node')} read`]]
}

export async function checkStore(store: Pick<Store, 'ping'>, shown: string): Promise<Verdict> {
  try {
    await store.ping()
    return ['ok', `${shown} answers`]
  } catch (error) {
    if (!(error instanceof PtpWatchError)) throw error
    return ['failed', `${shown}: ${reasonOf(error)}`, FIX.storeAway]
  }
}

export function checkToken({ length }: readonly string[]): Verdict {
  if (length === 0) return ['warning', 'CALLBACK_SECRET is not set', FIX.token]
  return ['ok', `CALLBACK_SECRET ${length === 1 ? 'is set' : 'has two values: rotation in progress'}`]
}

/** Whether ingest answers at CALLBACK_URL and accepts our token, tried from here; publishers may take another route. */
export function checkIngest(proof: Proof): Verdict {
  if (proof.outcome === 'proven') return ['ok', 'it answers at CALLBACK_URL with 204']
  if (proof.outcome === 'refused') return ['failed', proof.error.problems.join('; '), FIX.ingestRefused]
  if (proof.outcome === 'wrong') return ['failed', proof.reason, FIX.ingestWrong]
  return ['warning', proof.reason, FIX.ingestUnreachable]
}

/** Whether a server answers at K_SINK. OPTIONS has no effect; an event would. */
export async function checkSink({ url, ca }: Config['sink'], signal: AbortSignal): Promise<Verdict> {
  if (url === undefined) return ['skipped', 'K_SINK is not set: no CloudEvents are sent']
  const { origin, pathname, search } = new URL(url)
  const deps = { clock: systemClock, log: silentLog }
  const http = createHttp(deps, { credentials: createCredentials({}, deps, { values: trustedBeside(ca) }) })
  const request = { method: 'OPTIONS', path: `${pathname}${search}`, statusOnly: true } as const
  const answer = await tried(http.request(origin, request, { signal })).finally(() => http.close())
  if (answer instanceof PublisherError)
    return ['failed', reasonOf(answer), untrusted(answer, 'K_CA_CERTS') ?? FIX.sinkAway]
  const result = `${answer.attempted.what} answered ${answer.status}`
  if (answer.status >= 500) return ['warning', result, FIX.sinkFailing]
  return answer.status === 404 ? ['warning', result, FIX.sinkMissing] : ['ok', result]
}
