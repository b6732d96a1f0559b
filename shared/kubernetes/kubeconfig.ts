import { readFile } from 'node:fs/promises'
import { delimiter, dirname, resolve } from 'node:path'
import { parse } from 'yaml'
import * as z from 'zod/mini'
import { type Credentials, type CredentialSource, createCredentials } from '#shared/credentials.ts'
import { ConfigurationError, reasonOf } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import type { Clock } from '#shared/time.ts'
import type { Access } from './client.ts'
import { execCredentials } from './exec-credential.ts'
import { orAbsent } from './status.ts'

const text = orAbsent(z.string())

const clusterSchema = z.object({
  server: z.string(),
  'certificate-authority': text,
  'certificate-authority-data': text,
  'tls-server-name': text,
  'insecure-skip-tls-verify': orAbsent(z.boolean()),
  'proxy-url': text,
})

const userSchema = z.object({
  token: text,
  tokenFile: text,
  'client-certificate': text,
  'client-certificate-data': text,
  'client-key': text,
  'client-key-data': text,
  exec: z.optional(z.unknown()),
  'auth-provider': z.optional(z.unknown()),
  username: text,
})

type Cluster = z.infer<typeof clusterSchema>
type User = z.infer<typeof userSchema>

const contextSchema = z.object({ cluster: z.string(), user: text, namespace: text })

/** Lists may be absent or null, as `kubectl config` leaves them. */
const entries = z.nullish(z.array(z.looseObject({ name: z.string() })))

const kubeconfigSchema = z.object({
  'current-context': text,
  clusters: entries,
  contexts: entries,
  users: entries,
})

/** One file, as far as it was looked into. */
type Kubeconfig = { path: string; content: z.infer<typeof kubeconfigSchema> }

/**
 * The access that a context of a kubeconfig names: `wanted`, or its current one. `paths` may be several, separated as in PATH; as in
 * kubectl the first to name something counts, and files that do not exist are left out.
 *
 * Supported are a CA, a bearer token and a client certificate, each in the file or in one of its own; and, with `exec`,
 * credential plug-ins, which are asked once: what stays would outlive what they give.
 * @throws ConfigurationError also for passwords, proxies, and servers whose certificate is not checked.
 */
export async function readKubeconfig(
  paths: string,
  deps: { clock: Clock; log: Log },
  { context: wanted, exec = false }: { context?: string | undefined; exec?: boolean | undefined } = {},
): Promise<Access> {
  const named = paths.split(delimiter).filter((path) => path !== '')
  const files = (await Promise.all(named.map(readOne))).flat()
  const refuse = (problem: string) => new ConfigurationError([`The kubeconfig ${paths} ${problem}`])
  if (files.length === 0) {
    throw refuse(
      'does not exist, and this process runs in no Kubernetes pod (KUBERNETES_SERVICE_HOST is not set)',
    )
  }

  const find = <T extends z.ZodMiniType>(kind: 'cluster' | 'context' | 'user', name: string, schema: T) => {
    for (const { path, content } of files) {
      const entry = content[`${kind}s`]?.find((one) => one.name === name)
      if (entry === undefined) continue
      const parsed = schema.safeParse(entry[kind])
      if (parsed.success) return { path, value: parsed.data }
      throw refuse(`has a ${kind} ${name} that cannot be used: ${z.prettifyError(parsed.error)}`)
    }
    throw refuse(`has no ${kind} ${name}`)
  }

  const current = wanted ?? files.map(({ content }) => content['current-context']).find(Boolean)
  if (current === undefined) throw refuse('has no current-context')
  const context = find('context', current, contextSchema).value
  const cluster = find('cluster', context.cluster, clusterSchema)
  const user = context.user ? find('user', context.user, userSchema) : undefined
  const unusable = unsupported(cluster.value, user?.value, exec)
  if (unusable !== undefined) throw refuse(`asks for ${unusable}, which is not supported`)
  if (!/^https?:\/\//.test(cluster.value.server) || !URL.canParse(cluster.value.server)) {
    throw refuse(`has a cluster ${context.cluster} whose server is no URL`)
  }

  const server = new URL(cluster.value.server)
  const plugin = user?.value.exec
  const given = plugin ? await execCredentials(plugin, dirname(resolve(user?.path ?? ''))) : undefined
  const credentials = credentialsOf(cluster, user, deps, given)
  await credentials.current()
  return {
    origin: server.origin,
    basePath: server.pathname.replace(/\/+$/, ''),
    serverName: cluster.value['tls-server-name'],
    credentials,
    namespace: async () => context.namespace || 'default',
    source: `the context ${current} of ${paths}`,
  }
}

async function readOne(path: string): Promise<Kubeconfig[]> {
  try {
    const content = kubeconfigSchema.safeParse(parse(await readFile(path, 'utf8')))
    if (!content.success) throw new Error(z.prettifyError(content.error))
    return [{ path, content: content.data }]
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    // What a YAML parser says of a text quotes it, and this one holds secrets.
    const isSyntax = error instanceof Error && error.name.startsWith('YAML')
    const reason = isSyntax ? 'it is not YAML' : reasonOf(error)
    throw new ConfigurationError([`The kubeconfig ${path} cannot be read: ${reason}`])
  }
}

function unsupported(cluster: Cluster, user: User | undefined, exec: boolean): string | undefined {
  if (cluster['insecure-skip-tls-verify']) return 'insecure-skip-tls-verify (name a certificate-authority)'
  if (cluster['proxy-url']) return 'a proxy-url'
  if (user?.exec && !exec)
    return 'an exec plug-in for its user (make a service account token: kubectl create token)'
  if (user?.['auth-provider']) return 'an auth-provider for its user'
  if (user?.username) return 'a password for its user'
  return undefined
}

/** What is written in the kubeconfig itself stands, what it names by path is read again when it changes. */
function credentialsOf(
  cluster: { path: string; value: Cluster },
  user: { path: string; value: User } | undefined,
  deps: { clock: Clock; log: Log },
  given: Credentials = {},
): CredentialSource {
  const { value: own, path } = user ?? { value: {}, path: '' }
  const ca = decoded(cluster.value['certificate-authority-data'])
  const cert = decoded(own['client-certificate-data']) ?? given.cert
  const key = decoded(own['client-key-data']) ?? given.key
  const token = own.token || given.token
  const fileOf = (written: string | undefined, from: string, named: string | undefined) =>
    written === undefined && named ? resolve(dirname(from), named) : undefined
  const files = {
    ca: fileOf(ca, cluster.path, cluster.value['certificate-authority']),
    cert: fileOf(cert, path, own['client-certificate']),
    key: fileOf(key, path, own['client-key']),
    token: fileOf(token, path, own.tokenFile),
  }
  return createCredentials(files, deps, {
    whom: 'the Kubernetes API server',
    values: { ca, cert, key, token },
  })
}

function decoded(base64: string | undefined): string | undefined {
  return base64 ? Buffer.from(base64, 'base64').toString('utf8') : undefined
}
