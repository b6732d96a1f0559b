import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTcpServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { PublisherError } from '#shared/errors.ts'
import { range } from '../state/drivers/samples.ts'
import { folder } from '../publishers/support/folder.ts'
import { listen } from '../publishers/support/listen.ts'
import { startHttp } from '../publishers/support/world.ts'

type Reply = (request: IncomingMessage, response: ServerResponse) => void

const serve = (reply: Reply) => listen(createServer(reply))
const get = (path: string) => ({ method: 'GET', path }) as const

/** Holds responses back until `first` of them are there at once, lets later ones go a turn later. */
function createGate(first: number): { pass(response: ServerResponse): void; most(): number } {
  const held: ServerResponse[] = []
  let open = false
  let now = 0
  let most = 0
  const release = (response: ServerResponse) =>
    setImmediate(() => {
      now -= 1
      response.end()
    })
  return {
    pass(response) {
      now += 1
      most = Math.max(most, now)
      if (open) return void release(response)
      held.push(response)
      open = held.length === first
      if (open) held.forEach(release)
    },
    most: () => most,
  }
}

async function errorOf(promise: Promise<unknown>): Promise<PublisherError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof PublisherError)) throw new Error(`Expected a PublisherError, got ${String(error)}`)
  return error
}

test('the path reaches the publisher as it is', async () => {
  const origin = await serve((request, response) => response.end(request.url))
  const answer = await startHttp().request(origin, get('/v2/././sync//a/../b%2Fc/CurrentState'))
  expect(answer.body).toBe('/v2/././sync//a/../b%2Fc/CurrentState')
})

test.each(['GET', 'POST', 'DELETE'] as const)(
  'a redirect of a %s is an answer and is not followed',
  async (method) => {
    const asked: string[] = []
    const origin = await serve((request, response) => {
      asked.push(`${request.method} ${request.url}`)
      response.writeHead(301, { location: '/elsewhere' }).end()
    })
    const answer = await startHttp().request(origin, { method, path: '/here' })
    expect(answer.status).toBe(301)
    expect(asked).toEqual([`${method} /here`])
  },
)

test('one publisher never gets more than two requests at once, and its connections are used again', async () => {
  const sockets = new Set<unknown>()
  const gate = createGate(2)
  const origin = await serve((request, response) => {
    sockets.add(request.socket)
    gate.pass(response)
  })
  const http = startHttp()
  await Promise.all(Array.from({ length: 20 }, (_, i) => http.request(origin, get(`/${i}`))))
  expect(gate.most()).toBe(2)
  expect(sockets.size).toBe(2)
})

test('all publishers together get no more requests at once than the limit', async () => {
  const gate = createGate(3)
  const origins = await Promise.all(
    Array.from({ length: 6 }, () => serve((_, response) => gate.pass(response))),
  )
  const http = startHttp({ overall: 3 })
  await Promise.all(
    origins.flatMap((origin) => [http.request(origin, get('/')), http.request(origin, get('/'))]),
  )
  expect(gate.most()).toBe(3)
})

test('where there are more publishers than may stay connected, those that were asked longest ago are closed', async () => {
  const connected = new Map<number, number>()
  const change = (i: number, by: number) => connected.set(i, (connected.get(i) ?? 0) + by)
  const origins = await Promise.all(
    range(0, 7).map((i) => {
      const server = createServer((_, response) => response.end())
      server.on('connection', (socket) => {
        change(i, 1)
        socket.on('close', () => change(i, -1))
      })
      return listen(server)
    }),
  )
  const http = startHttp({ keptOpen: 3 })
  const open = () => range(0, 7).filter((i) => (connected.get(i) ?? 0) > 0)
  for (const origin of origins)
    await Promise.all([http.request(origin, get('/a')), http.request(origin, get('/b'))])
  await vi.waitFor(() => expect(open()).toEqual([5, 6, 7]), { timeout: 30_000 })
  // One that was closed is connected again, in the place of the one that was asked longest ago.
  expect((await http.request(origins[0] ?? '', get('/'))).status).toBe(200)
  await vi.waitFor(() => expect(open()).toEqual([0, 6, 7]), { timeout: 30_000 })
})

test('no publisher is closed while it is being asked, also where more are than may stay connected', async () => {
  const gate = createGate(8)
  const origins = await Promise.all(range(1, 8).map(() => serve((_, response) => gate.pass(response))))
  const http = startHttp({ keptOpen: 2 })
  const answers = await Promise.all(origins.map((origin) => http.request(origin, get('/'))))
  expect(answers.map(({ status }) => status)).toEqual(origins.map(() => 200))
})

test('a publisher that does not answer is given up at the deadline, and the next request still works', async () => {
  const origin = await serve((request, response) => {
    if (request.url !== '/silent') response.end('here')
  })
  const http = startHttp({ deadlineMs: 50 })
  const error = await errorOf(http.request(origin, get('/silent')))
  expect(error).toMatchObject({ code: 'timeout', retryable: true, url: `${origin}/silent` })
  expect((await http.request(origin, get('/other'), { deadlineMs: 5_000 })).body).toBe('here')
})

test('a connection that is still being made for a request that timed out holds up no close', async () => {
  const sockets = new Set<Socket>()
  const server = createTcpServer((socket) => void sockets.add(socket))
  server.listen(0, '127.0.0.1')
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : undefined
  const http = startHttp()
  // Who is silent in a handshake keeps undici waiting as long as who does not answer a SYN: 10 s.
  const error = await errorOf(http.request(`https://127.0.0.1:${port}`, get('/'), { deadlineMs: 50 }))
  expect(error.code).toBe('timeout')
  await http.close()
}, 9_000)

test('a body that never ends is given up at the deadline', async () => {
  const origin = await serve((_, response) => {
    response.write('[')
  })
  const error = await errorOf(startHttp().request(origin, get('/'), { deadlineMs: 50 }))
  expect(error.code).toBe('timeout')
})

test('the signal of the caller ends a request in flight and those that wait for their turn', async () => {
  const controller = new AbortController()
  const asked: string[] = []
  const origin = await serve((request) => {
    asked.push(request.url ?? '')
    if (asked.length === 2) controller.abort(new Error('the run is over'))
  })
  const http = startHttp()
  const { signal } = controller
  const errors = await Promise.all(
    ['/a', '/b', '/c', '/d'].map((path) => errorOf(http.request(origin, get(path), { signal }))),
  )
  expect(errors.map(({ code }) => code)).toEqual(['timeout', 'timeout', 'timeout', 'timeout'])
  expect(errors[0]?.message).toContain('the run is over')
  expect(asked.toSorted()).toEqual(['/a', '/b'])
})

test('a body above 1 MiB is refused', async () => {
  const origin = await serve((_, response) => response.end('x'.repeat(1024 * 1024 + 1)))
  const error = await errorOf(startHttp().request(origin, get('/')))
  expect(error).toMatchObject({ code: 'body', retryable: false })
})

test('a body of exactly 1 MiB is taken', async () => {
  const origin = await serve((_, response) => response.end('x'.repeat(1024 * 1024)))
  expect((await startHttp().request(origin, get('/'))).body).toHaveLength(1024 * 1024)
})

test('a refused connection is unreachable, with its cause in the reason', async () => {
  const server = createServer()
  const origin = await listen(server)
  server.close()
  await once(server, 'close')
  const error = await errorOf(startHttp().request(origin, get('/x')))
  expect(error).toMatchObject({ code: 'unreachable', retryable: true, status: undefined })
  expect(error.message).toBe(`GET ${origin}/x got no answer`)
})

test('what answers no HTTP is unreachable', async () => {
  const server = createTcpServer((socket) => socket.end('SSH-2.0-x\r\n'))
  server.listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : undefined
  const error = await errorOf(startHttp().request(`http://127.0.0.1:${port}`, get('/')))
  expect(error.code).toBe('unreachable')
})

test('a GET whose kept-alive connection died is asked once more, a POST is not', async () => {
  let hits = 0
  const origin = await serve((request, response) => {
    hits += 1
    if (hits === 2 || request.method === 'POST') request.socket.destroy()
    else response.end(`${hits}`)
  })
  const http = startHttp()
  await http.request(origin, get('/'))
  expect((await http.request(origin, get('/'))).body).toBe('3')
  const error = await errorOf(http.request(origin, { method: 'POST', path: '/', body: '{}' }))
  expect(error.code).toBe('unreachable')
  expect(hits).toBe(4)
})

test('errors never show the token of a URL', async () => {
  const origin = await serve((request) => request.socket.destroy())
  const error = await errorOf(startHttp().request(origin, { method: 'POST', path: '/event/n1/secret-token' }))
  expect(error.url).toBe(`${origin}/event/n1/***`)
  expect(error.message).not.toContain('secret-token')
})

test('a 401 is asked once more with a token that was rotated, at once', async () => {
  const file = join(await folder(), 'token')
  await writeFile(file, 'first\n')
  let valid = 'Bearer first'
  const seen: string[] = []
  const origin = await serve((request, response) => {
    seen.push(request.headers.authorization ?? '')
    response.writeHead(request.headers.authorization === valid ? 200 : 401).end()
  })
  const http = startHttp({ files: { token: file } }, { now: () => 0 })
  expect((await http.request(origin, get('/'))).status).toBe(200)
  valid = 'Bearer second'
  expect((await http.request(origin, get('/'))).status).toBe(401)
  await writeFile(file, 'second\n')
  expect((await http.request(origin, { method: 'POST', path: '/', body: '{}' })).status).toBe(200)
  expect(seen).toEqual(['Bearer first', 'Bearer first', 'Bearer first', 'Bearer second'])
})

test('a token that was rotated is used without a 401 once its file is looked at again', async () => {
  const file = join(await folder(), 'token')
  await writeFile(file, 'first')
  let now = 0
  const seen: string[] = []
  const origin = await serve((request, response) => {
    seen.push(request.headers.authorization ?? '')
    response.end()
  })
  const http = startHttp({ files: { token: file } }, { now: () => now })
  await http.request(origin, get('/'))
  await writeFile(file, 'the second')
  now = 2_999
  await http.request(origin, get('/'))
  now = 3_000
  await http.request(origin, get('/'))
  expect(seen).toEqual(['Bearer first', 'Bearer first', 'Bearer the second'])
})

test('a credential file that is not there is a configuration error that names it', async () => {
  const file = join(await folder(), 'absent')
  const http = startHttp({ files: { token: file } })
  await expect(http.request('http://127.0.0.1:1', get('/'))).rejects.toMatchObject({
    code: 'configuration',
    message: expect.stringContaining(file),
  })
})

test('an answer has the Date that it came with, or none', async () => {
  const date = 'Mon, 23 Nov 2026 03:48:28 GMT'
  const url = await serve(({ url: path }, response) => {
    response.sendDate = false
    response.writeHead(200, path === '/dated' ? { date } : {}).end()
  })
  const http = startHttp()
  expect((await http.request(url, get('/dated'))).date).toBe(date)
  expect((await http.request(url, get('/'))).date).toBeUndefined()
})
