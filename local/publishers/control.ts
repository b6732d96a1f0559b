import type { FaultChange } from './faults.ts'
import { empty, json } from './http/go-mux.ts'
import type { SimReply, SimRequest } from './http/server.ts'
import type { ClockChange, Publisher, RestartOptions } from './publisher.ts'

/**
 * The switches of a publisher over HTTP, beside its API:
 *
 *     GET  /_sim                                      what it holds: clocks, subscriptions, faults
 *     POST /_sim/clock    {"kind":"lock-state","state":"HOLDOVER","offset":12}   or an array of these
 *     POST /_sim/faults   {"drop":3} {"duplicate":1} {"reorder":1} {"delayMs":500} {"stuck":true}
 *                         {"currentState":{"lock-state":404}} {"clockOffsetMs":-60000} {"refuse":true}
 *                         {"clear":true}
 *     POST /_sim/restart  {"downMs":500,"warmUpMs":4000}   v1: {"part":"sidecar"}
 *     POST /_sim/forget   {}
 *     POST /_sim/ready    {}
 *
 * 204 when done. The bodies are those of `ClockChange`, `FaultChange` and `RestartOptions`; they are not
 * validated, since only people and tests of this project send them. A publisher that refuses connections
 * refuses here too: the fleet's own control port still reaches it.
 */
export function createControl(prefix = '/_sim') {
  return {
    /** Answers a control request, or undefined when it is none. */
    handle(publisher: Publisher, request: SimRequest): SimReply | Promise<SimReply> | undefined {
      if (request.path === prefix && request.method === 'GET') return json(200, publisher.describe())
      if (!request.path.startsWith(`${prefix}/`) || request.method !== 'POST') return undefined
      return run(publisher, request.path.slice(prefix.length + 1), request.body)
    },
  }
}

async function run(publisher: Publisher, verb: string, body: string): Promise<SimReply> {
  switch (verb) {
    case 'clock': {
      const changes: ClockChange | ClockChange[] = JSON.parse(body)
      publisher.setClock(...[changes].flat())
      return empty(204)
    }
    case 'faults': {
      const change: FaultChange = JSON.parse(body)
      // Refusing closes the very server that runs this: answer first.
      if (change.refuse) setImmediate(() => void publisher.faults(change))
      else await publisher.faults(change)
      return empty(204)
    }
    case 'restart': {
      const options: RestartOptions = JSON.parse(body || '{}')
      setImmediate(() => void publisher.restart(options))
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
