import * as z from 'zod/mini'
import { empty, json } from './http/go-mux.ts'
import type { SimReply, SimRequest } from './http/server.ts'
import type { Publisher } from './publisher.ts'

const figure = z.union([z.string(), z.number()])

const clockChange = z.strictObject({
  kind: z.enum([
    'lock-state',
    'os-clock-sync-state',
    'clock-class',
    'gnss-sync-status',
    'synce-lock-state',
    'synce-clock-quality',
  ]),
  instance: z.exactOptional(z.string()),
  config: z.exactOptional(z.string()),
  state: z.exactOptional(z.string()),
  offset: z.exactOptional(figure),
  clockClass: z.exactOptional(figure),
  gpsFix: z.exactOptional(figure),
  ql: z.exactOptional(figure),
  extQl: z.exactOptional(figure),
  announce: z.exactOptional(z.enum(['auto', 'always', 'never', 'only'])),
})

const stateAnswer = z.nullable(z.union([z.literal(404), z.literal(500), z.literal('hang')]))

const faultChange = z.strictObject({
  clear: z.exactOptional(z.boolean()),
  drop: z.exactOptional(z.number()),
  duplicate: z.exactOptional(z.number()),
  reorder: z.exactOptional(z.number()),
  delayMs: z.exactOptional(z.number()),
  clockOffsetMs: z.exactOptional(z.number()),
  currentState: z.exactOptional(
    z.strictObject({
      all: z.exactOptional(stateAnswer),
      'lock-state': z.exactOptional(stateAnswer),
      'os-clock-sync-state': z.exactOptional(stateAnswer),
      'clock-class': z.exactOptional(stateAnswer),
      'gnss-sync-status': z.exactOptional(stateAnswer),
      'sync-state': z.exactOptional(stateAnswer),
      'synce-lock-state': z.exactOptional(stateAnswer),
      'synce-clock-quality': z.exactOptional(stateAnswer),
    }),
  ),
  refuse: z.exactOptional(z.boolean()),
  stuck: z.exactOptional(z.boolean()),
  publisherDown: z.exactOptional(z.boolean()),
})

const restartOptions = z.strictObject({
  downMs: z.exactOptional(z.number()),
  warmUpMs: z.exactOptional(z.number()),
  replay: z.exactOptional(z.boolean()),
  part: z.exactOptional(z.enum(['publisher', 'sidecar'])),
})

/**
 * The switches of a publisher over HTTP, beside its API:
 *
 *     GET  /_sim                                      what it holds: clocks, subscriptions, faults
 *     POST /_sim/clock    {"kind":"lock-state","state":"HOLDOVER","offset":12}   or an array of these
 *     POST /_sim/faults   {"drop":3} {"duplicate":1} {"reorder":1} {"delayMs":500} {"clockOffsetMs":-60000}
 *                         {"currentState":{"lock-state":404}} {"refuse":true} {"clear":true}
 *                         v1: {"stuck":true} {"publisherDown":true}
 *     POST /_sim/restart  {"downMs":500,"warmUpMs":4000}   v1: {"part":"sidecar"}
 *     POST /_sim/forget   {}
 *     POST /_sim/ready    {}
 *
 * 204 when done, 400 with the reason when the body is not understood. The bodies are `ClockChange`,
 * `FaultChange` and `RestartOptions`. A publisher that refuses connections refuses here too: the fleet's
 * own control port still reaches it.
 */
export function createControl(prefix = '/_sim') {
  return {
    /** Answers a control request, or undefined when it is none. */
    handle(publisher: Publisher, request: SimRequest): SimReply | Promise<SimReply> | undefined {
      if (request.path === prefix && request.method === 'GET') return json(200, publisher.describe())
      if (!request.path.startsWith(`${prefix}/`) || request.method !== 'POST') return undefined
      return run(publisher, request.path.slice(prefix.length + 1), parse(request.body))
    },
  }
}

async function run(publisher: Publisher, verb: string, body: unknown): Promise<SimReply> {
  switch (verb) {
    case 'clock': {
      const changes = z.array(clockChange).safeParse([body].flat())
      if (!changes.success) return refuse(changes.error)
      publisher.setClock(...changes.data)
      return empty(204)
    }
    case 'faults': {
      const change = faultChange.safeParse(body)
      if (!change.success) return refuse(change.error)
      // Refusing closes the very server that runs this: answer first.
      if (change.data.refuse) setImmediate(() => void publisher.faults(change.data))
      else await publisher.faults(change.data)
      return empty(204)
    }
    case 'restart': {
      const options = restartOptions.safeParse(body)
      if (!options.success) return refuse(options.error)
      // It fails only when the publisher is closed while it is down, and then nobody waits for it.
      setImmediate(() => publisher.restart(options.data).catch(() => {}))
      return empty(204)
    }
    case 'forget':
      publisher.forget()
      return empty(204)
    case 'ready':
      publisher.becomeReady()
      return empty(204)
    default:
      return empty(404)
  }
}

const refuse = (error: z.core.$ZodError) => json(400, { error: z.prettifyError(error) })

function parse(body: string): unknown {
  try {
    return JSON.parse(body || '{}')
  } catch {
    return body
  }
}
