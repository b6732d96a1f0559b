import { PublisherError } from '#shared/errors.ts'
import { networkCodeOf } from '#shared/http/failure.ts'
import type { Place } from '#shared/publishers/target.ts'

const NO_ROUTE = 'Check network policies and firewalls on the way, and whether the node is up'
const HANGS_UP = 'It closes the connection: if it expects TLS, use https in `url`; else see its log'
const FIRST_ONLY = 'The sidecar delivers each event only to the first matching subscription'
const OWN_SIDECAR = 'Run a separate sidecar for PTP Watch, or recreate the other subscription after ours'

/** The next step for each finding. */
export const FIX = {
  credentials:
    'It requires credentials: set PUBLISHER_TOKEN_FILE, or PUBLISHER_CERT_FILE and PUBLISHER_KEY_FILE',
  failing: 'It, or a proxy in front of it, is failing: see its log, then retry',
  publishersUnlisted: (namespace: string) =>
    `Make the API server reachable and allow this process to list Services in ${namespace}. The publishers known from the store are checked`,
  publishersListed:
    'List them in PUBLISHERS. In an Indexed Job with more parts than publishers, some parts have none',
  publishersFound: 'Check that the publishers run in that namespace, with enableEventPublisher true',
  nodeLabelsUnlisted:
    'Make the API server reachable and allow this process to list Nodes (the component node-labels). Until then nodes keep the labels that they have',
  nodeLabelsAbsent:
    'Compare with `kubectl get nodes`: a publisher gets the labels of the Node that has exactly its name',
  nodeLabelsUnused: 'Correct NODE_LABELS, or label the Nodes: `kubectl get nodes --show-labels`',
  storeAway: 'Restore the store: until it answers, ingest keeps a short backlog and then replies 503',
  storeFirst: 'Fix the store first',
  token:
    'Set the same value for ingest, subscribe and poll: without it, anyone who can reach ingest can report clock states',
  ingestWrong: 'Correct CALLBACK_URL',
  ingestRefused:
    'Give ingest and this process the same CALLBACK_SECRET, restart ingest, then run `ptp-watch subscribe`',
  ingestUnreachable:
    'It may still be reachable for publishers (a sidecar posts within its own pod): `callback` decides',
  sinkFailing:
    'It, or a proxy in front of it, is failing. Undelivered events stay in the log of their node and are sent later',
  sinkMissing: 'Check the path of K_SINK: /<namespace>/<name of the Broker>',
  sinkAway:
    'Correct K_SINK, or repair the Broker. Undelivered events stay in the log of their node and are sent later',
  dns: 'Correct the host in `url`, or fix DNS',
  service: (name: string, namespace: string) =>
    `Check that the Service exists: \`kubectl -n ${namespace} get service ${name}\`. Its name ends in the first label of the node's name; Red Hat's operator creates it once enableEventPublisher is true`,
  unnamed:
    'Its node is named by what it publishes: check that PTP runs on that node, or wait until it has started',
  nothingYet:
    'This takes some seconds after a start. If it stays so, PTP does not run on this node: check its PtpConfig and the log of linuxptp-daemon',
  otherNode: (other: string, node: string) =>
    `Set \`node\` to ${other} in PUBLISHERS, or \`url\` to the publisher of ${node}`,
  inMemory:
    'Restart the sidecar (its pod), which then forgets them; the next poll or `ptp-watch subscribe` recreates them. Until then neither can change what it has in memory',
  subscriptionsLost:
    'Run `ptp-watch subscribe`; polls recreate them too. If they vanish again, see `callback`: a publisher drops a subscription after ten failed deliveries in a row',
  leftOver: 'Run `ptp-watch subscribe`, or wait for the next poll: both delete them',
  starved: `${FIRST_ONLY}, even if nobody answers there: we get none. ${OWN_SIDECAR}`,
  twice: `${FIRST_ONLY}. We get them only because a subscription to /sync makes each arrive twice. ${OWN_SIDECAR}`,
  starving: `${FIRST_ONLY}: the other consumer gets none of these. Run a separate sidecar for PTP Watch`,
  oneEach:
    'None needed if events arrive: releases before 2024-12 allow one subscription for each resource, and ours is there',
  notReady: 'This takes some seconds after a start, and health does not show it: run doctor again',
  ownStore: 'Set STATE_URL to the store of ingest: the present one is in the memory of this process',
  otherStore: (endpoint: string) =>
    `Check what answers at ${endpoint}: if it is our ingest, it uses another STATE_URL, or its store is slow: see its log`,
  way: "Ingest answers from here, so check the way from the publisher's pod: network policies, DNS, a proxy in its environment, a slow start of ingest (it waits 2 s). CALLBACK_URL must lead to ingest from where the publisher runs",
  ingest: (secured: boolean) =>
    `Check that ingest runs${secured ? ' with the same CALLBACK_SECRET' : ''}. CALLBACK_URL must lead to ingest from where the publisher runs`,
  noPublisher:
    'The sidecar runs, but not the publisher behind it: check its --http-event-publishers, and the linuxptp-daemon of the node',
  unregistered: 'Run `ptp-watch subscribe`: posting our subscription makes the sidecar register again',
  starting: (node: string) =>
    `This takes some seconds after a start: run doctor again. If it stays so, the sidecar receives nothing of ${node}: check that name. Also check that the notification service runs on the node`,
  noPtp: (publisher: string) =>
    `Check that PTP runs on this node: see the log of linuxptp-daemon, and whether ${publisher} is still starting`,
  noClock:
    'If the node should have such a clock, see the log of its PTP processes; a node without one never has a state',
  unknown: 'Run `ptp-watch subscribe`, and `ptp-watch poll` every minute',
  pollFailed: (problem: string) => `The last poll failed: ${problem}`,
  notPolled: 'Check that poll runs every minute, and its log',
  clock:
    'If all publishers differ alike, set the clock of this machine. Otherwise the OS clock of the node is not disciplined (phc2sys, chronyd). States stay right, as each publisher is ordered by its own clock, but times in the history are wrong',
  unpolled: 'Run `ptp-watch poll`: events report changes only',
  missed:
    'A poll found what no event reported, and the store is right. If this goes on (`missed` rises), see `subscriptions`, `callback` and `metrics`',
  eventsLost:
    'Events do not arrive: see `subscriptions` and `callback`. Until then `ptp-watch poll` keeps the store up to date. If it happens again, look for failed deliveries in the log of the publisher',
  stuck: (transport: string | undefined) =>
    `Most likely the sidecar is stuck: it passes each event on only when the next one comes. ${transport === undefined ? 'Set `transport` of this publisher to its transport port (9085 or 9043) and run `ptp-watch poll`' : 'Run `ptp-watch poll` twice'}, which unsticks it, or restart the sidecar`,
  elsewhere:
    'For information only. If they are served elsewhere, set `metrics` of this publisher in PUBLISHERS; --metrics-addr=127.0.0.1:9091 is reachable in its own pod only',
  heldBack: (events: number) =>
    `The sidecar did not pass on ${events} of the events it received: it may hold one back (see \`events\`), or nobody subscribed to them`,
  deliveriesFailed:
    'These deliveries to us failed since the publisher started; after ten in a row it drops our subscriptions. Check whether ingest was down or slower than 2 s. Polls have found what was missed',
  dropped:
    'Its queue was full and it dropped events: one of its consumers is slow or gone. Look for failed deliveries in its log',
  moreThanOurs: (events: number) =>
    `It got 204 for ${events} more events than this store received: check that ingest uses this STATE_URL; or the node was removed from the store since`,
} as const

/** By the error codes of Node.js, OpenSSL and undici. */
const BY_CODE: Readonly<Record<string, string>> = {
  ECONNREFUSED:
    'Nothing listens there: check that the publisher runs (`oc -n openshift-ptp get pods -o wide` shows the linuxptp-daemon of each node), the port in `url`, and that enableEventPublisher is true',
  ENOTFOUND: 'Correct the host in `url`, or create its Service',
  EAI_AGAIN: 'The DNS server does not answer: fix DNS first',
  EHOSTUNREACH: NO_ROUTE,
  ENETUNREACH: NO_ROUTE,
  CERT_HAS_EXPIRED: 'Its certificate has expired: renew it (or correct the clock of this machine)',
  CERT_NOT_YET_VALID: 'Its certificate is not valid yet: compare its clock with that of this machine',
  ERR_TLS_CERT_ALTNAME_INVALID: 'Use a host name in `url` that its certificate contains',
  EPROTO: 'It does not speak TLS there: use http in `url`, or another port',
  NO_HTTP: 'It does not speak HTTP there: if it expects TLS, use https in `url`',
  ECONNRESET: HANGS_UP,
  UND_ERR_SOCKET: HANGS_UP,
}

const UNTRUSTED =
  /^(UNABLE_TO_(VERIFY_LEAF_SIGNATURE|GET_ISSUER_CERT(_LOCALLY)?)|\w*SELF_SIGNED_CERT\w*|CERT_(SIGNATURE_FAILURE|UNTRUSTED))$/

/** The next step if a publisher did not answer as it should. */
export function fixFor(error: PublisherError, place: Place): string {
  const { status = 0 } = error
  const known = untrusted(error, 'PUBLISHER_CA_FILE') ?? BY_CODE[codeIn(error) ?? '']
  if (known !== undefined) return known
  if (error.code === 'timeout') return NO_ROUTE
  if (status === 401 || status === 403) return FIX.credentials
  if (status >= 500) return FIX.failing
  return `Check that \`url\` (${place.shown}) is the API of a publisher; its base path \`/api/…\` may be omitted, and \`dialect\` left at auto`
}

/** The next step if TLS failed because the authority is not trusted; it belongs in `variable`. */
export function untrusted(error: unknown, variable: string): string | undefined {
  if (!UNTRUSTED.test(codeIn(error) ?? '')) return undefined
  return `Its certificate is signed by an unknown authority: add that authority to ${variable} (on OpenShift the service CA, ConfigMap openshift-service-ca.crt)`
}

/** The network error code behind an error, if there is one. */
function codeIn(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  return (error instanceof PublisherError ? undefined : networkCodeOf(error)) ?? codeIn(error.cause)
}
