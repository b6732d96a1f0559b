import { PublisherError, reasonOf } from '#shared/errors.ts'
import { networkCodeOf } from '#shared/http/exchange.ts'
import type { Place } from '#shared/publishers/target.ts'

/** What came instead of an answer, and what to do about it. */
export type Advice = { readonly came: string; readonly todo: string }

const PODS = '`oc -n openshift-ptp get pods -o wide` shows the linuxptp-daemon of each node'

const NO_WAY =
  'Look for a network policy or firewall in between, and whether the node is up: nothing comes back from it'

/** By the codes of Node.js, OpenSSL and undici. */
const BY_CODE: Readonly<Record<string, string>> = {
  ECONNREFUSED: `Nothing listens there: is the publisher up (${PODS}), is the port in \`url\` the right one, is enableEventPublisher true?`,
  ENOTFOUND: 'Correct the host in `url`, or make its Service',
  EAI_AGAIN: 'The name server does not answer: look at DNS first',
  EHOSTUNREACH: NO_WAY,
  ENETUNREACH: NO_WAY,
  ETIMEDOUT: NO_WAY,
  UND_ERR_CONNECT_TIMEOUT: NO_WAY,
  CERT_HAS_EXPIRED: 'Its certificate has expired: have it renewed (or correct the clock here)',
  CERT_NOT_YET_VALID: 'Its certificate is not valid yet: compare the clocks, here and there',
  ERR_TLS_CERT_ALTNAME_INVALID: 'Write the host into `url` by a name that its certificate has',
  EPROTO: 'It does not speak TLS as `url` says: try http, or another port',
  NO_HTTP: 'What listens there speaks no HTTP: if it wants TLS, write https into `url`',
  ECONNRESET: 'It hangs up: if it wants TLS, write https into `url`; else look into its log',
  UND_ERR_SOCKET: 'It hangs up: if it wants TLS, write https into `url`; else look into its log',
}

const UNTRUSTED: ReadonlySet<string> = new Set([
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
])

/** What to do about a publisher that did not answer as it should. */
export function adviceOn(error: PublisherError, place: Place): Advice {
  return { came: answerIn(error), todo: todoFor(error, place) }
}

/** What came, without what was asked, with which the message begins. */
export function answerIn(error: PublisherError): string {
  return reasonOf(error).replace(/^(?:GET|POST|DELETE) \S+ /, '')
}

function todoFor(error: PublisherError, place: Place): string {
  const code = codeIn(error)
  if (code !== undefined && UNTRUSTED.has(code)) return untrusted('PUBLISHER_CA_FILE')
  const known = code === undefined ? undefined : BY_CODE[code]
  if (known !== undefined) return known
  if (error.code === 'timeout') return NO_WAY
  if (error.status === 401 || error.status === 403) {
    return 'It wants to know who asks: set PUBLISHER_TOKEN_FILE, or PUBLISHER_CERT_FILE and PUBLISHER_KEY_FILE'
  }
  if (error.status !== undefined && error.status >= 500) {
    return 'It, or a proxy in between, is failing: look into its log, and ask again'
  }
  return `Check that \`url\` (${place.shown}) is the API of a publisher; its base path, \`/api/…\`, may be left out`
}

/** `variable`: where the authority belongs. */
export function untrusted(variable: string): string {
  return `Its certificate is signed by an authority that is not trusted here: put that authority into ${variable} (on OpenShift the service CA, ConfigMap openshift-service-ca.crt)`
}

/** The code of the network's error that stands behind an error, if one does. */
export function codeIn(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  const own = error instanceof PublisherError ? undefined : networkCodeOf(error)
  return own ?? codeIn(error.cause)
}

/** Whether TLS failed for want of trust. */
export function isUntrusted(error: unknown): boolean {
  const code = codeIn(error)
  return code !== undefined && UNTRUSTED.has(code)
}
