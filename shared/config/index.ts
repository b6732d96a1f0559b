import { readFile as readFileOfNode } from 'node:fs/promises'
import type * as z from 'zod/mini'
import {
  type DiscoveryConfig,
  duplicates,
  expectedOfPublisher,
  PUBLISHER_KEYS,
  readDiscovery,
  readPublishers,
  UnreadableError,
} from './publishers.ts'
import { schema, VARIABLES, type Variable, type VariableName } from './variables.ts'
import { ConfigurationError } from '#shared/errors.ts'

export type { PublisherConfig } from './publishers.ts'
export { VARIABLES, type Variable, type VariableFacts, type VariableName } from './variables.ts'

/** The variables that were set, PUBLISHERS already parsed. */
type Given = Partial<Record<VariableName, unknown>>

export type Environment = Readonly<Record<string, string | undefined>>

/** The configuration, checked: variables in seconds come out in milliseconds. */
export type Config = ReturnType<typeof configOf>

function configOf(values: z.output<typeof schema>, discovery: DiscoveryConfig | undefined) {
  return {
    port: values.PORT,
    host: values.HOST,
    statusTokenFile: values.STATUS_TOKEN_FILE,
    stateUrl: values.STATE_URL,
    /** What the drivers of state go by beside the URL: DriverOptions of state/open.ts. */
    stateOptions: {
      kubernetes: {
        serviceHost: values.KUBERNETES_SERVICE_HOST,
        servicePort: values.KUBERNETES_SERVICE_PORT,
        kubeconfig: values.KUBECONFIG,
      },
      redis: { ca: values.STATE_CA_FILE, password: values.STATE_PASSWORD_FILE },
    },
    historyPerNode: values.HISTORY_PER_NODE ?? (values.STATE_URL.startsWith(CONFIGMAP) ? 50 : 1_000),
    stateRetentionMs: milliseconds(values.STATE_RETENTION_SECONDS),
    /** Those that are listed; none where they are discovered. */
    publishers: values.PUBLISHERS,
    /** Where publishers are found instead of being listed. */
    discovery,
    resources: values.RESOURCES,
    publisherFiles: {
      ca: values.PUBLISHER_CA_FILE,
      cert: values.PUBLISHER_CERT_FILE,
      key: values.PUBLISHER_KEY_FILE,
      token: values.PUBLISHER_TOKEN_FILE,
    },
    callbackUrl: values.CALLBACK_URL,
    /** None, one, or two: the new one first. */
    callbackSecrets: values.CALLBACK_SECRET ?? [],
    /** What the merge rules go by: MergeSettings of state/settings.ts, in milliseconds. */
    merge: {
      staleAfterMs: milliseconds(values.STALE_AFTER_SECONDS),
      settleMs: milliseconds(values.SETTLE_SECONDS),
      reorderMs: milliseconds(values.REORDER_SECONDS),
      overallKinds: values.OVERALL_KINDS,
    },
    /** Where events go; without a `url` nowhere. */
    sink: {
      url: values.K_SINK,
      overrides: values.K_CE_OVERRIDES,
      ca: values.K_CA_CERTS,
      tokenFile: values.SINK_TOKEN_FILE,
    },
    pollConcurrency: values.POLL_CONCURRENCY,
    pollDeadlineMs: milliseconds(values.POLL_DEADLINE_SECONDS),
    subscribeDeadlineMs: milliseconds(values.SUBSCRIBE_DEADLINE_SECONDS),
    /** This process works on the publishers whose place in the list is `index` modulo `count`. */
    shard: { index: values.JOB_COMPLETION_INDEX ?? 0, count: values.JOB_COMPLETION_COUNT },
    logLevel: values.LOG_LEVEL,
  }
}

/** A ConfigMap has little room for history. */
const CONFIGMAP = 'configmap:'

const milliseconds = (seconds: number) => Math.round(seconds * 1000)

/**
 * The configuration that `env` gives; values are trimmed, an empty one counts as absent, other variables are ignored.
 * Reads nothing but `env` and the file that PUBLISHERS may name.
 *
 * `required` names the variables without which the caller cannot work.
 * @throws ConfigurationError with every problem at once: variable, what is allowed, what was found. Never a secret.
 */
export async function readConfig(
  env: Environment,
  options: { readFile?: (path: string) => Promise<string>; required?: readonly VariableName[] } = {},
): Promise<Config> {
  const readFile = options.readFile ?? ((path: string) => readFileOfNode(path, 'utf8'))
  const problems: string[] = []
  const given: Given = {}
  for (const { name } of VARIABLES) given[name] = env[name]?.trim() || undefined

  let discovery: DiscoveryConfig | undefined
  if (typeof given.PUBLISHERS === 'string') {
    try {
      discovery = readDiscovery(given.PUBLISHERS)
      given.PUBLISHERS =
        discovery === undefined ? await readPublishers(given.PUBLISHERS, readFile) : undefined
    } catch (error) {
      if (!(error instanceof UnreadableError)) throw error
      problems.push(`PUBLISHERS ${error.message}`)
      given.PUBLISHERS = undefined
    }
  }

  const unreadable = problems.length > 0
  const result = schema.safeParse(given)
  for (const issue of result.error?.issues ?? []) problems.push(sentenceOf(issue, given))
  problems.push(...duplicates(given.PUBLISHERS), ...unmatched(given))
  for (const name of options.required ?? []) {
    const isElsewhere = name === 'PUBLISHERS' && (unreadable || discovery !== undefined)
    if (given[name] === undefined && !isElsewhere) problems.push(missing(name))
  }
  if (!result.success || problems.length > 0) throw new ConfigurationError(problems)
  return configOf(result.data, discovery)
}

/**
 * Remarks about variables that are none of ours but nearly spelt so (`PUBLISHER`, `CALLBACK_URI`). Not an error:
 * an environment holds much that is not for us.
 */
export function misspellings(env: Environment): string[] {
  const remarks: string[] = []
  for (const found of Object.keys(env)) {
    if (isOurs(found)) continue
    const meant = VARIABLES.find(({ name }) => name.length >= 6 && distance(found, name) <= 2)
    if (meant !== undefined) remarks.push(`${found} is no variable of ptp-watch; ${meant.name} is`)
  }
  return remarks
}

const isOurs = (name: string) => VARIABLES.some((variable) => variable.name === name)

/** One problem, in the form: variable, what is allowed, what was found. */
function sentenceOf(issue: z.core.$ZodIssue, given: Given): string {
  const [name, ...path] = issue.path
  const about = VARIABLES.find((variable) => variable.name === name)
  const value = path.reduce<unknown>(
    (at, key) => (typeof at === 'object' && at !== null ? Reflect.get(at, key) : undefined),
    about === undefined ? undefined : given[about.name],
  )
  const place = path.reduce<string>(
    (at, key) => at + (typeof key === 'number' ? `[${key}]` : `.${String(key)}`),
    String(name),
  )
  if (issue.code === 'unrecognized_keys') {
    return `${place} must have no keys but ${PUBLISHER_KEYS.join(', ')}; found ${issue.keys.map((key) => JSON.stringify(key)).join(', ')}`
  }
  if (issue.code === 'invalid_key') {
    return `${place} must not be: a label's key has lower-case letters, digits and dashes, at most 63; found ${JSON.stringify(path.at(-1))}`
  }
  const expected = issue.code === 'invalid_type' ? expectedOfPublisher(path) : issue.message
  return `${place} must be ${expected}; ${shown(value, about)}`
}

/** What was found, in a length for people. What is or may be a credential is cut out: of a URL, of PEM. */
function shown(value: unknown, about: Variable | undefined): string {
  if (about?.secret) return 'the value found is not shown'
  if (value === undefined) return 'found nothing'
  const text = JSON.stringify(value)
    .replace(/\/\/[^/"\s]*@/g, '//…@')
    .replace(/\?[^"#\s]+/g, '?…')
    .replace(/(-----BEGIN [A-Z ]+-----)[^"]+/g, '$1…')
  return `found ${text.length > 120 ? `${text.slice(0, 120)}…` : text}`
}

/** What no variable alone can show. */
function unmatched(given: Given): string[] {
  const problems: string[] = []
  const pairs = [
    ['PUBLISHER_CERT_FILE', 'PUBLISHER_KEY_FILE'],
    ['PUBLISHER_KEY_FILE', 'PUBLISHER_CERT_FILE'],
  ] as const
  for (const [one, other] of pairs) {
    if (given[one] !== undefined && given[other] === undefined) {
      problems.push(`${other} must be set along with ${one}; found nothing`)
    }
  }
  if (String(given.STATE_URL).startsWith(CONFIGMAP) && Number(given.HISTORY_PER_NODE) > 1_000) {
    problems.push(
      `HISTORY_PER_NODE must be at most 1000 with STATE_URL=configmap://…; found "${given.HISTORY_PER_NODE}"`,
    )
  }
  const index = Number(given.JOB_COMPLETION_INDEX ?? 0)
  const count = Number(given.JOB_COMPLETION_COUNT ?? 1)
  if (index >= count) {
    problems.push(`JOB_COMPLETION_INDEX must be below JOB_COMPLETION_COUNT (${count}); found "${index}"`)
  }
  return problems
}

function missing(name: VariableName): string {
  const about = VARIABLES.find((variable) => variable.name === name)
  return `${name} must be set, for example ${name}=${about?.example}; found nothing`
}

/** Levenshtein's, over two short names. */
function distance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 2) return 3
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
