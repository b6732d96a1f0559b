import { spawn } from 'node:child_process'
import { symlinkSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { silentLog } from '#shared/log.ts'
import type { NodeState } from '#shared/state/document.ts'
import { openDriver } from '#shared/state/store/open.ts'
import { createStore } from '#shared/state/store/store.ts'
import { serve } from '../../e2e/support/system.ts'
import { COMPILE_CACHE } from '../../runtime/processes.ts'
import { startApi } from '../../kubernetes/api.ts'
import { folder } from '../../publishers/support/folder.ts'
import type { KubernetesApi } from '../../support/kubernetes-api.ts'
import { startRedis } from '../../support/redis.ts'
import { clockAt, lockedNode, openStore, put } from '../fleet.ts'

const PLUGIN = fileURLToPath(new URL('../../../bin/kubectl-ptp', import.meta.url))
const STATUS_LABELS = { 'app.kubernetes.io/name': 'ptp-watch', 'app.kubernetes.io/component': 'status' }

/** `kubectl ptp …`, by the kubectl of this machine, which finds the plug-in in PATH. */
async function kubectl(env: Record<string, string>, ...args: string[]) {
  const bin = await folder()
  symlinkSync(PLUGIN, join(bin, 'kubectl-ptp'))
  const child = spawn('kubectl', ['ptp', ...args], {
    env: { PATH: `${bin}:${process.env.PATH}`, HOME: bin, ...COMPILE_CACHE, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [out, err, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise((resolve) => void child.on('close', resolve)),
  ])
  return { code, out, err }
}

function install(api: KubernetesApi, namespace: string, settings: Record<string, string>) {
  api.objects.create(namespace, { metadata: { name: 'ptp-watch-settings' }, data: settings }, 'kubectl')
}

/** One in lock and one that free-runs, both confirmed just now. */
const two = (): [NodeState, NodeState] => {
  const now = Date.now()
  return [
    lockedNode('good.example.com', now),
    lockedNode('bad.example.com', now, {
      labels: { site: 'a' },
      clocks: [
        clockAt(now, 'lock-state', 'ens1f0', { state: 'FREERUN', metrics: { offset: '99999' } }),
        clockAt(now, 'os-clock-sync-state', 'CLOCK_REALTIME', {}),
      ],
    }),
  ]
}

/** A cluster whose state is in ConfigMaps of `namespace`. */
async function startCluster(namespace = 'ptp-watch', settings: Record<string, string> = {}) {
  const api = await startApi()
  install(api, namespace, { STATE_URL: 'configmap://', LOG_LEVEL: 'info', ...settings })
  return api
}

async function fill(api: KubernetesApi, namespace: string, ...states: NodeState[]) {
  const driver = await openDriver(`configmap://${namespace}`, { kubernetes: { kubeconfig: api.kubeconfig } })
  const store = createStore(driver, { historyPerNode: 50, log: silentLog })
  for (const state of states) await put(store, state, state.node.startsWith('bad') ? 3 : 0)
  await store.close()
}

describe('state in ConfigMaps', () => {
  test('status is the table of ptp-watch status, read without any pod of ours', async () => {
    const api = await startCluster()
    await fill(api, 'ptp-watch', ...two())
    const { code, out, err } = await kubectl({ KUBECONFIG: api.kubeconfig }, 'status')
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toMatch(/^Store configmap:\/\/ptp-watch\. 2 nodes: 1 FREERUN, 1 LOCKED\./)
    expect(out).toMatch(/^bad\.example\.com +FREERUN/m)
    const names = await kubectl({ KUBECONFIG: api.kubeconfig }, 'status', '--overall', 'LOCKED', '-o', 'name')
    expect(names).toEqual({ code: 0, out: 'good.example.com\n', err: '' })
    expect((await kubectl({ KUBECONFIG: api.kubeconfig }, 'status', '--exit-code')).code).toBe(3)
  })

  test('node says why, shows its clocks and what happened last', async () => {
    const api = await startCluster()
    await fill(api, 'ptp-watch', ...two())
    const shown = await kubectl({ KUBECONFIG: api.kubeconfig }, 'node', 'bad.example.com')
    expect(shown).toMatchObject({ code: 0, err: '' })
    expect(shown.out).toMatch(
      /^bad\.example\.com: FREERUN for \w+: lock-state of ens1f0 is FREERUN\nLabels: site=a\n/,
    )
    expect(shown.out).toMatch(/^lock-state +ens1f0 +FREERUN .*offset 99999$/m)
    expect(shown.out).toMatch(/^Last 3 entries of its log:\n(2026.*changed.*HOLDOVER → LOCKED.*\n){3}$/m)
    expect(await kubectl({ KUBECONFIG: api.kubeconfig }, 'node', 'nobody')).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^failed: nobody: unknown to PTP Watch/),
    })
  })
})

test('status and node by a pod of status where the state is in Redis', async () => {
  const redis = await startRedis()
  onTestFinished(() => redis.close())
  const url = `redis://127.0.0.1:${redis.port}`
  const store = await openStore(url)
  const [good, bad] = two()
  await put(store, good)
  await put(store, bad, 3)
  await store.close()
  const api = await startApi()
  install(api, 'ptp-watch', { STATE_URL: 'redis://see-secret-ptp-watch-redis' })
  const env = { KUBECONFIG: api.kubeconfig }
  expect(await kubectl(env, 'status')).toMatchObject({
    code: 1,
    err: expect.stringContaining('No pod of status runs in namespace ptp-watch'),
  })
  const status = await serve(['status', '--serve'], { STATE_URL: url })
  const { pods } = api
  pods.add('ptp-watch', 'status-0', { labels: STATUS_LABELS, url: 'http://127.0.0.1:1', ready: false })
  pods.add('ptp-watch', 'status-1', { labels: STATUS_LABELS, url: status.url })
  const shown = await kubectl(env, 'status')
  expect(shown).toMatchObject({ code: 0, err: '' })
  expect(shown.out).toMatch(/^Store redis:.*, by pod status-1\. 2 nodes: 1 FREERUN, 1 LOCKED\./)
  const json = await kubectl(env, 'status', '--json', '--name', 'bad')
  expect(JSON.parse(json.out)).toMatchObject({ nodes: [{ node: 'bad.example.com', log: [{}, {}, {}] }] })
  const node = await kubectl(env, 'node', 'bad.example.com')
  expect(node.out).toMatch(/^bad\.example\.com: FREERUN for \w+: lock-state of ens1f0 is FREERUN$/m)
  expect(await kubectl(env, 'node', 'nobody')).toMatchObject({
    code: 1,
    err: expect.stringMatching(/^failed: nobody/),
  })
  api.permitted.delete('get pods/proxy')
  expect(await kubectl(env, 'status')).toMatchObject({
    code: 1,
    err: expect.stringMatching(/not allowed to ask pod status-1 .*get pods\/proxy, as the role edit has/),
  })
})

test('a status that asks for a token: how to get at it is said', async () => {
  const redis = await startRedis()
  onTestFinished(() => redis.close())
  const token = join(await folder(), 'token')
  writeFileSync(token, 'a-token-of-this-test')
  const status = await serve(['status', '--serve'], {
    STATE_URL: `redis://127.0.0.1:${redis.port}`,
    STATUS_TOKEN_FILE: token,
  })
  const api = await startApi()
  install(api, 'ptp-watch', {})
  api.pods.add('ptp-watch', 'status-1', { labels: STATUS_LABELS, url: status.url })
  expect(await kubectl({ KUBECONFIG: api.kubeconfig }, 'status')).toMatchObject({
    code: 1,
    err: expect.stringMatching(/STATUS_TOKEN_FILE.*kubectl -n ptp-watch port-forward pod\/status-1/),
  })
})

describe('where PTP Watch is', () => {
  test.each(['from-context', 'somewhere'])('it is found in %s', async (namespace) => {
    const api = await startCluster(namespace)
    await fill(api, namespace, ...two())
    const { out } = await kubectl({ KUBECONFIG: api.kubeconfig }, 'status')
    expect(out).toContain(`Store configmap://${namespace}. 2 nodes`)
  })

  test('-n names it; a namespace without it, or two of them, are told', async () => {
    const api = await startCluster('one')
    install(api, 'two', { STATE_URL: 'configmap://' })
    const env = { KUBECONFIG: api.kubeconfig }
    expect(await kubectl(env, 'status')).toMatchObject({
      code: 1,
      err: expect.stringMatching(/several namespaces \(one, two\).*-n/),
    })
    expect((await kubectl(env, 'status', '-n', 'two')).out).toContain('Store configmap://two.')
    expect(await kubectl(env, 'status', '-n', 'three')).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^kubectl ptp: There is no PTP Watch in three/),
    })
  })

  test('who may read its namespace alone finds it there, and who may read nothing is told which role is enough', async () => {
    const api = await startCluster()
    for (const namespace of ['', 'from-context']) api.forbidden.add(namespace)
    const env = { KUBECONFIG: api.kubeconfig }
    expect((await kubectl(env, 'status')).out).toContain('Store configmap://ptp-watch.')
    for (const namespace of ['ptp-watch', 'cloud-events']) api.forbidden.add(namespace)
    expect(await kubectl(env, 'status')).toMatchObject({
      code: 1,
      err: expect.stringContaining('the role view'),
    })
  })
})

describe('the kubeconfig', () => {
  /** Two contexts: the current one leads nowhere. */
  async function twoContexts(api: KubernetesApi, user: object) {
    const config = parse(await readFile(api.kubeconfig, 'utf8'))
    const path = join(await folder(), 'config')
    const cluster = {
      ...config.clusters[0].cluster,
      'certificate-authority': join(api.serviceAccount, 'ca.crt'),
    }
    writeFileSync(
      path,
      stringify({
        ...config,
        'current-context': 'nowhere',
        clusters: [
          { name: 'test', cluster },
          { name: 'nowhere', cluster: { server: 'https://127.0.0.1:1' } },
        ],
        contexts: [
          { name: 'here', context: { cluster: 'test', user: 'me' } },
          { name: 'nowhere', context: { cluster: 'nowhere', user: 'me' } },
        ],
        users: [{ name: 'me', user }],
      }),
    )
    return path
  }
  const token = { token: 'first-token' }

  test('--kubeconfig and --context win over KUBECONFIG and its current context', async () => {
    const api = await startCluster()
    const path = await twoContexts(api, token)
    const env = { KUBECONFIG: '/nowhere' }
    const shown = await kubectl(env, 'status', '--kubeconfig', path, '--context', 'here')
    expect(shown).toMatchObject({ code: 0, out: expect.stringContaining('configmap://ptp-watch') })
    expect(await kubectl({ KUBECONFIG: path }, 'status')).toMatchObject({
      code: 1,
      err: expect.stringContaining('https://127.0.0.1:1 is unreachable'),
    })
    expect(await kubectl({ KUBECONFIG: path }, 'status', '--context', 'other')).toMatchObject({
      code: 2,
      err: expect.stringContaining('has no context other'),
    })
  })

  test('a credential plug-in is asked for the token, as kubectl does', async () => {
    const api = await startCluster()
    const script = join(await folder(), 'login')
    writeFileSync(
      script,
      `#!/bin/sh\necho 'Log in at https://login.example.com' >&2
      [ "$1" = get-token ] && [ "$WHO" = me ] && echo "$KUBERNETES_EXEC_INFO" | grep -q ExecCredential &&
      echo '{"kind":"ExecCredential","status":{"token":"first-token"}}'\n`,
      { mode: 0o755 },
    )
    const exec = {
      apiVersion: 'client.authentication.k8s.io/v1',
      command: script,
      args: ['get-token'],
      env: [{ name: 'WHO', value: 'me' }],
      interactiveMode: 'Never',
    }
    const path = await twoContexts(api, { exec })
    expect(await kubectl({ KUBECONFIG: path }, 'status', '--context', 'here')).toMatchObject({
      code: 0,
      err: 'Log in at https://login.example.com\n',
    })
    const broken = await twoContexts(api, { exec: { ...exec, args: [], installHint: 'Install login.' } })
    expect(await kubectl({ KUBECONFIG: broken }, 'status', '--context', 'here')).toMatchObject({
      code: 2,
      err: expect.stringMatching(/credential plug-in .*login failed: .*\nInstall login\./s),
    })
  })
})

describe('the command line', () => {
  test('--help is of kubectl ptp, and so is that of each command', async () => {
    const { code, out } = await kubectl({}, '--help')
    expect(code).toBe(0)
    expect(out).toMatch(
      /^kubectl ptp shows .*\n\nUsage:\n {2}kubectl ptp <command> \[flags\]\n\nCommands:\n {2}status .*\n {2}node /,
    )
    expect(out).not.toContain('FUNCTION_TARGET')
    const node = await kubectl({}, 'node', '--help')
    expect(node.out).toMatch(/kubectl ptp node <node> \[flags\]/)
    for (const flag of ['--kubeconfig', '--context', '-n, --namespace']) expect(node.out).toContain(flag)
  })

  test.each([
    [[], 'Name a command: status, node'],
    [['node', ''], 'kubectl ptp node needs <node>'],
    [['status', '-n', ''], '--namespace is empty'],
    [['status', '--serve'], "Unknown option '--serve'"],
  ])('%j is refused with what is wrong', async (args, message) => {
    const { code, err } = await kubectl({ FUNCTION_TARGET: 'ingest' }, ...args)
    expect({ code, err }).toMatchObject({ code: 2, err: expect.stringContaining(message) })
    expect(err).toMatch(/^kubectl ptp: .*\nTry: kubectl ptp .*--help\n$/)
  })
})
