import { readFile as readFileOfNode } from 'node:fs/promises'
import type * as z from 'zod/mini'
import { ConfigurationError } from '#shared/errors.ts'
import { type DiscoveryConfig, duplicates, PUBLISHER_KEYS, readPublishers } from './publishers.ts'
import { schema, VARIABLES, type VariableName } from './variables.ts'

export type { NodeLabel } from './publishers.ts'
export type { TaintConfig } from './values.ts'
export { type Group, VARIABLES, type Variable, type VariableName } from './variables.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** The validated configuration; variables in seconds are converted to milliseconds. */
export type Config = ReturnType<typeof configOf>

function configOf(values: z.output<typeof schema>, discovery: DiscoveryConfig | undefined) {
  return {
    port: values.PORT,
    host: values.HOST,
    statusTokenFile: values.STATUS_TOKEN_FILE,
    holdoverBudgetMs: milliseconds(values.HOLDOVER_BUDGET_SECONDS),
    stateUrl: values.STATE_URL,
    /** Options of the state drivers besides the URL: DriverOptions of state/store/open.ts. */
    stateOptions: {
      kubernetes: {
        serviceHost: values.KUBERNETES_SERVICE_HOST,
        servicePort: values.KUBERNETES_SERVICE_PORT,
        kubeconfig: values.KUBECONFIG,
      },
      redis: { ca: values.STATE_CA_FILE, token: values.STATE_PASSWORD_FILE },
    },
    historyPerNode: values.HISTORY_PER_NODE ?? (isConfigMap(values.STATE_URL) ? 50 : 1_000),
    stateRetentionMs: milliseconds(values.STATE_RETENTION_SECONDS),
    /** The listed publishers; empty if they are discovered. */
    publishers: values.PUBLISHERS,
    /** Where to discover publishers instead. */
    discovery,
    /** Which labels publishers get from their Nodes; absent: Nodes are not read. */
    nodeLabels: values.NODE_LABELS,
    resources: values.RESOURCES,
    publisherFiles: {
      ca: values.PUBLISHER_CA_FILE,
      cert: values.PUBLISHER_CERT_FILE,
      key: values.PUBLISHER_KEY_FILE,
      token: values.PUBLISHER_TOKEN_FILE,
    },
    callbackUrl: values.CALLBACK_URL,
    /** None, one, or two with the new one first. */
    callbackSecrets: values.CALLBACK_SECRET ?? [],
    /** MergeSettings of state/merge/draft.ts. */
    merge: {
      staleAfterMs: milliseconds(values.STALE_AFTER_SECONDS),
      settleMs: milliseconds(values.SETTLE_SECONDS),
      reorderMs: milliseconds(values.REORDER_SECONDS),
      overallKinds: values.OVERALL_KINDS,
    },
    /** Where events are sent; nowhere without a `url`. */
    sink: {
      url: values.K_SINK,
      overrides: values.K_CE_OVERRIDES,
      ca: values.K_CA_CERTS,
      tokenFile: values.SINK_TOKEN_FILE,
    },
    /** The taint for Nodes in FREERUN; absent: none. */
    taint: values.TAINT,
    pollConcurrency: values.POLL_CONCURRENCY,
    pollDeadlineMs: milliseconds(values.POLL_DEADLINE_SECONDS),
    subscribeDeadlineMs: milliseconds(values.SUBSCRIBE_DEADLINE_SECONDS),
    /** This process works on the publishers whose position in the list is `index` modulo `count`. */
    shard: { index: values.JOB_COMPLETION_INDEX ?? 0, count: values.JOB_COMPLETION_COUNT },
    logLevel: values.LOG_LEVEL,
  }
}

/** A ConfigMap has little room for history. */
const isConfigMap = (url: unknown) => String(url).startsWith('configmap:')

const milliseconds = (seconds: number) => Math.round(seconds * 1000)

/** The variables that are set; PUBLISHERS has already been read. */
type Given = Partial<Record<VariableName, unknown>>

/**
 * Reads the configuration from `env`: values are trimmed, empty ones count as absent, other variables are ignored.
 * Reads nothing but `env` and the file that PUBLISHERS may name.
 *
 * `required` names the variables that the caller cannot do without.
 * @throws ConfigurationError with every problem at once: variable, what is allowed, what was found. Never a secret.
 */
export async function readConfig(
  env: Environment,
  options: { readFile?: (path: string) => Promise<string>; required?: readonly VariableName[] } = {},
): Promise<Config> {
  const { readFile = (path: string) => readFileOfNode(path, 'utf8'), required = [] } = options
  const given: Given = {}
  for (const { name } of VARIABLES) given[name] = env[name]?.trim() || undefined
  const absent = VARIABLES.filter(({ name }) => required.includes(name) && given[name] === undefined)
  const text = env.PUBLISHERS?.trim() ?? ''
  const { list, discovery, problem } = text === '' ? {} : await readPublishers(text, readFile)
  given.PUBLISHERS = list

  const result = schema.safeParse(given, { reportInput: true })
  const problems = [
    ...(problem === undefined ? [] : [`PUBLISHERS ${problem}`]),
    ...(result.error?.issues ?? []).map(sentenceOf),
    ...duplicates(list),
    ...unmatched(given, discovery === undefined && problem === undefined),
    ...absent.map(
      ({ name, example }) => `${name} must be set, for example ${name}=${example}; found nothing`,
    ),
  ]
  if (!result.success || problems.length > 0) throw new ConfigurationError(problems)
  return configOf(result.data, discovery)
}

/** One problem, in the form: variable, what is allowed, what was found. */
function sentenceOf(issue: z.core.$ZodIssue): string {
  const [variable, ...path] = issue.path
  const keys = path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`))
  const place = `${String(variable)}${keys.join('')}`
  if (issue.code === 'unrecognized_keys') {
    const found = issue.keys.map((key) => JSON.stringify(key)).join(', ')
    return `${place} must have no keys but ${PUBLISHER_KEYS.join(', ')}; found ${found}`
  }
  if (issue.code === 'invalid_key') {
    return `${place} is not a valid label key; use 1 to 63 lower-case letters, digits and dashes`
  }
  if (VARIABLES.some(({ name, secret }) => name === variable && secret))
    return `${place} must be ${issue.message}; the value found is not shown`
  return `${place} must be ${issue.message}; found ${shown(issue.input)}`
}

/** What was found, shortened for people. Anything that is or may be a credential (in a URL, PEM) is cut out. */
function shown(value: unknown): string {
  if (value === undefined) return 'nothing'
  const text = JSON.stringify(value)
    .replace(/\/\/[^/"\s]*@/g, '//…@')
    .replace(/\?[^"#\s]+/g, '?…')
    .replace(/(-----BEGIN [A-Z ]+-----)[^"]+/g, '$1…')
  return text.length > 120 ? `${text.slice(0, 120)}…` : text
}

/**
 * Problems that involve more than one variable. `isListed`: PUBLISHERS is a list and not a namespace to discover
 * publishers in.
 */
function unmatched(given: Given, isListed: boolean): string[] {
  const problems: string[] = []
  const pair = ['PUBLISHER_CERT_FILE', 'PUBLISHER_KEY_FILE'] as const
  const set = pair.find((name) => given[name] !== undefined)
  const unset = pair.find((name) => given[name] === undefined)
  if (set !== undefined && unset !== undefined)
    problems.push(`${unset} must be set along with ${set}; found nothing`)
  if (isConfigMap(given.STATE_URL) && Number(given.HISTORY_PER_NODE) > 1_000)
    problems.push(
      `HISTORY_PER_NODE must be at most 1000 with STATE_URL=configmap://…; found "${given.HISTORY_PER_NODE}"`,
    )
  const { JOB_COMPLETION_INDEX: index = 0, JOB_COMPLETION_COUNT: count = 1 } = given
  if (Number(index) >= Number(count))
    problems.push(`JOB_COMPLETION_INDEX must be below JOB_COMPLETION_COUNT (${count}); found "${index}"`)
  if (given.NODE_LABELS !== undefined && isListed)
    problems.push(
      'NODE_LABELS must be set only with PUBLISHERS=kubernetes://<namespace>: publishers that are listed have their labels in PUBLISHERS',
    )
  return problems
}
