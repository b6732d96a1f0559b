import { once } from 'node:events'
import { createServer } from 'node:http'
import { request } from 'undici'
import { expect, onTestFinished, test } from 'vitest'
import { toFramework } from '#shared/runtime/framework.ts'
import type { FunctionDefinition } from '#shared/runtime/function.ts'
import { echo } from './echo/definition.ts'
import { gate } from './serving.ts'

/**
 * The adapter behind a server of Node's own, which parses no body, as the framework without a media type.
 */
async function hosted(load: () => Promise<FunctionDefinition>, env: Record<string, string>) {
  const errors: string[] = []
  const handler = toFramework(load, env, { bodyBytes: 100, err: (text) => errors.push(text) })
  const server = createServer((incoming, response) => void handler(incoming, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const ask = async (path: string, body?: string) => {
    const reply = await request(`http://127.0.0.1:${port}${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      body: body ?? null,
    })
    return { status: reply.statusCode, json: JSON.parse((await reply.body.text()) || 'null') }
  }
  return { ask, errors }
}

const ENV = { CALLBACK_URL: 'http://ingest', STATE_URL: 'memory:', LOG_LEVEL: 'silent' }

test('readiness says starting until the function is open, and asking for it opens it', async () => {
  const loaded = gate()
  const { ask } = await hosted(() => loaded.opened.then(() => echo), ENV)
  const starting = { status: 503, json: { error: { code: 'starting', message: expect.any(String) } } }
  expect(await ask('/health/readiness')).toEqual(starting)
  expect(await ask('/health/readiness')).toEqual(starting)
  const other = ask('/', 'x')
  loaded.open()
  expect(await other).toMatchObject({ status: 200, json: { size: 1 } })
  expect(await ask('/health/readiness')).toEqual({ status: 200, json: { status: 'ready', store: 'up' } })
})

test('a function is opened once for all requests', async () => {
  let loads = 0
  const load = () => {
    loads += 1
    return Promise.resolve(echo)
  }
  const { ask } = await hosted(load, ENV)
  expect(loads).toBe(0)
  await Promise.all([ask('/', 'a'), ask('/', 'b'), ask('/health/liveness')])
  await ask('/', 'c')
  expect(loads).toBe(1)
})

test('a function that cannot be opened says why, is not ready, and is tried again', async () => {
  const env: Record<string, string> = { ...ENV, PORT: 'x' }
  const { ask, errors } = await hosted(() => Promise.resolve(echo), env)
  expect(await ask('/health/readiness')).toMatchObject({ status: 503 })
  const refused = await ask('/', 'x')
  expect(refused).toMatchObject({ status: 500, json: { error: { code: 'configuration' } } })
  expect(refused.json.error.message).toContain('PORT must be')
  expect(errors.at(-1)).toContain('PORT must be')
  env.PORT = '0'
  expect(await ask('/', 'x')).toMatchObject({ status: 200 })
  expect(await ask('/health/readiness')).toMatchObject({ status: 200 })
})

test('a body that nobody parsed is read, up to the limit', async () => {
  const { ask } = await hosted(() => Promise.resolve(echo), ENV)
  expect(await ask('/', 'x'.repeat(100))).toMatchObject({ status: 200, json: { size: 100 } })
  expect(await ask('/', 'x'.repeat(101))).toMatchObject({
    status: 413,
    json: { error: { code: 'too-large' } },
  })
})

test('a function that can only be run is not served', async () => {
  const open: FunctionDefinition['open'] = () => Promise.resolve({ close: () => Promise.resolve() })
  const { ask, errors } = await hosted(() => Promise.resolve({ ...echo, open }), ENV)
  expect(await ask('/', 'x')).toMatchObject({ status: 500, json: { error: { code: 'internal' } } })
  expect(errors).toEqual(['This function cannot be served'])
})
