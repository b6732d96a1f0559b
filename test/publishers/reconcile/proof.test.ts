import { createServer } from 'node:http'
import { expect, test } from 'vitest'
import { createCallback } from '#shared/callback.ts'
import { ConfigurationError } from '#shared/errors.ts'
import { proveCallback } from '#shared/publishers/reconcile/proof.ts'
import { listen } from '../support/listen.ts'
import { startHttp } from '../support/world.ts'

const SECRET = 'a secret of the proof'

async function prove(status: number, secrets: readonly string[] = [SECRET]) {
  const asked: (string | undefined)[] = []
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url} ${request.headers['content-length'] ?? '-'}`)
    response.writeHead(status, { location: '/' }).end()
  })
  const callback = createCallback({ url: await listen(server), secrets })
  const proof = proveCallback({ callback, http: startHttp() }, 'node1')
  return { proof: await proof, asked, callback }
}

test('one empty POST to the endpoint that would be subscribed proves the callback by its 204', async () => {
  const { proof, asked, callback } = await prove(204)
  expect(proof).toEqual({ outcome: 'proven' })
  expect(asked).toEqual([`POST ${new URL(callback.endpointFor('node1')).pathname} 0`])
})

test.each([200, 202, 301, 302, 401, 404, 405, 407, 413, 500, 502, 503])(
  'whatever answers %i is not ingest, and is named without the token',
  async (status) => {
    const { proof, asked } = await prove(status)
    expect(proof).toMatchObject({ outcome: 'wrong', reason: expect.stringContaining(`${status}`) })
    expect(JSON.stringify(proof)).toMatch(/CALLBACK_URL.*/)
    expect(JSON.stringify(proof)).toContain('/event/node1/***')
    expect(asked).toHaveLength(1)
  },
)

test.each([
  [[SECRET], 'is not the one that ingest has'],
  [[], 'is not set'],
])('403 is a configuration that cannot be used (%j)', async (secrets, why) => {
  const { proof } = await prove(403, secrets)
  if (proof.outcome !== 'refused') throw new Error(`It was ${proof.outcome}`)
  expect(proof.error).toBeInstanceOf(ConfigurationError)
  expect(proof.error.message).toContain(`CALLBACK_SECRET ${why}`)
})

test('where nobody answers it says so, and what to do', async () => {
  const server = createServer()
  const url = await listen(server)
  await new Promise((resolve) => server.close(resolve))
  const callback = createCallback({ url, secrets: [SECRET] })
  const proof = await proveCallback({ callback, http: startHttp() }, 'node1')
  expect(proof).toMatchObject({ outcome: 'unreachable', reason: expect.stringContaining('CALLBACK_URL') })
})
