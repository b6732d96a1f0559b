import { globSync, readFileSync } from 'node:fs'
import * as z from 'zod/mini'

const message = { headers: z.record(z.string(), z.string()), body: z.nullable(z.string()) }

const exchange = z.object({
  n: z.number(),
  t: z.string(),
  ms: z.number(),
  dir: z.string(),
  request: z.object({ method: z.string(), target: z.string(), ...message }),
  response: z.nullable(z.object({ status: z.number(), ...message })),
  during: z.optional(z.number()),
})

export type Exchange = z.infer<typeof exchange>

export type Recording = {
  /** `main-v2/events-oc`. */
  readonly name: string
  readonly dialect: 'red-hat-v1' | 'red-hat-v2' | 'starlingx-v2'
  readonly node: string
  readonly exchanges: readonly Exchange[]
}

/** The node of Red Hat's recordings. */
const NODE = 'node1.example.com'
/** Nodes behind StarlingX's sidecar that PTP Watch was configured with. */
const STARLINGX_NODES = ['controller-0', 'controller-1']

/** All recordings of the dialects that we speak, once for each node. */
export function recordings(): Recording[] {
  const folder = new URL('../fixtures/transcripts/', import.meta.url)
  return globSync('*/*.jsonl', { cwd: folder })
    .filter((file) => !file.startsWith('release-4.14-v1-direct/'))
    .sort()
    .flatMap((file): Recording[] => {
      const [, ...lines] = readFileSync(new URL(file, folder), 'utf8').trimEnd().split('\n')
      const name = file.replace(/\.jsonl$/, '')
      const exchanges = lines.map((line) => z.parse(exchange, JSON.parse(line)))
      if (file.startsWith('starlingx')) {
        return STARLINGX_NODES.map((node) => {
          const ofNode = exchanges.filter((one) => isOf(one, node))
          return { name: `${name} ${node}`, dialect: 'starlingx-v2', node, exchanges: ofNode }
        })
      }
      return [{ name, dialect: file.includes('-v1/') ? 'red-hat-v1' : 'red-hat-v2', node: NODE, exchanges }]
    })
}

/** Whether an exchange is of one of several nodes behind a sidecar. */
function isOf({ request: { target, body } }: Exchange, node: string): boolean {
  return (
    target.startsWith(`/event/${node}/`) ||
    target.includes(`/./${node}/`) ||
    (body?.includes(`"/./${node}/`) ?? false)
  )
}

/** Milliseconds since the epoch at which an exchange began. */
export function beginOf({ t }: Exchange): number {
  return Date.parse(t)
}

/** A notification to the endpoint that stands for us (9189 is another consumer's, 9199 nobody's). */
export function isOurNotification({ dir, request }: Exchange): boolean {
  const isPost = dir.endsWith('->consumer') && request.method === 'POST' && (request.body ?? '') !== ''
  return isPost && (request.headers.Host ?? '').endsWith(':9089')
}

/** The address of the resource that a pull asks for; undefined if the exchange is no pull of a state. */
export function pulledAddress({ dir, request }: Exchange): string | undefined {
  if (!dir.startsWith('consumer->') || request.method !== 'GET') return undefined
  const match =
    /^\/api\/ocloudNotifications\/v[12](\/cluster\/node\/[^/]+\/.+)\/CurrentState$/.exec(request.target) ??
    /^\/ocloudNotifications\/v2(\/\.\/[^/]+\/sync\/.+)\/CurrentState$/.exec(request.target)
  return match?.[1]
}
