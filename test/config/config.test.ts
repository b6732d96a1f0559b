import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type Config, type Environment, readConfig, VARIABLES } from '#shared/config/index.ts'
import { ConfigurationError } from '#shared/errors.ts'
import { KIND_NAMES } from '#shared/kinds.ts'
import { STATE_URL_FORMS } from '#shared/config/state-url.ts'
import { defaultSettings, type MergeSettings } from '#shared/state/merge/draft.ts'

async function problemsOf(env: Environment, options: Parameters<typeof readConfig>[1] = {}) {
  try {
    await readConfig(env, options)
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems
    throw error
  }
  return []
}

function fileWith(name: string, contents: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'ptp-watch-config-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, name), contents)
  return join(folder, name)
}

const NODE1 = { node: 'node1.example.com', url: 'http://10.0.0.11:9043' }
const READ1 = { ...NODE1, dialect: 'auto' }

test('an empty environment gives the defaults that the schema shows', async () => {
  expect(await readConfig({})).toEqual({
    port: 8080,
    host: '0.0.0.0',
    stateUrl: 'sqlite:.ptp-watch/state.db',
    stateOptions: {
      kubernetes: { serviceHost: undefined, servicePort: 443, kubeconfig: undefined },
      redis: { ca: undefined, token: undefined },
    },
    statusTokenFile: undefined,
    holdoverBudgetMs: 14_400_000,
    historyPerNode: 1_000,
    stateRetentionMs: 604_800_000,
    publishers: [],
    discovery: undefined,
    resources: [...KIND_NAMES],
    publisherFiles: { ca: undefined, cert: undefined, key: undefined, token: undefined },
    callbackUrl: undefined,
    callbackSecrets: [],
    merge: {
      staleAfterMs: 180_000,
      settleMs: 5_000,
      reorderMs: 60_000,
      overallKinds: ['lock-state', 'os-clock-sync-state'],
    },
    sink: { url: undefined, overrides: {}, ca: undefined, tokenFile: '/oidc/token' },
    pollConcurrency: 16,
    pollDeadlineMs: 50_000,
    subscribeDeadlineMs: 60_000,
    shard: { index: 0, count: 1 },
    logLevel: 'info',
  })
})

test('the defaults of the merge rules are the ones that state uses', async () => {
  const merge: MergeSettings = (await readConfig({})).merge
  expect(merge).toEqual(defaultSettings)
})

test('every variable is described, and its example and its default are values that it takes', async () => {
  for (const { name, description, example, default: fallback } of VARIABLES) {
    expect(description, name).toMatch(/^[A-Z].*\.$/)
    const files = { PUBLISHER_CERT_FILE: 'x', PUBLISHER_KEY_FILE: 'x' }
    const others = { ...files, JOB_COMPLETION_COUNT: '10', PUBLISHERS: 'kubernetes://ns' }
    expect(await problemsOf({ ...others, [name]: example }), name).toEqual([])
    expect(await problemsOf({ ...others, [name]: fallback ?? example }), name).toEqual([])
  }
})

test('every form of state URL that a driver takes is taken', async () => {
  for (const form of STATE_URL_FORMS) {
    const url = form.replace('<file>', 'x.db').replace('<namespace>', 'x')
    expect((await readConfig({ STATE_URL: url })).stateUrl).toBe(url)
  }
})

describe('values that are taken', () => {
  const rows: [Environment, (config: Config) => unknown, unknown][] = [
    [{ PORT: ' 0 ' }, (c) => c.port, 0],
    [{ PORT: '' }, (c) => c.port, 8080],
    [{ PORT: ' \n' }, (c) => c.port, 8080],
    [{ HOST: '::' }, (c) => c.host, '::'],
    [
      { CALLBACK_URL: 'https://Ingest.example.com/base//' },
      (c) => c.callbackUrl,
      'https://ingest.example.com/base',
    ],
    [{ CALLBACK_URL: 'http://10.0.0.1:8080/' }, (c) => c.callbackUrl, 'http://10.0.0.1:8080'],
    [{ CALLBACK_SECRET: 'a-secret-of-some-length' }, (c) => c.callbackSecrets, ['a-secret-of-some-length']],
    [
      { CALLBACK_SECRET: 'the-new-secret-value\nthe-old-secret-value\n' },
      (c) => c.callbackSecrets,
      ['the-new-secret-value', 'the-old-secret-value'],
    ],
    [{ RESOURCES: 'clock-class, lock-state,clock-class' }, (c) => c.resources, ['clock-class', 'lock-state']],
    [{ OVERALL_KINDS: 'os-clock-sync-state' }, (c) => c.merge.overallKinds, ['os-clock-sync-state']],
    [{ SETTLE_SECONDS: '0.25' }, (c) => c.merge.settleMs, 250],
    [{ JOB_COMPLETION_INDEX: '2', JOB_COMPLETION_COUNT: '3' }, (c) => c.shard, { index: 2, count: 3 }],
    [{ JOB_COMPLETION_INDEX: '0' }, (c) => c.shard, { index: 0, count: 1 }],
    [{ LOG_LEVEL: 'debug' }, (c) => c.logLevel, 'debug'],
    [{ SOMETHING_ELSE: 'x' }, (c) => c.port, 8080],
    [{ PUBLISHERS: JSON.stringify([NODE1]) }, (c) => c.publishers, [READ1]],
    [
      {
        PUBLISHERS: JSON.stringify([
          { ...NODE1, url: 'http://h:1/', dialect: 'red-hat-v1', transport: 'http://h:9085' },
        ]),
      },
      (c) => c.publishers,
      [{ node: NODE1.node, url: 'http://h:1', dialect: 'red-hat-v1', transport: 'http://h:9085' }],
    ],
    [{ PUBLISHERS: '[]' }, (c) => c.publishers, []],
    [
      { PUBLISHERS: ' kubernetes://openshift-ptp ' },
      (c) => [c.publishers, c.discovery],
      [[], { namespace: 'openshift-ptp' }],
    ],
    [{ STATE_RETENTION_SECONDS: '1' }, (c) => c.stateRetentionMs, 1000],
  ]
  test.each(rows)('%j', async (env, pick, expected) => {
    expect(pick(await readConfig(env))).toEqual(expected)
  })
})

describe('values that are refused, with what is allowed and what was found', () => {
  const entry = (fields: object) => JSON.stringify([{ ...NODE1, ...fields }])
  const url = 'an http or https URL without user, query or fragment'
  const rows: [Environment, string][] = [
    [{ PORT: 'http' }, 'PORT must be a whole number from 0 to 65535; found "http"'],
    [{ PORT: '65536' }, 'PORT must be a whole number from 0 to 65535; found "65536"'],
    [{ PORT: '1e3' }, 'PORT must be a whole number from 0 to 65535; found "1e3"'],
    [{ PORT: '-1' }, 'PORT must be a whole number from 0 to 65535; found "-1"'],
    [{ HOST: 'a b' }, 'HOST must be a host name or an IP address; found "a b"'],
    [{ STATE_URL: 'state.db' }, `STATE_URL must be one of ${STATE_URL_FORMS.join(', ')}; found "state.db"`],
    [{ STATE_URL: 'sqlite:' }, `STATE_URL must be one of ${STATE_URL_FORMS.join(', ')}; found "sqlite:"`],
    [
      { STATE_URL: 'mongo://u:hunter2@h/x' },
      `STATE_URL must be one of ${STATE_URL_FORMS.join(', ')}; found "mongo://…@h/x"`,
    ],
    [{ HISTORY_PER_NODE: '0' }, 'HISTORY_PER_NODE must be a whole number from 1 to 100000; found "0"'],
    [
      { HISTORY_PER_NODE: '1001', STATE_URL: 'configmap://a' },
      'HISTORY_PER_NODE must be at most 1000 with STATE_URL=configmap://…; found "1001"',
    ],
    [{ CALLBACK_URL: 'ingest:8080' }, `CALLBACK_URL must be ${url}; found "ingest:8080"`],
    [{ CALLBACK_URL: 'http://h/?' }, `CALLBACK_URL must be ${url}; found "http://h/?"`],
    [{ CALLBACK_URL: 'http://h/#x' }, `CALLBACK_URL must be ${url}; found "http://h/#x"`],
    [
      { STALE_AFTER_SECONDS: '0' },
      'STALE_AFTER_SECONDS must be a number of seconds from 1 to 86400; found "0"',
    ],
    [{ REORDER_SECONDS: '1m' }, 'REORDER_SECONDS must be a number of seconds from 1 to 3600; found "1m"'],
    [
      { RESOURCES: 'lock-state,lockstate' },
      `RESOURCES must be a comma-separated list of ${KIND_NAMES.join(', ')}; found "lock-state,lockstate"`,
    ],
    [{ RESOURCES: ',' }, `RESOURCES must be a comma-separated list of ${KIND_NAMES.join(', ')}; found ","`],
    [
      { OVERALL_KINDS: 'clock-class' },
      'OVERALL_KINDS must be a comma-separated list of lock-state, os-clock-sync-state; found "clock-class"',
    ],
    [{ LOG_LEVEL: 'INFO' }, 'LOG_LEVEL must be one of silent, error, warn, info, debug; found "INFO"'],
    [
      { PUBLISHER_CERT_FILE: 'c' },
      'PUBLISHER_KEY_FILE must be set along with PUBLISHER_CERT_FILE; found nothing',
    ],
    [
      { PUBLISHER_KEY_FILE: 'k' },
      'PUBLISHER_CERT_FILE must be set along with PUBLISHER_KEY_FILE; found nothing',
    ],
    [
      { JOB_COMPLETION_INDEX: '3', JOB_COMPLETION_COUNT: '3' },
      'JOB_COMPLETION_INDEX must be below JOB_COMPLETION_COUNT (3); found "3"',
    ],
    ...['kubernetes://', 'kubernetes:openshift-ptp', 'kubernetes://Ptp', 'kubernetes://a/b'].map(
      (text): [Environment, string] => [
        { PUBLISHERS: text },
        `PUBLISHERS must be kubernetes://<namespace>, the namespace of the publishers' Services; found "${text}"`,
      ],
    ),
    [{ PUBLISHERS: '{"node":"x"}' }, 'PUBLISHERS must be a list of publishers; found {"node":"x"}'],
    [
      { PUBLISHERS: '[1]' },
      'PUBLISHERS[0] must be an object of node, url, dialect, transport, metrics, labels; found 1',
    ],
    [
      { PUBLISHERS: entry({ node: '../x' }) },
      'PUBLISHERS[0].node must be the name of a node: letters, digits, dots and dashes; found "../x"',
    ],
    [
      { PUBLISHERS: '[{"url":"http://h"}]' },
      'PUBLISHERS[0].node must be the name of a node: letters, digits, dots and dashes; found nothing',
    ],
    [{ PUBLISHERS: '[{"node":"a"}]' }, `PUBLISHERS[0].url must be ${url}; found nothing`],
    [{ PUBLISHERS: entry({ url: 'ftp://h' }) }, `PUBLISHERS[0].url must be ${url}; found "ftp://h"`],
    [
      { PUBLISHERS: entry({ url: 'http://me:pw@h' }) },
      `PUBLISHERS[0].url must be ${url}; found "http://…@h"`,
    ],
    [{ PUBLISHERS: entry({ transport: 'h:1' }) }, `PUBLISHERS[0].transport must be ${url}; found "h:1"`],
    [
      { PUBLISHERS: entry({ dialect: 'v2' }) },
      'PUBLISHERS[0].dialect must be one of auto, red-hat-v1, red-hat-v2, starlingx-v2; found "v2"',
    ],
    [
      { PUBLISHERS: entry({ labels: { Site: 'a' } }) },
      'PUBLISHERS[0].labels.Site is not a valid label key; use 1 to 63 lower-case letters, digits and dashes',
    ],
    [
      { PUBLISHERS: entry({ labels: { site: 'x'.repeat(64) } }) },
      `PUBLISHERS[0].labels.site must be a text of 1 to 63 characters; found "${'x'.repeat(64)}"`,
    ],
    [
      { PUBLISHERS: entry({ labels: { site: 7 } }) },
      'PUBLISHERS[0].labels.site must be a text of 1 to 63 characters; found 7',
    ],
    [
      { PUBLISHERS: entry({ labels: { site: ' ' } }) },
      'PUBLISHERS[0].labels.site must be a text of 1 to 63 characters; found " "',
    ],
    ...['4h', '0', '-1', '1e9'].map((budget): [Record<string, string>, string] => [
      { PUBLISHERS: entry({ labels: { 'holdover-budget-seconds': budget } }) },
      `PUBLISHERS[0].labels.holdover-budget-seconds must be a number of seconds above 0, as text; found "${budget}"`,
    ]),
    [{ PUBLISHERS: entry({ labels: 'a' }) }, 'PUBLISHERS[0].labels must be an object of texts; found "a"'],
    [
      { PUBLISHERS: entry({ URL: 'x' }) },
      'PUBLISHERS[0] must have no keys but node, url, dialect, transport, metrics, labels; found "URL"',
    ],
    [
      { PUBLISHERS: JSON.stringify([NODE1, NODE1]) },
      'PUBLISHERS[1].node must be unique; "node1.example.com" is also PUBLISHERS[0]',
    ],
  ]
  test.each(rows)('%j', async (env, problem) => {
    expect(await problemsOf(env)).toEqual([problem])
  })
})

describe('NODE_LABELS', () => {
  const PUBLISHERS = 'kubernetes://openshift-ptp'
  const FORM = 'NODE_LABELS must be a comma-separated list of <key>=<label of the Node>'

  test('is a list of our keys and labels of the Node', async () => {
    const text = 'site=topology.kubernetes.io/zone, rack = example.com/Rack_1.a\nrole=role'
    expect((await readConfig({ PUBLISHERS, NODE_LABELS: text })).nodeLabels).toEqual([
      { key: 'site', label: 'topology.kubernetes.io/zone' },
      { key: 'rack', label: 'example.com/Rack_1.a' },
      { key: 'role', label: 'role' },
    ])
  })

  const isNoLabel = (label: string) =>
    `"${label}" is not a Kubernetes label, such as topology.kubernetes.io/zone`
  test.each([
    ['site', '"site" names no label of the Node'],
    ['site=', '"site" names no label of the Node'],
    ['=zone', '"" is not a valid key (1 to 63 lower-case letters, digits and dashes)'],
    ['Site=zone', '"Site" is not a valid key (1 to 63 lower-case letters, digits and dashes)'],
    ['my.site=zone', '"my.site" is not a valid key (1 to 63 lower-case letters, digits and dashes)'],
    ['site=a/b/c', isNoLabel('a/b/c')],
    ['site=Example.com/zone', isNoLabel('Example.com/zone')],
    ['site=zone=a', isNoLabel('zone=a')],
    [`site=${'z'.repeat(64)}`, isNoLabel('z'.repeat(64))],
  ])('%s is an error of one line', async (text, problem) => {
    expect(await problemsOf({ PUBLISHERS, NODE_LABELS: text })).toEqual([
      `${FORM}; ${problem}; found ${JSON.stringify(text)}`,
    ])
  })

  test('has each key once', async () => {
    expect(await problemsOf({ PUBLISHERS, NODE_LABELS: 'site=a,region=b,site=c' })).toEqual([
      `${FORM}, each key once; "site" is there twice; found "site=a,region=b,site=c"`,
    ])
  })

  test('is for publishers that are discovered', async () => {
    for (const listed of [JSON.stringify([NODE1]), ''])
      expect(await problemsOf({ PUBLISHERS: listed, NODE_LABELS: 'site=zone' })).toEqual([
        'NODE_LABELS must be set only with PUBLISHERS=kubernetes://<namespace>: publishers that are listed have their labels in PUBLISHERS',
      ])
    expect(await problemsOf({ PUBLISHERS: 'kubernetes:', NODE_LABELS: 'site=zone' })).toHaveLength(1)
  })
})

test('all problems are reported at once', async () => {
  const problems = await problemsOf(
    { PORT: 'x', STATE_URL: 'y', PUBLISHERS: '[{"node":"a"},{"node":"a"}]', PUBLISHER_KEY_FILE: 'k' },
    { required: ['PUBLISHERS', 'CALLBACK_URL'] },
  )
  expect(problems.map((problem) => problem.split(' ')[0])).toEqual([
    'PORT',
    'STATE_URL',
    'PUBLISHERS[0].url',
    'PUBLISHERS[1].url',
    'PUBLISHERS[1].node',
    'PUBLISHER_CERT_FILE',
    'CALLBACK_URL',
  ])
})

test.each([
  ['too-short'],
  ['the-first-secret-value,short'],
  ['the-same-secret-value,the-same-secret-value'],
  ['the-first-secret-value,the-second-secret-value,the-third-secret-value'],
  [',,'],
])('the secret %j is refused without being shown', async (secret) => {
  const problems = await problemsOf({ CALLBACK_SECRET: secret })
  expect(problems).toHaveLength(1)
  expect(problems[0]).toMatch(/^CALLBACK_SECRET must be .*; the value found is not shown$/)
  for (const part of secret.split(',').filter((each) => each !== '')) expect(problems[0]).not.toContain(part)
})

test('PUBLISHERS may name a JSON file', async () => {
  const file = fileWith('fleet.json', JSON.stringify([NODE1]))
  expect((await readConfig({ PUBLISHERS: file })).publishers).toEqual([READ1])
})

test('PUBLISHERS may name a YAML file', async () => {
  const file = fileWith('fleet.yaml', `- node: ${NODE1.node}\n  url: ${NODE1.url} # the first\n`)
  expect((await readConfig({ PUBLISHERS: file })).publishers).toEqual([READ1])
})

test.each([
  ['fleet.json', '[', 'which is not valid JSON: '],
  ['fleet.yml', 'a: [', 'which is not valid YAML: '],
])('a file %s that does not parse is one problem, with the reason', async (name, contents, words) => {
  const file = fileWith(name, contents)
  const problems = await problemsOf({ PUBLISHERS: file }, { required: ['PUBLISHERS'] })
  expect(problems).toHaveLength(1)
  expect(problems[0]).toContain(`PUBLISHERS names the file ${file}, ${words}`)
})

test('a file that is not there, and text that is not JSON, are told apart', async () => {
  expect(await problemsOf({ PUBLISHERS: '/no/such/fleet.json' })).toEqual([
    expect.stringMatching(/^PUBLISHERS names the file \/no\/such\/fleet\.json, which cannot be read: ENOENT/),
  ])
  expect(await problemsOf({ PUBLISHERS: '[{' })).toEqual([
    expect.stringMatching(/^PUBLISHERS is neither JSON nor a path: /),
  ])
})

test('a variable that the caller needs is asked for with an example', async () => {
  expect(await problemsOf({ CALLBACK_URL: ' ' }, { required: ['CALLBACK_URL'] })).toEqual([
    'CALLBACK_URL must be set, for example CALLBACK_URL=http://ingest.ptp-watch.svc.cluster.local; found nothing',
  ])
})

test('publishers that are to be discovered need no list', async () => {
  const env = { PUBLISHERS: 'kubernetes://openshift-ptp' }
  expect(await problemsOf(env, { required: ['PUBLISHERS'] })).toEqual([])
})

test('whatever the environment holds, the outcome is a configuration or a list of problems', async () => {
  const names = VARIABLES.map(({ name }) => name)
  const json = fc.json().filter((text) => /^[[{"]/.test(text))
  await fc.assert(
    fc.asyncProperty(
      fc.dictionary(fc.constantFrom(...names), fc.oneof(fc.string(), json, fc.nat().map(String))),
      async (env) => {
        const readFile = () => Promise.reject(new Error('no files here'))
        const problems = await problemsOf(env, { readFile })
        for (const problem of problems) expect(names.some((name) => problem.startsWith(name))).toBe(true)
      },
    ),
  )
})
