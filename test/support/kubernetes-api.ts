// `kubernetes-api.ts <folder>`: as a process of its own, until its standard input ends. Prints a line when it serves,
// and one for each command that it is given by a line: `away`, `back`, `writes` (answered with their number).
import { once } from 'node:events'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { TLSSocket } from 'node:tls'
import { stringify } from 'yaml'
import { createAuthority } from '../publishers/support/certificates.ts'
import { freePort } from './free-port.ts'
import { createEvents, type Events } from './kubernetes-api/events.ts'
import { createNodes, type Nodes } from './kubernetes-api/nodes.ts'
import { createObjects, type Objects } from './kubernetes-api/objects.ts'
import { Refusal } from './kubernetes-api/refusal.ts'
import {
  type Asked,
  answer,
  answerCollection,
  answerPods,
  answerServices,
  askedOf,
  discoveryOf,
  type Verb,
} from './kubernetes-api/routes.ts'
import { createPods, type Pods } from './kubernetes-api/pods.ts'
import { createServices, type Services } from './kubernetes-api/services.ts'

export type SeenRequest = Omit<Asked, 'query'> & {
  readonly query: Readonly<Record<string, string>>
  readonly accept: string
  readonly token: string
  readonly status: number
  readonly bodyBytes: number
}

/** A Kubernetes API server on this machine that knows ConfigMaps, Nodes, Events, Services and Pods as far as we ask for them. */
export type KubernetesApi = {
  readonly origin: string
  readonly port: number
  /** A kubeconfig for it, and the folder that a pod would have of its service account. */
  readonly kubeconfig: string
  readonly serviceAccount: string
  readonly objects: Objects
  readonly services: Services
  readonly nodes: Nodes
  readonly events: Events
  readonly pods: Pods
  /** Everything that was answered, in order. */
  readonly requests: SeenRequest[]
  /** What the service account may do with ConfigMaps; all that the driver needs at first. */
  readonly allowed: Set<Verb>
  /** Where it may not do anything with ConfigMaps all the same; the empty name is the cluster as a whole. */
  readonly forbidden: Set<string>
  /** In which namespaces it may list Services; in `openshift-ptp` at first. */
  readonly discoverable: Set<string>
  /** What it may do with Nodes, Events and Pods, as `patch nodes/status`; all that is known here at first. */
  readonly permitted: Set<string>
  /** The token that is good, in the file too; the one before is bad from now on. */
  rotateToken(token: string, options?: { inFile?: boolean }): Promise<void>
  /** Sends no more objects of a list at once than this, whatever it is asked for. */
  limitPages(objects: number): void
  /** Answers the next `count` requests in this way, before it looks at them. */
  refuseNext(count: number, reply: { code: number; headers?: Record<string, string>; body?: string }): void
  /** Carries out the next `count` requests, and cuts the connection instead of answering. */
  loseNext(count: number): void
  /** Runs before each request that is let in is carried out: to come first, or to make it wait. */
  before(run: (asked: Asked) => Promise<void> | void): void
  /** Nobody is listening any more; what is stored stays. */
  away(): Promise<void>
  back(): Promise<void>
  close(): Promise<void>
}

/** Files go into `folder`. Without `tls` it is what `kubectl proxy` offers: plain HTTP. */
export async function startKubernetesApi(
  folder: string,
  { tls = true, host = '127.0.0.1', authority = 'cluster' } = {},
): Promise<KubernetesApi> {
  const files = await writeFiles(folder, tls ? authority : undefined)
  const objects = createObjects()
  const requests: SeenRequest[] = []
  const services = createServices()
  const allowed = new Set<Verb>(['get', 'list', 'create', 'update', 'patch', 'delete'])
  const discoverable = new Set(['openshift-ptp'])
  const nodes = createNodes()
  const events = createEvents()
  const pods = createPods()
  const permitted = new Set(PERMITTED)
  const forbidden = new Set<string>()
  const isAllowed = (asked: Asked) => {
    const { resource, verb, namespace } = asked
    if (resource === 'configmaps') return allowed.has(verb) && !forbidden.has(namespace)
    if (resource === 'services') return verb === 'list' && discoverable.has(namespace)
    return permitted.has(`${verb} ${nameOf(asked)}`)
  }
  let token = FIRST_TOKEN
  let refusals: { count: number; reply: Parameters<KubernetesApi['refuseNext']>[1] } | undefined
  let toLose = 0
  let mostAPage = 0
  let before: (asked: Asked) => Promise<void> | void = () => {}

  /** Who asks; throws 401 for a token that is not good. Without any credentials one is anonymous. */
  function userOf(request: IncomingMessage): string | undefined {
    const bearer = request.headers.authorization
    if (bearer === `Bearer ${token}`) return 'system:serviceaccount:ptp-watch:ptp-watch'
    if (bearer !== undefined) throw new Refusal(401, 'Unauthorized', 'Unauthorized')
    const { socket } = request
    return socket instanceof TLSSocket && socket.authorized ? 'client-certificate' : undefined
  }

  async function carryOut(request: IncomingMessage, asked: Asked | undefined, body: string) {
    const user = userOf(request)
    const discovery = discoveryOf(request.url ?? '')
    if (user !== undefined && discovery !== undefined) return { code: 200, body: discovery }
    if (asked === undefined)
      throw new Refusal(403, 'Forbidden', `forbidden: User "${user}" cannot ${request.url}`)
    if (user === undefined || !isAllowed(asked)) {
      throw new Refusal(
        403,
        'Forbidden',
        `${asked.resource}${asked.name && ` "${asked.name}"`} is forbidden: User "${user ?? 'system:anonymous'}" cannot ${asked.verb} resource "${nameOf(asked)}" in API group "" ${asked.namespace === '' ? 'at the cluster scope' : `in the namespace "${asked.namespace}"`}`,
      )
    }
    if (Buffer.byteLength(body) > 3 * 1024 * 1024) {
      throw new Refusal(413, 'RequestEntityTooLarge', 'Request entity too large: limit is 3145728')
    }
    await before(asked)
    if (mostAPage > 0 && asked.query.has('limit')) asked.query.set('limit', String(mostAPage))
    if (asked.resource === 'services') return answerServices(services, asked)
    const { accept = '', 'content-type': contentType = '' } = request.headers
    if (asked.resource === 'pods') {
      if (asked.subresource === '') return answerPods(pods, asked)
      const { code, type, body } = await pods.proxy(asked.namespace, asked.name, asked.proxied)
      return { code, type, raw: body }
    }
    if (asked.resource === 'nodes') return answerCollection(nodes, asked, { accept, contentType }, body)
    if (asked.resource === 'events') return answerCollection(events, asked, { accept, contentType }, body)
    return answer(objects, asked, { accept, contentType }, body)
  }

  async function serve(request: IncomingMessage, response: ServerResponse) {
    const body = await text(request)
    const asked = askedOf(request.method ?? '', request.url ?? '')
    const reply = (code: number, headers: Record<string, string>, content: string) => {
      const { accept = '', authorization = '' } = request.headers
      if (asked !== undefined) {
        const query = Object.fromEntries(asked.query)
        const sent = { ...asked, query, accept, token: authorization.replace('Bearer ', '') }
        requests.push({ ...sent, status: code, bodyBytes: Buffer.byteLength(body) })
      }
      if (toLose > 0) {
        toLose -= 1
        response.destroy()
      } else response.writeHead(code, headers).end(content)
    }
    if (refusals !== undefined && refusals.count > 0) {
      refusals.count -= 1
      return reply(refusals.reply.code, refusals.reply.headers ?? {}, refusals.reply.body ?? '')
    }
    const json = { 'content-type': 'application/json' }
    try {
      const answered = await carryOut(request, asked, body)
      if ('raw' in answered) reply(answered.code, { 'content-type': answered.type }, answered.raw)
      else reply(answered.code, json, JSON.stringify(answered.body))
    } catch (error) {
      const refusal = error instanceof Refusal ? error : new Refusal(500, 'InternalError', String(error))
      reply(refusal.code, json, JSON.stringify(refusal.status()))
    }
  }

  const listener = (request: IncomingMessage, response: ServerResponse) => {
    // A request that is cut off has nobody to answer to.
    serve(request, response).catch(() => response.destroy())
  }
  const server = files.tls
    ? createHttpsServer({ ...files.tls, requestCert: true, rejectUnauthorized: false }, listener)
    : createHttpServer(listener)
  const port = await freePort()
  const listen = async () => {
    server.listen(port, host)
    await once(server, 'listening')
  }
  const leave = async () => {
    if (!server.listening) return
    const left = once(server, 'close')
    server.close()
    // A connection whose handshake is under way is none of its yet, and would be served for as long as it stays.
    const closing = setInterval(() => server.closeAllConnections(), 5)
    server.closeAllConnections()
    await left.finally(() => clearInterval(closing))
  }

  await listen()
  const origin = `${tls ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}`
  await files.writeKubeconfig(origin)
  return {
    origin,
    port,
    kubeconfig: files.kubeconfig,
    serviceAccount: files.serviceAccount,
    objects,
    services,
    nodes,
    events,
    pods,
    requests,
    allowed,
    discoverable,
    permitted,
    forbidden,
    async rotateToken(next, { inFile = true } = {}) {
      token = next
      if (inFile) await files.writeToken(next)
    },
    limitPages(objects) {
      mostAPage = objects
    },
    refuseNext(count, reply) {
      refusals = { count, reply }
    },
    loseNext(count) {
      toLose = count
    },
    before(run) {
      before = run
    },
    away: leave,
    back: listen,
    close: leave,
  }
}

/** As RBAC names it: `nodes/status`. */
const nameOf = ({ resource, subresource }: Asked) => `${resource}${subresource && `/${subresource}`}`

const PERMITTED = [
  'get nodes',
  'list nodes',
  'patch nodes',
  'patch nodes/status',
  'create events',
  'get events',
  'list events',
  'patch events',
  'list pods',
  'get pods/proxy',
]

const FIRST_TOKEN = 'first-token'

async function writeFiles(folder: string, name: string | undefined) {
  const serviceAccount = join(folder, 'serviceaccount')
  const kubeconfig = join(folder, 'kubeconfig')
  await mkdir(serviceAccount, { recursive: true })
  const authority = name === undefined ? undefined : await createAuthority(folder, name)
  const pair = await authority?.issue('kubernetes')
  const writeToken = async (token: string) => {
    // As the kubelet does it: another file takes the place of the old one.
    await writeFile(join(folder, 'next-token'), `${token}\n`)
    await rename(join(folder, 'next-token'), join(serviceAccount, 'token'))
  }
  await writeToken(FIRST_TOKEN)
  await writeFile(join(serviceAccount, 'namespace'), 'ptp-watch')
  if (authority !== undefined) {
    const client = await authority.issue('client')
    await writeFile(join(serviceAccount, 'ca.crt'), authority.cert)
    await writeFile(join(folder, 'client.crt'), client.cert)
    await writeFile(join(folder, 'client.key'), client.key)
  }
  const writeKubeconfig = (server: string) =>
    writeFile(
      kubeconfig,
      stringify({
        apiVersion: 'v1',
        kind: 'Config',
        'current-context': 'test',
        clusters: [
          {
            name: 'test',
            cluster: { server, ...(pair && { 'certificate-authority': 'serviceaccount/ca.crt' }) },
          },
        ],
        contexts: [{ name: 'test', context: { cluster: 'test', user: 'test', namespace: 'from-context' } }],
        users: [{ name: 'test', user: { tokenFile: 'serviceaccount/token' } }],
      }),
    )
  return {
    serviceAccount,
    kubeconfig,
    writeToken,
    writeKubeconfig,
    tls: authority && pair && { ...pair, ca: authority.cert },
  }
}

if (import.meta.main) {
  const api = await startKubernetesApi(process.argv[2] ?? '.')
  const isWrite = ({ verb }: SeenRequest) => verb !== 'get' && verb !== 'list'
  process.stdout.write(`${api.origin}\n`)
  for await (const command of createInterface({ input: process.stdin })) {
    if (command === 'away') await api.away()
    if (command === 'back') await api.back()
    process.stdout.write(`${command === 'writes' ? api.requests.filter(isWrite).length : command}\n`)
  }
  await api.close()
}
