import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { delimiter, dirname, resolve } from 'node:path'
import { text as textOf } from 'node:stream/consumers'
import { parse } from 'yaml'
import * as z from 'zod/mini'
import { type Credentials, createCredentials } from '#shared/credentials.ts'
import { ConfigurationError, reasonOf } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import type { Clock } from '#shared/time.ts'
import type { Access } from './client.ts'
import { orAbsent } from './objects.ts'

/** A credential plug-in may ask a person to log in first. Milliseconds. */
const PATIENCE_MS = 120_000

const text = orAbsent(z.string())

const clusterSchema = z.object({
  server: z.string(),
  'certificate-authority': text,
  'certificate-authority-data': text,
  'tls-server-name': text,
  'insecure-skip-tls-verify': orAbsent(z.boolean()),
  'proxy-url': text,
})

/** A credential plug-in (client.authentication.k8s.io). */
const execSchema = z.object({
  apiVersion: text,
  command: z.string(),
  args: orAbsent(z.array(z.string())),
  env: orAbsent(z.array(z.object({ name: z.string(), value: z.string() }))),
  installHint: text,
})

const userSchema = z.object({
  token: text,
  tokenFile: text,
  'client-certificate': text,
  'client-certificate-data': text,
  'client-key': text,
  'client-key-data': text,
  exec: orAbsent(execSchema),
  'auth-provider': z.optional(z.unknown()),
  username: text,
})

const contextSchema = z.object({ cluster: z.string(), user: text, namespace: text })

/** Paths are relative to the folder of the file. */
type Cluster = z.infer<typeof clusterSchema> & { readonly folder: string }
type User = z.infer<typeof userSchema> & { readonly folder: string }

/** Lists may be absent or null: `kubectl config` leaves them like that. */
const entries = orAbsent(z.array(z.looseObject({ name: z.string() })))

const kubeconfigSchema = z.object({
  'current-context': text,
  clusters: entries,
  contexts: entries,
  users: entries,
})

const credentialSchema = z.object({
  status: z.object({ token: text, clientCertificateData: text, clientKeyData: text }),
})

/**
 * The access described by a context of a kubeconfig: `wanted`, or the current one. `paths` may be several, separated as
 * in PATH; as in kubectl, the first file that defines something wins, and files that do not exist are skipped.
 *
 * Supported are a CA, a bearer token and a client certificate, each inline or in a file that is read again when it
 * changes; and, with `exec`, credential plug-ins, which are run once: a long-running process would outlive the
 * credentials.
 * @throws ConfigurationError also for passwords, proxies, and disabled certificate checks.
 */
export async function readKubeconfig(
  paths: string,
  deps: { clock: Clock; log: Log },
  { context: wanted, exec }: { context?: string | undefined; exec?: boolean | undefined } = {},
): Promise<Access> {
  const refuse = (problem: string) => new ConfigurationError([`The kubeconfig ${paths} ${problem}`])
  const named = paths.split(delimiter).filter((path) => path !== '')
  const files = (await Promise.all(named.map(readOne))).flat()
  if (files.length === 0) {
    throw refuse(
      'does not exist, and this process runs in no Kubernetes pod (KUBERNETES_SERVICE_HOST is not set)',
    )
  }

  const find = <T>(kind: 'cluster' | 'context' | 'user', name: string, schema: z.ZodMiniType<T>) => {
    for (const { folder, content } of files) {
      const entry = content[`${kind}s`]?.find((one) => one.name === name)
      if (entry === undefined) continue
      const parsed = schema.safeParse(entry[kind])
      if (parsed.success) return { ...parsed.data, folder }
      throw refuse(`has a ${kind} ${name} that cannot be used: ${z.prettifyError(parsed.error)}`)
    }
    throw refuse(`has no ${kind} ${name}`)
  }

  const current = wanted ?? files.map(({ content }) => content['current-context']).find(Boolean)
  if (current === undefined) throw refuse('has no current-context')
  const context = find('context', current, contextSchema)
  const cluster = find('cluster', context.cluster, clusterSchema)
  const user = context.user ? find('user', context.user, userSchema) : { folder: '', ...userSchema.parse({}) }
  const unsupported = [
    [cluster['insecure-skip-tls-verify'], 'insecure-skip-tls-verify (name a certificate-authority)'],
    [cluster['proxy-url'], 'a proxy-url'],
    [user.exec && !exec, 'an exec plug-in for its user (make a service account token: kubectl create token)'],
    [user['auth-provider'], 'an auth-provider for its user'],
    [user.username, 'a password for its user'],
  ].find(([isAsked]) => isAsked)
  if (unsupported !== undefined) throw refuse(`asks for ${unsupported[1]}, which is not supported`)
  const server = URL.parse(cluster.server)
  if (server === null || !/^https?:$/.test(server.protocol)) {
    throw refuse(`has a cluster ${context.cluster} whose server is not a URL`)
  }

  const credentials = createCredentials(filesOf(cluster, user), deps, {
    whom: 'the Kubernetes API server',
    values: await valuesOf(cluster, user),
  })
  await credentials.current()
  return {
    origin: server.origin,
    basePath: server.pathname.replace(/\/+$/, ''),
    serverName: cluster['tls-server-name'],
    credentials,
    namespace: async () => context.namespace || 'default',
    source: `the context ${current} of ${paths}`,
  }
}

async function readOne(path: string) {
  try {
    const content = kubeconfigSchema.safeParse(parse(await readFile(path, 'utf8')))
    if (!content.success) throw new Error(z.prettifyError(content.error))
    return [{ folder: dirname(resolve(path)), content: content.data }]
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    // A YAML parser's message quotes the text, which contains secrets.
    const isSyntax = error instanceof Error && error.name.startsWith('YAML')
    const reason = isSyntax ? 'it is not YAML' : reasonOf(error)
    throw new ConfigurationError([`The kubeconfig ${path} cannot be read: ${reason}`])
  }
}

function filesOf(cluster: Cluster, user: User): Credentials {
  const at = (folder: string, path: string | undefined) => (path ? resolve(folder, path) : undefined)
  return {
    ca: at(cluster.folder, cluster['certificate-authority']),
    cert: at(user.folder, user['client-certificate']),
    key: at(user.folder, user['client-key']),
    token: at(user.folder, user.tokenFile),
  }
}

/** Credentials written in the kubeconfig itself or returned by a plug-in. */
async function valuesOf(cluster: Cluster, user: User): Promise<Credentials> {
  const given = user.exec && (await execCredentials(user.exec, user.folder))
  return {
    ca: decoded(cluster['certificate-authority-data']),
    cert: decoded(user['client-certificate-data']) ?? given?.cert,
    key: decoded(user['client-key-data']) ?? given?.key,
    token: user.token || given?.token,
  }
}

function decoded(base64: string | undefined): string | undefined {
  return base64 ? Buffer.from(base64, 'base64').toString('utf8') : undefined
}

/** Runs a plug-in. `folder`: that of the kubeconfig; a command with a slash is relative to it. */
async function execCredentials(exec: z.infer<typeof execSchema>, folder: string): Promise<Credentials> {
  const { apiVersion, command, args, env = [], installHint } = exec
  const info = { kind: 'ExecCredential', apiVersion, spec: { interactive: process.stdin.isTTY === true } }
  try {
    // People see what it prints, such as where to log in, and can answer it.
    const child = spawn(command.includes('/') ? resolve(folder, command) : command, args ?? [], {
      env: {
        ...process.env,
        ...Object.fromEntries(env.map(({ name, value }) => [name, value])),
        KUBERNETES_EXEC_INFO: JSON.stringify(info),
      },
      stdio: ['inherit', 'pipe', 'inherit'],
      timeout: PATIENCE_MS,
    })
    const [out, [code, signal]] = await Promise.all([textOf(child.stdout), once(child, 'close')])
    if (code !== 0) throw new Error(code === null ? `ended by ${signal}` : `exit code ${code}`)
    const {
      token,
      clientCertificateData: cert,
      clientKeyData: key,
    } = credentialSchema.parse(JSON.parse(out)).status
    if (token === undefined && cert === undefined)
      throw new Error('it gave neither a token nor a certificate')
    return { token, cert, key }
  } catch (error) {
    // Its output may contain the token.
    const isShape = error instanceof SyntaxError || error instanceof z.core.$ZodError
    const reason = isShape ? 'it did not write an ExecCredential' : reasonOf(error)
    const hint = installHint === undefined ? '' : `\n${installHint}`
    throw new ConfigurationError([`The kubeconfig's credential plug-in ${command} failed: ${reason}${hint}`])
  }
}
