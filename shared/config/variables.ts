import { DECIDING_KINDS, KIND_NAMES } from '#shared/kinds.ts'
import * as z from 'zod/mini'
import { LOG_LEVELS } from '#shared/log.ts'
import { nodeLabels, publishers } from './publishers.ts'
import * as values from './values.ts'

/** The groups of variables; a function reads whole groups. */
export type Group =
  | 'Server'
  | 'Status'
  | 'State'
  | 'Publishers'
  | 'Publisher access'
  | 'Callback'
  | 'Merge'
  | 'Broker'
  | 'Node conditions'
  | 'Work'
  | 'Output'

/** How a variable is described in the help and in docs/configuration.md. */
type VariableFacts = {
  readonly group: Group
  readonly description: string
  /** The default where it is absent. */
  readonly example?: string
  /** The value is never shown, not even in an error. */
  readonly secret?: true
}

const facts = z.registry<VariableFacts>()

function variable<S extends z.ZodMiniType>(group: Group, schema: S, about: Omit<VariableFacts, 'group'>): S {
  facts.add(schema, { group, ...about })
  return schema
}

export const schema = z.object({
  PORT: variable('Server', z._default(values.wholeNumber(0, 65535), 8080), {
    description: 'Port to listen on. 0 takes any free port; the log says which.',
  }),
  HOST: variable('Server', z._default(values.hostName, '0.0.0.0'), {
    description: 'Address to listen on. `::` accepts IPv6 and, on most systems, IPv4.',
    example: '127.0.0.1',
  }),
  STATUS_TOKEN_FILE: variable('Status', z.optional(values.filePath), {
    description:
      'For `status --serve`: file with the token that the page and the API require, as a bearer token or as the password in a browser. Without it, anyone who can reach the port can read. Read again when it changes.',
    example: '/etc/ptp-watch/status/token',
  }),
  HOLDOVER_BUDGET_SECONDS: variable('Status', z._default(values.seconds(1, 31_536_000), 14_400), {
    description:
      'How long a node may be in HOLDOVER. The label `holdover-budget-seconds` of a publisher overrides it for that node; a clock class that says out of specification overrides both (docs/holdover.md). 14400 is the value that the PTP Operator and StarlingX use for an Intel E810.',
    example: '7200',
  }),
  STATE_URL: variable('State', z._default(values.stateUrl, 'sqlite:.ptp-watch/state.db'), {
    description:
      'Where state is stored: `sqlite:<file>` on one machine (several processes may share it), `configmap://<namespace>` in a cluster of up to a few hundred nodes (without a name: the namespace of the pod; docs/configmap.md), `redis://` and its variants with TLS, Sentinel or Redis Cluster for fleets (docs/redis.md), `memory:` for tests.',
    example: 'sqlite:/var/lib/ptp-watch/state.db',
  }),
  KUBECONFIG: variable('State', z.optional(values.filePath), {
    description:
      'For `configmap://`, `kubernetes://` and `condition`: kubeconfig whose current context names the cluster. Without it a pod uses its service account, and any other process `~/.kube/config`.',
    example: '/home/me/.kube/config',
  }),
  KUBERNETES_SERVICE_HOST: variable('State', z.optional(values.hostName), {
    description:
      'For `configmap://`, `kubernetes://` and `condition`: address of the API server. Kubernetes sets it in every pod.',
    example: '10.96.0.1',
  }),
  KUBERNETES_SERVICE_PORT: variable('State', z._default(values.wholeNumber(1, 65535), 443), {
    description:
      'For `configmap://`, `kubernetes://` and `condition`: port of the API server. Kubernetes sets it in every pod.',
  }),
  STATE_CA_FILE: variable('State', z.optional(values.filePath), {
    description:
      'For `rediss://`: PEM file of the certificate authorities to trust instead of those of the system. Read again for each new connection.',
    example: '/etc/ptp-watch/redis/ca.crt',
  }),
  STATE_PASSWORD_FILE: variable('State', z.optional(values.filePath), {
    description:
      'For `redis://` and its variants: file that holds the password, in place of one in STATE_URL. Read again for each new connection.',
    example: '/etc/ptp-watch/redis/password',
  }),
  HISTORY_PER_NODE: variable('State', z.optional(values.wholeNumber(1, 100_000)), {
    description:
      'Log entries kept per node: 1,000 unless set, 50 with `configmap://`, which allows at most 1,000 and keeps what fits into 256 KiB. Losing and regaining lock takes about ten entries. Trimmed in batches, so up to 12.5 % (at most 100) more may be kept.',
    example: '10000',
  }),
  STATE_RETENTION_SECONDS: variable('State', z._default(values.seconds(1, 31_536_000), 604_800), {
    description:
      'How long a node that `PUBLISHERS` no longer lists, or whose Service is gone, is kept as gone before its state and log are removed. 604800 is a week.',
    example: '86400',
  }),
  PUBLISHERS: variable('Publishers', z._default(publishers, []), {
    description:
      'The publishers: a JSON list, the path of a JSON or YAML file that holds one, or `kubernetes://<namespace>`, which discovers Red Hat v2 publishers by the Services of that namespace at each run (docs/deploy.md). Each has `node` (full name of the node, as the publisher writes it) and `url` (of its API, without `/api/…`), and may have `dialect` (`auto`, `red-hat-v1`, `red-hat-v2`, `starlingx-v2`; default `auto`), `transport` (transport address of a v1 sidecar, needed to unstick it), `metrics` (URL of its metrics, for `doctor`; default port 9091 of the host of `url`, `/metrics`) and `labels` (`{"site":"a"}`, which `status --label` selects by).',
    example: '[{"node":"node1.example.com","url":"http://10.0.0.11:9043"}]',
  }),
  NODE_LABELS: variable('Publishers', z.optional(nodeLabels), {
    description:
      'With `PUBLISHERS=kubernetes://<namespace>`: the labels that a publisher gets from its Kubernetes Node, as `<key>=<label of the Node>`, separated by commas. `site` and `region` go into CloudEvents and metrics too. Needs permission to list Nodes (docs/deploy.md). Without it Nodes are not read, and publishers have no labels.',
    example: 'site=topology.kubernetes.io/zone,region=topology.kubernetes.io/region',
  }),
  RESOURCES: variable('Publishers', z._default(values.someOf(KIND_NAMES), [...KIND_NAMES]), {
    description: 'Kinds to subscribe to and to poll. Those that a publisher does not have are skipped.',
    example: 'lock-state,os-clock-sync-state,clock-class',
  }),
  PUBLISHER_CA_FILE: variable('Publisher access', z.optional(values.filePath), {
    description:
      'PEM file of the certificate authorities to trust for publishers. Read again when it changes.',
    example: '/etc/ptp-watch/tls/ca.crt',
  }),
  PUBLISHER_CERT_FILE: variable('Publisher access', z.optional(values.filePath), {
    description:
      'PEM file of the client certificate for publishers; needs PUBLISHER_KEY_FILE. Read again when it changes.',
    example: '/etc/ptp-watch/tls/tls.crt',
  }),
  PUBLISHER_KEY_FILE: variable('Publisher access', z.optional(values.filePath), {
    description: 'PEM file of the private key of PUBLISHER_CERT_FILE. Read again when it changes.',
    example: '/etc/ptp-watch/tls/tls.key',
  }),
  PUBLISHER_TOKEN_FILE: variable('Publisher access', z.optional(values.filePath), {
    description: 'File that holds the bearer token for publishers. Read again when it changes.',
    example: '/var/run/secrets/publisher/token',
  }),
  CALLBACK_URL: variable('Callback', z.optional(values.httpUrl), {
    description:
      'Base URL at which publishers reach ingest; they post to `<CALLBACK_URL>/event/…`. Subscriptions under it are ours, all others are foreign.',
    example: 'http://ingest.ptp-watch.svc.cluster.local',
  }),
  CALLBACK_SECRET: variable('Callback', z.optional(values.secrets), {
    description:
      'Secret from which the tokens in callback paths are derived; with it, ingest rejects callbacks without a valid token. Set two values (new, old) to rotate it: both are accepted, and subscriptions made with the old one are replaced.',
    example: 'a-long-random-text-of-your-own',
    secret: true,
  }),
  OVERALL_KINDS: variable('Merge', z._default(values.someOf(DECIDING_KINDS), [...DECIDING_KINDS]), {
    description: 'A node is LOCKED only if it has a LOCKED clock of each of these kinds.',
    example: 'os-clock-sync-state',
  }),
  STALE_AFTER_SECONDS: variable('Merge', z._default(values.seconds(1, 86_400), 180), {
    description: 'A clock that no push and no poll has confirmed for this long is stale, not LOCKED.',
  }),
  SETTLE_SECONDS: variable('Merge', z._default(values.seconds(0, 3600), 5), {
    description:
      'How long a push may take to arrive: a poll sent less than this after a push does not improve the state.',
  }),
  REORDER_SECONDS: variable('Merge', z._default(values.seconds(1, 3600), 60), {
    description:
      'Pushes that are late by no more than this are reordered. An even later one with a worse state means that the publisher’s clock went backwards.',
  }),
  K_SINK: variable('Broker', z.optional(values.sinkUrl), {
    description:
      'URL to which each log entry is posted as a CloudEvent (docs/events.md). A SinkBinding sets it. Without it nothing is sent.',
    example: 'http://broker-ingress.knative-eventing.svc.cluster.local/ptp-watch/default',
  }),
  K_CE_OVERRIDES: variable('Broker', z._default(values.ceOverrides, {}), {
    description:
      'Extensions added to every event, replacing its own of the same name. A SinkBinding sets it.',
    example: '{"extensions":{"site":"north"}}',
  }),
  K_CA_CERTS: variable('Broker', z.optional(values.certificates), {
    description:
      'Certificate authorities to trust for the sink in addition to those of Node.js. A SinkBinding sets it.',
    example: '-----BEGIN CERTIFICATE-----…',
  }),
  SINK_TOKEN_FILE: variable('Broker', z._default(values.filePath, '/oidc/token'), {
    description:
      'File that holds the bearer token for the sink, read again when it may have changed. If there is no such file, no token is sent. Knative mounts it at the default path.',
    example: '/var/run/secrets/sink/token',
  }),
  TAINT: variable('Node conditions', z.optional(values.taint), {
    description:
      'For `condition`: taint for Nodes in FREERUN, on at most 10 % of the watched Nodes of a site at once (docs/node-conditions.md). Without it no Node is tainted.',
    example: 'ptp-watch.io/freerun:NoSchedule',
  }),
  POLL_CONCURRENCY: variable('Work', z._default(values.wholeNumber(1, 1000), 16), {
    description: 'Publishers contacted at the same time.',
    example: '32',
  }),
  POLL_DEADLINE_SECONDS: variable('Work', z._default(values.seconds(1, 3600), 50), {
    description: 'A run of poll ends after this long, even if some publishers have not answered.',
  }),
  SUBSCRIBE_DEADLINE_SECONDS: variable('Work', z._default(values.seconds(1, 3600), 60), {
    description: 'How long subscribe waits for publishers to become ready.',
    example: '300',
  }),
  JOB_COMPLETION_INDEX: variable('Work', z.optional(values.wholeNumber(0, 9999)), {
    description: 'Shard of the publishers that this process works on. An Indexed Job of Kubernetes sets it.',
    example: '0',
  }),
  JOB_COMPLETION_COUNT: variable('Work', z._default(values.wholeNumber(1, 10_000), 1), {
    description: 'Number of shards: the `completions` of an Indexed Job.',
    example: '4',
  }),
  LOG_LEVEL: variable('Output', z._default(values.oneOf(LOG_LEVELS), 'info'), {
    description: 'How much is logged: info logs transitions and runs, debug every event.',
    example: 'debug',
  }),
})

export type VariableName = keyof typeof schema.shape

export type Variable = Required<Pick<VariableFacts, 'example'>> &
  VariableFacts & {
    readonly name: VariableName
    /** What it must be, to complete a sentence. */
    readonly expected: string
    /** As it would be written in the environment; undefined if it has no default. */
    readonly default: string | undefined
  }

/** All variables in the order of the schema. */
export const VARIABLES: readonly Variable[] = z.keyof(schema).options.map((name) => {
  const field = schema.shape[name]
  const about = facts.get(field)
  const { expected } = values.expectations.get(field.def.innerType) ?? {}
  if (about === undefined || expected === undefined) throw new TypeError(`${name} is not described`)
  const fallback = defaultOf(field)
  return { name, expected, example: fallback ?? '', ...about, default: fallback }
})

function defaultOf(field: z.ZodMiniType): string | undefined {
  if (!(field instanceof z.ZodMiniDefault)) return undefined
  const { defaultValue } = field.def
  if (Array.isArray(defaultValue)) return defaultValue.join(',') || undefined
  return typeof defaultValue === 'object' ? undefined : String(defaultValue)
}
