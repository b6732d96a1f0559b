import * as z from 'zod/mini'
import { LOG_LEVELS } from '#shared/log.ts'
import { publishers } from './publishers.ts'
import {
  ceOverrides,
  certificates,
  filePath,
  hostName,
  httpUrl,
  oneOf,
  seconds,
  secrets,
  sinkUrl,
  someOf,
  stateUrl,
  wholeNumber,
} from './values.ts'

/** What people are told of a variable; the help and docs/configuration.md are made of it. */
export type VariableFacts = {
  readonly group: 'Server' | 'State' | 'Publishers' | 'Callback' | 'Merge' | 'Broker' | 'Work' | 'Output'
  /** What a value looks like, in a word or two. */
  readonly type: string
  readonly description: string
  readonly example: string
  /** The value is never shown, not even in an error. */
  readonly secret?: true
}

const facts = z.registry<VariableFacts>()

function variable<S extends z.ZodMiniType>(schema: S, about: VariableFacts): S {
  facts.add(schema, about)
  return schema
}

const RESOURCE_KINDS = [
  'lock-state',
  'os-clock-sync-state',
  'clock-class',
  'gnss-sync-status',
  'sync-state',
  'synce-lock-state',
  'synce-clock-quality',
] as const

const OVERALL_KINDS = ['lock-state', 'os-clock-sync-state'] as const

export const schema = z.object({
  PORT: variable(z._default(wholeNumber(0, 65535), 8080), {
    group: 'Server',
    type: 'port',
    description: 'The port to serve on. 0 takes any free one; the log says which.',
    example: '8080',
  }),
  HOST: variable(z._default(hostName, '0.0.0.0'), {
    group: 'Server',
    type: 'address',
    description: 'The address to serve on. `::` serves IPv6 and, on most systems, IPv4.',
    example: '127.0.0.1',
  }),
  STATUS_TOKEN_FILE: variable(z.optional(filePath), {
    group: 'Server',
    type: 'path',
    description:
      'For `status --serve`: file of a token that the page and the API ask for, as a bearer token or as the password of a browser. Without it everybody who reaches the port may look. Read again when it changes.',
    example: '/etc/ptp-watch/status/token',
  }),
  STATE_URL: variable(
    z._default(
      stateUrl({
        'sqlite:<file>': /^sqlite:./,
        'memory:': /^memory:$/,
        'configmap://<namespace>': /^configmap:\/\/([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$/,
        'redis://<host>': /^redis:\/\/./,
        'rediss://<host>': /^rediss:\/\/./,
        'redis-sentinel://<host>/<master>': /^redis-sentinel:\/\/./,
        'rediss-sentinel://<host>/<master>': /^rediss-sentinel:\/\/./,
      }),
      'sqlite:.ptp-watch/state.db',
    ),
    {
      group: 'State',
      type: 'state URL',
      description:
        'Where the state of the nodes lives: `sqlite:<file>` for one machine (several processes may share it), `configmap://<namespace>` for a cluster of up to some hundred nodes (without a name: the namespace that the process runs in; docs/configmap.md), `redis://` and the like for fleets (with TLS, Sentinels or a cluster; docs/redis.md), `memory:` for tests.',
      example: 'sqlite:/var/lib/ptp-watch/state.db',
    },
  ),
  KUBECONFIG: variable(z.optional(filePath), {
    group: 'State',
    type: 'path',
    description:
      'For `configmap://` and `kubernetes://`: the kubeconfig whose current context names the cluster. Without it a pod uses its service account, and any other process `~/.kube/config`.',
    example: '/home/me/.kube/config',
  }),
  KUBERNETES_SERVICE_HOST: variable(z.optional(hostName), {
    group: 'State',
    type: 'address',
    description:
      'For `configmap://` and `kubernetes://`: where the API server is. Kubernetes sets it in every pod.',
    example: '10.96.0.1',
  }),
  KUBERNETES_SERVICE_PORT: variable(z._default(wholeNumber(1, 65535), 443), {
    group: 'State',
    type: 'port',
    description: 'For `configmap://` and `kubernetes://`: its port. Kubernetes sets it in every pod.',
    example: '443',
  }),
  STATE_CA_FILE: variable(z.optional(filePath), {
    group: 'State',
    type: 'path',
    description:
      'For `rediss://`: PEM file of the certificate authorities to trust, instead of those of the system. Read again for each new connection.',
    example: '/etc/ptp-watch/redis/ca.crt',
  }),
  STATE_PASSWORD_FILE: variable(z.optional(filePath), {
    group: 'State',
    type: 'path',
    description:
      'For `redis://` and the like: file of the password, instead of one in STATE_URL. Read again for each new connection.',
    example: '/etc/ptp-watch/redis/password',
  }),
  HISTORY_PER_NODE: variable(z.optional(wholeNumber(1, 100_000)), {
    group: 'State',
    type: 'number',
    description:
      'How many log entries are kept of each node: 1,000 unless set, 50 with `configmap://`, which takes at most 1,000 and keeps what 256 KiB holds. Losing and regaining lock takes some ten entries. They are trimmed in batches of up to an eighth, 100 at most.',
    example: '10000',
  }),
  STATE_RETENTION_SECONDS: variable(z._default(seconds(1, 31_536_000), 604_800), {
    group: 'State',
    type: 'seconds',
    description:
      'How long a node that is no longer listed in `PUBLISHERS`, or whose Service is gone, is kept, marked as gone, before it is removed from the state with its log. 604800 is a week.',
    example: '86400',
  }),
  PUBLISHERS: variable(z._default(publishers, []), {
    group: 'Publishers',
    type: 'JSON, path or kubernetes://<namespace>',
    description:
      'The publishers: a JSON list, or the path of a JSON or YAML file that holds one, or `kubernetes://<namespace>`, which finds those of Red Hat with version 2 by the Services of that namespace, at each run (docs/deploy.md). Each has `node` (the full name of the node, as the publisher writes it), `url` (of its API, without `/api/…`), and may have `dialect` (`auto`, `red-hat-v1`, `red-hat-v2`, `starlingx-v2`; default `auto`), `transport` (the transport address of a v1 sidecar, to cure a stuck one), `metrics` (where its own figures are shown, for `doctor`; default port 9091 of the host of `url`, `/metrics`) and `labels` (`{"site":"a"}`: what `status --label` selects by).',
    example: '[{"node":"node1.example.com","url":"http://10.0.0.11:9043"}]',
  }),
  RESOURCES: variable(z._default(someOf(RESOURCE_KINDS), [...RESOURCE_KINDS]), {
    group: 'Publishers',
    type: 'list of kinds',
    description: 'What to subscribe to and to poll. Kinds that a publisher does not have are skipped.',
    example: 'lock-state,os-clock-sync-state,clock-class',
  }),
  PUBLISHER_CA_FILE: variable(z.optional(filePath), {
    group: 'Publishers',
    type: 'path',
    description:
      'PEM file of the certificate authorities to trust for publishers. Read again when it changes.',
    example: '/etc/ptp-watch/tls/ca.crt',
  }),
  PUBLISHER_CERT_FILE: variable(z.optional(filePath), {
    group: 'Publishers',
    type: 'path',
    description:
      'PEM file of the client certificate shown to publishers; needs PUBLISHER_KEY_FILE. Read again when it changes.',
    example: '/etc/ptp-watch/tls/tls.crt',
  }),
  PUBLISHER_KEY_FILE: variable(z.optional(filePath), {
    group: 'Publishers',
    type: 'path',
    description: 'PEM file of the key of PUBLISHER_CERT_FILE. Read again when it changes.',
    example: '/etc/ptp-watch/tls/tls.key',
  }),
  PUBLISHER_TOKEN_FILE: variable(z.optional(filePath), {
    group: 'Publishers',
    type: 'path',
    description: 'File of the bearer token sent to publishers. Read again when it changes.',
    example: '/var/run/secrets/publisher/token',
  }),
  CALLBACK_URL: variable(z.optional(httpUrl), {
    group: 'Callback',
    type: 'URL',
    description:
      'The base under which publishers reach ingest; they post to `<CALLBACK_URL>/event/…`. It also tells our own subscriptions from those of others.',
    example: 'http://ingest.ptp-watch.svc.cluster.local',
  }),
  CALLBACK_SECRET: variable(z.optional(secrets), {
    group: 'Callback',
    type: 'secret',
    description:
      'Makes the tokens in callback paths, without which ingest then serves nothing. Two values (new, old) while it is being changed: both are accepted, and subscriptions of the old one are replaced.',
    example: 'a-long-random-text-of-your-own',
    secret: true,
  }),
  OVERALL_KINDS: variable(z._default(someOf(OVERALL_KINDS), [...OVERALL_KINDS]), {
    group: 'Merge',
    type: 'list of kinds',
    description: 'Of which kinds a node needs a LOCKED clock to be LOCKED as a whole.',
    example: 'os-clock-sync-state',
  }),
  STALE_AFTER_SECONDS: variable(z._default(seconds(1, 86_400), 180), {
    group: 'Merge',
    type: 'seconds',
    description: 'A clock that nothing has confirmed for so long is stale, and no longer LOCKED.',
    example: '180',
  }),
  SETTLE_SECONDS: variable(z._default(seconds(0, 3600), 5), {
    group: 'Merge',
    type: 'seconds',
    description:
      'How long pushes may be under way: a poll sent sooner after a push does not improve on what the push said.',
    example: '5',
  }),
  REORDER_SECONDS: variable(z._default(seconds(1, 3600), 60), {
    group: 'Merge',
    type: 'seconds',
    description:
      'Pushes that are late by no more than this are put in order. One that is later and worse is taken to be from a clock that was set back.',
    example: '60',
  }),
  K_SINK: variable(z.optional(sinkUrl), {
    group: 'Broker',
    type: 'URL',
    description:
      'Where each transition is posted to as a CloudEvent (docs/events.md); a SinkBinding sets it. Without it nothing is sent.',
    example: 'http://broker-ingress.knative-eventing.svc.cluster.local/ptp-watch/default',
  }),
  K_CE_OVERRIDES: variable(z._default(ceOverrides, {}), {
    group: 'Broker',
    type: 'JSON',
    description:
      'Extensions that every event gets, instead of its own where they have the same name; a SinkBinding sets it.',
    example: '{"extensions":{"site":"north"}}',
  }),
  K_CA_CERTS: variable(z.optional(certificates), {
    group: 'Broker',
    type: 'PEM',
    description:
      'Certificate authorities to trust for the sink, beside those that Node trusts; a SinkBinding sets it.',
    example: '-----BEGIN CERTIFICATE-----…',
  }),
  SINK_TOKEN_FILE: variable(z._default(filePath, '/oidc/token'), {
    group: 'Broker',
    type: 'path',
    description:
      'File of the bearer token for the sink, read again when it may have changed. Where there is none, none is sent. The default is where Knative mounts it.',
    example: '/var/run/secrets/sink/token',
  }),
  POLL_CONCURRENCY: variable(z._default(wholeNumber(1, 1000), 16), {
    group: 'Work',
    type: 'number',
    description: 'How many publishers are asked at the same time.',
    example: '32',
  }),
  POLL_DEADLINE_SECONDS: variable(z._default(seconds(1, 3600), 50), {
    group: 'Work',
    type: 'seconds',
    description: 'When a run of poll ends, also if publishers have not answered.',
    example: '50',
  }),
  SUBSCRIBE_DEADLINE_SECONDS: variable(z._default(seconds(1, 3600), 60), {
    group: 'Work',
    type: 'seconds',
    description: 'How long subscribe waits for publishers to become ready.',
    example: '300',
  }),
  JOB_COMPLETION_INDEX: variable(z.optional(wholeNumber(0, 9999)), {
    group: 'Work',
    type: 'number',
    description: 'Which part of the publishers this process works on. An Indexed Job of Kubernetes sets it.',
    example: '0',
  }),
  JOB_COMPLETION_COUNT: variable(z._default(wholeNumber(1, 10_000), 1), {
    group: 'Work',
    type: 'number',
    description: 'In how many parts the publishers are shared: the `completions` of an Indexed Job.',
    example: '4',
  }),
  LOG_LEVEL: variable(z._default(oneOf(LOG_LEVELS), 'info'), {
    group: 'Output',
    type: 'level',
    description:
      'How much is logged: silent, error, warn, info (transitions and runs) or debug (each event).',
    example: 'debug',
  }),
})

export type VariableName = keyof typeof schema.shape

export type Variable = VariableFacts & {
  readonly name: VariableName
  /** As it would be written in the environment; undefined where there is none. */
  readonly default: string | undefined
}

/** All variables in the order of the schema. */
export const VARIABLES: readonly Variable[] = keysOf(schema.shape).map((name) => {
  const about = facts.get(schema.shape[name])
  if (about === undefined) throw new Error(`${name} has no description`)
  return { name, ...about, default: defaultOf(schema.shape[name]) }
})

function keysOf<T extends object>(object: T): Extract<keyof T, string>[] {
  const keys: Extract<keyof T, string>[] = []
  for (const key in object) keys.push(key)
  return keys
}

function defaultOf(field: z.ZodMiniType): string | undefined {
  if (!(field instanceof z.ZodMiniDefault)) return undefined
  const value: unknown = field.def.defaultValue
  if (Array.isArray(value)) return value.join(',')
  return typeof value === 'object' ? '' : String(value)
}
