import { readFile, rm, writeFile } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { delimiter, join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { stringify } from 'yaml'
import { ConfigurationError } from '#shared/errors.ts'
import { originOf } from '#shared/kubernetes/access.ts'
import { folder } from '../publishers/support/folder.ts'
import { accessOf, failureOf, LIST, openClient, podOf, startApi } from './api.ts'

test.each([
  ['10.96.0.1', 443, 'https://10.96.0.1:443'],
  ['kubernetes.default.svc', 6443, 'https://kubernetes.default.svc:6443'],
  ['fd00:10:96::1', 443, 'https://[fd00:10:96::1]:443'],
  ['::1', 6443, 'https://[::1]:6443'],
])('the host %s and the port %i are %s', (host, port, origin) => {
  expect(originOf(host, port)).toBe(origin)
  expect(URL.canParse(origin)).toBe(true)
})

const hasIPv6 = Object.values(networkInterfaces()).some((all) =>
  all?.some(({ address }) => address === '::1'),
)

test.skipIf(!hasIPv6)('an API server at an IPv6 address is spoken to (needs ::1)', async () => {
  const api = await startApi({ host: '::1' })
  const client = await openClient({ ...podOf(api), serviceHost: '::1' })
  expect(await client.request(LIST)).toMatchObject({ status: 200 })
})

test('a pod uses its service account: host, port, namespace', async () => {
  const api = await startApi()
  const access = await accessOf(podOf(api))
  expect(access).toMatchObject({ origin: api.origin, basePath: '' })
  expect(await access.namespace()).toBe('ptp-watch')
})

test('a pod without the files of a service account cannot be configured so', async () => {
  const serviceAccount = await folder()
  const error = await failureOf(accessOf({ serviceHost: '10.96.0.1', serviceAccount }))
  expect(error).toBeInstanceOf(ConfigurationError)
  expect(String(error)).toContain(serviceAccount)
})

test('a namespace file that is missing matters only where no namespace is named', async () => {
  const api = await startApi()
  await rm(join(api.serviceAccount, 'namespace'))
  const access = await accessOf(podOf(api))
  expect(await failureOf(access.namespace())).toBeInstanceOf(ConfigurationError)
})

test('KUBECONFIG goes before the service account, and ~/.kube/config comes last', async () => {
  const api = await startApi({ tls: false })
  const both = await accessOf({ ...podOf(api), kubeconfig: api.kubeconfig })
  expect(both.source).toContain(api.kubeconfig)
  const home = await folder()
  vi.stubEnv('HOME', home)
  onTestFinished(() => void vi.unstubAllEnvs())
  const error = await failureOf(accessOf({}))
  expect(error).toBeInstanceOf(ConfigurationError)
  expect(String(error)).toContain(join(home, '.kube', 'config'))
})

/** A kubeconfig of one context, with what is given laid over what works. */
async function kubeconfigWith(cluster: object, user: object, top: object = {}): Promise<string> {
  const path = join(await folder(), 'config')
  const content = {
    'current-context': 'here',
    clusters: [{ name: 'c', cluster }],
    contexts: [{ name: 'here', context: { cluster: 'c', user: 'u' } }],
    users: [{ name: 'u', user }],
    ...top,
  }
  await writeFile(path, stringify(content))
  return path
}

const base64 = async (path: string) => (await readFile(path)).toString('base64')

test('a kubeconfig may name files: CA and token, relative to itself', async () => {
  const api = await startApi()
  expect(await (await openClient({ kubeconfig: api.kubeconfig })).request(LIST)).toMatchObject({
    status: 200,
  })
  const access = await accessOf({ kubeconfig: api.kubeconfig })
  expect(await access.namespace()).toBe('from-context')
})

test('a kubeconfig may hold the CA and a token itself', async () => {
  const api = await startApi()
  const ca = await base64(join(api.serviceAccount, 'ca.crt'))
  const kubeconfig = await kubeconfigWith(
    { server: `${api.origin}/`, 'certificate-authority-data': ca },
    { token: 'first-token' },
  )
  expect(await (await openClient({ kubeconfig })).request(LIST)).toMatchObject({ status: 200 })
  expect(await (await accessOf({ kubeconfig })).namespace()).toBe('default')
})

test('a client certificate is shown, from files or from the kubeconfig itself', async () => {
  const api = await startApi()
  const at = (name: string) => join(api.serviceAccount, '..', name)
  const cluster = { server: api.origin, 'certificate-authority': join(api.serviceAccount, 'ca.crt') }
  const byFile = { 'client-certificate': at('client.crt'), 'client-key': at('client.key') }
  const byData = {
    'client-certificate-data': await base64(at('client.crt')),
    'client-key-data': await base64(at('client.key')),
  }
  for (const user of [byFile, byData]) {
    const client = await openClient({ kubeconfig: await kubeconfigWith(cluster, user) })
    expect(await client.request(LIST)).toMatchObject({ status: 200 })
  }
  const nobody = await openClient({ kubeconfig: await kubeconfigWith(cluster, {}) })
  expect(String(await failureOf(nobody.request(LIST)))).toContain('system:anonymous')
  expect(api.requests.map(({ token }) => token)).toEqual(['', '', ''])
})

test('a server behind a path is asked under that path', async () => {
  const api = await startApi({ tls: false })
  const kubeconfig = await kubeconfigWith(
    { server: `${api.origin}/k8s/clusters/c-1/` },
    { token: 'first-token' },
  )
  expect(await accessOf({ kubeconfig })).toMatchObject({ origin: api.origin, basePath: '/k8s/clusters/c-1' })
})

test('of several kubeconfigs the first to name something counts, and one that is missing does not', async () => {
  const api = await startApi({ tls: false })
  const first = await kubeconfigWith({ server: api.origin }, { token: 'first-token' })
  const second = await kubeconfigWith(
    { server: 'http://elsewhere' },
    { token: 'x' },
    { 'current-context': 'b' },
  )
  const kubeconfig = ['/nowhere/config', first, second].join(delimiter)
  expect(await (await openClient({ kubeconfig })).request(LIST)).toMatchObject({ status: 200 })
})

test('null in a kubeconfig means the same as nothing', async () => {
  const api = await startApi({ tls: false })
  const cluster = { server: api.origin, 'certificate-authority': null, 'insecure-skip-tls-verify': null }
  const user = { token: 'first-token', tokenFile: null, exec: null, username: null }
  const missing = await kubeconfigWith(cluster, user, { 'current-context': null, clusters: null })
  const kubeconfig = [missing, await kubeconfigWith(cluster, user)].join(delimiter)
  expect(await (await openClient({ kubeconfig })).request(LIST)).toMatchObject({ status: 200 })
})

const SERVER = { server: 'https://10.0.0.1:6443' }

test.each([
  ['an exec plug-in', SERVER, { exec: { command: 'aws' } }, /exec plug-in.*not supported/],
  ['an auth provider', SERVER, { 'auth-provider': { name: 'oidc' } }, /auth-provider/],
  ['a password', SERVER, { username: 'me', password: 'hunter2' }, /password/],
  [
    'no look at the certificate',
    { ...SERVER, 'insecure-skip-tls-verify': true },
    {},
    /insecure-skip-tls-verify/,
  ],
  ['a proxy', { ...SERVER, 'proxy-url': 'http://proxy' }, {}, /proxy-url/],
  ['a server that is not a URL', { server: '10.0.0.1:6443' }, {}, /server is not a URL/],
  ['a cluster without a server', {}, {}, /cluster c that cannot be used/],
  ['a token file that is missing', SERVER, { tokenFile: 'nowhere/token' }, /nowhere\/token/],
])('a kubeconfig that asks for %s is refused with that', async (_, cluster, user, problem) => {
  const error = await failureOf(accessOf({ kubeconfig: await kubeconfigWith(cluster, user) }))
  expect(error).toBeInstanceOf(ConfigurationError)
  expect(String(error)).toMatch(problem)
  expect(String(error)).not.toContain('hunter2')
})

test.each([
  ['no current context', { 'current-context': undefined }, /has no current-context/],
  ['a context that is not there', { 'current-context': 'gone' }, /has no context gone/],
  ['no users', { users: null }, /has no user u/],
])('a kubeconfig with %s is refused with that', async (_, top, problem) => {
  const error = await failureOf(accessOf({ kubeconfig: await kubeconfigWith(SERVER, {}, top) }))
  expect(error).toBeInstanceOf(ConfigurationError)
  expect(String(error)).toMatch(problem)
})

test('a kubeconfig that is no YAML is refused without a word of what it holds', async () => {
  const path = join(await folder(), 'config')
  await writeFile(path, 'users: [{ token: hunter2\n : }')
  const error = await failureOf(accessOf({ kubeconfig: path }))
  expect(error).toBeInstanceOf(ConfigurationError)
  expect(String(error)).toContain(path)
  expect(String(error)).not.toContain('hunter2')
})
