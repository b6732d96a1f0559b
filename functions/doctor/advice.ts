import { PublisherError } from '#shared/errors.ts'
import { networkCodeOf } from '#shared/http/failure.ts'
import type { Place } from '#shared/publishers/target.ts'

const NO_ROUTE = 'Check network policies and firewalls on the way, and whether the node is up'
const HANGS_UP = 'It closes the connection: if it expects TLS, use https in `url`; else see its log'

/** By the codes of Node.js, OpenSSL and undici. */
const BY_CODE: Readonly<Record<string, string>> = {
  ECONNREFUSED:
    'Nothing listens there: check that the publisher runs (`oc -n openshift-ptp get pods -o wide` shows the linuxptp-daemon of each node), the port in `url`, and that enableEventPublisher is true',
  ENOTFOUND: 'Correct the host in `url`, or create its Service',
  EAI_AGAIN: 'The DNS server does not answer: fix DNS first',
  EHOSTUNREACH: NO_ROUTE,
  ENETUNREACH: NO_ROUTE,
  ETIMEDOUT: NO_ROUTE,
  UND_ERR_CONNECT_TIMEOUT: NO_ROUTE,
  CERT_HAS_EXPIRED: 'Its certificate has expired: renew it (or correct the clock of this machine)',
  CERT_NOT_YET_VALID: 'Its certificate is not valid yet: compare its clock with that of this machine',
  ERR_TLS_CERT_ALTNAME_INVALID: 'Use a host name in `url` that its certificate contains',
  EPROTO: 'It does not speak TLS there: use http in `url`, or another port',
  NO_HTTP: 'It does not speak HTTP there: if it expects TLS, use https in `url`',
  ECONNRESET: HANGS_UP,
  UND_ERR_SOCKET: HANGS_UP,
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

/** The next step for a publisher that did not answer as it should. */
export function fixFor(error: PublisherError, place: Place): string {
  const code = codeIn(error)
  if (isUntrusted(error)) return trust('PUBLISHER_CA_FILE')
  const known = code === undefined ? undefined : BY_CODE[code]
  if (known !== undefined) return known
  if (error.code === 'timeout') return NO_ROUTE
  const { status = 0 } = error
  if (status === 401 || status === 403)
    return 'It requires credentials: set PUBLISHER_TOKEN_FILE, or PUBLISHER_CERT_FILE and PUBLISHER_KEY_FILE'
  if (status >= 500) return 'It, or a proxy in front of it, is failing: see its log, then retry'
  return `Check that \`url\` (${place.shown}) is the API of a publisher; its base path \`/api/…\` may be omitted, and \`dialect\` left at auto`
}

/** `variable`: where the authority belongs. */
export function trust(variable: string): string {
  return `Its certificate is signed by an unknown authority: add that authority to ${variable} (on OpenShift the service CA, ConfigMap openshift-service-ca.crt)`
}

/** Whether TLS failed because the certificate's authority is unknown. */
export function isUntrusted(error: unknown): boolean {
  return UNTRUSTED.has(codeIn(error) ?? '')
}

/** The network error code behind an error, if there is one. */
function codeIn(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  const own = error instanceof PublisherError ? undefined : networkCodeOf(error)
  return own ?? codeIn(error.cause)
}
