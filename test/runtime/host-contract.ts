import { Client, type Dispatcher } from 'undici'
import { beforeAll, describe, expect, test } from 'vitest'
import type { HostedFunction } from './processes.ts'

export type ExpectedReply = {
  readonly status: number
  /** JSON to equal (asymmetric matchers allowed), `''` for no body at all; absent: not looked at. */
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, unknown>>
}

/** One request and what every host must make of it. */
export type ContractRow = {
  readonly name: string
  readonly method: Dispatcher.HttpMethod
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
  readonly reply: ExpectedReply
  /** What the Functions Framework makes of it before we see it (docs/hosting.md lists these). */
  readonly onFramework?: ExpectedReply
}

/** How a function under the contract is started on each host. */
export type Hosts = Readonly<Record<'serve' | 'framework', () => Promise<HostedFunction>>>

/** Runs a table of requests against a function on every host, over real sockets to real processes. */
export function hostContract(title: string, hosts: Hosts, rows: readonly ContractRow[]): void {
  describe.each(['serve', 'framework'] as const)(`${title}, hosted by %s`, (kind) => {
    let host: HostedFunction
    /** Sends paths as they are written, which `request` of a URL does not. */
    let client: Client
    beforeAll(async () => {
      host = await hosts[kind]()
      client = new Client(host.url)
      return async () => {
        await client.close()
        await host.stop()
      }
    })

    test.each(rows)('$name', async (row) => {
      const { method, path, headers = {}, body = null } = row
      const expected = (kind === 'framework' ? row.onFramework : undefined) ?? row.reply
      const reply = await client.request({ path, method, headers, body })
      const text = await reply.body.text()
      expect({ status: reply.statusCode, text }).toEqual({
        status: expected.status,
        text: expect.any(String),
      })
      expect(reply.headers).toMatchObject(expected.headers ?? {})
      if (expected.body === '') expect(text).toBe('')
      else if (expected.body !== undefined) expect(JSON.parse(text)).toEqual(expected.body)
    })
  })
}

/** A refusal in our own shape. */
export function refusal(status: number, code: string): ExpectedReply {
  return {
    status,
    headers: { 'content-type': 'application/json' },
    body: { error: { code, message: expect.any(String) } },
  }
}

/** The rows that hold for every function: health, metrics, and their methods. */
export const HEALTH_ROWS: readonly ContractRow[] = [
  {
    name: 'liveness',
    method: 'GET',
    path: '/health/liveness',
    reply: { status: 200, body: { status: 'live' } },
  },
  {
    name: 'readiness, with the store',
    method: 'GET',
    path: '/health/readiness',
    reply: { status: 200, body: { status: 'ready', store: 'up' } },
  },
  { name: 'HEAD of liveness', method: 'HEAD', path: '/health/liveness', reply: { status: 200, body: '' } },
  { name: 'HEAD of readiness', method: 'HEAD', path: '/health/readiness', reply: { status: 200, body: '' } },
  {
    name: 'readiness with a query',
    method: 'GET',
    path: '/health/readiness?verbose',
    reply: { status: 200, body: { status: 'ready', store: 'up' } },
  },
  {
    name: 'POST to health is refused with what is allowed',
    method: 'POST',
    path: '/health/liveness',
    reply: { ...refusal(405, 'method-not-allowed'), headers: { allow: 'GET, HEAD' } },
  },
  {
    name: 'metrics in the text format of Prometheus',
    method: 'GET',
    path: '/metrics',
    reply: { status: 200, headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' } },
  },
  { name: 'HEAD of metrics', method: 'HEAD', path: '/metrics', reply: { status: 200, body: '' } },
  {
    name: 'DELETE of metrics is refused with what is allowed',
    method: 'DELETE',
    path: '/metrics',
    reply: { ...refusal(405, 'method-not-allowed'), headers: { allow: 'GET, HEAD' } },
  },
]
