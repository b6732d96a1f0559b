import { createHash } from 'node:crypto'
import { request } from 'undici'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { StoreError } from '#shared/errors.ts'
import { DEFAULT_LIMITS } from '#shared/runtime/serve.ts'
import { type Admit, HttpError, type HttpFunction, NO_CONTENT, notFound } from '#shared/runtime/reply.ts'
import { rawConnection } from './raw.ts'
import { gate, serving } from './serving.ts'

const digest = (body: Uint8Array | string) => createHash('sha256').update(body).digest('hex')
const echo: HttpFunction = ({ body }) => ({ status: 200, body: `${body.byteLength} ${digest(body)}` })
const post = (path: string, body: string, more = '') =>
  `POST ${path} HTTP/1.1\r\nHost: x\r\n${more}Content-Length: ${body.length}\r\n\r\n${body}`

describe('a request reaches the function', () => {
  test('with its method, path, query and headers as sent', async () => {
    const { port } = await serving(({ method, path, query, headers }) => ({
      status: 200,
      body: JSON.stringify([method, path, query, headers['x-one']]),
    }))
    using raw = await rawConnection(port)
    raw.send('PATCH /a%2Fb/./c?d=%20&d HTTP/1.1\r\nHost: x\r\nX-One: 1\r\nConnection: close\r\n\r\n')
    expect(await raw.closed()).toContain('["PATCH","/a%2Fb/./c","d=%20&d","1"]')
  })

  test('in the form that a proxy sends, too', async () => {
    const { port } = await serving(({ path, query }) => ({ status: 200, body: `${path}|${query}` }))
    using raw = await rawConnection(port)
    raw.send('GET http://other:1/event/x?y=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    expect(await raw.closed()).toContain('/event/x|y=1')
  })

  test.each([0, 1, 1_000, 65_535, 65_536])('with a body of %i bytes whole', async (size) => {
    const { url } = await serving(echo)
    const body = Buffer.alloc(size, 'abcdefg')
    const { body: reply } = await request(url, { method: 'POST', body })
    expect(await reply.text()).toBe(`${size} ${digest(body)}`)
  })

  test('with a chunked body whole, however it is cut', async () => {
    const { port } = await serving(echo)
    using raw = await rawConnection(port)
    raw.send('POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n')
    raw.send('3\r\nab')
    raw.send('c\r\n1\r\nd\r\n')
    raw.send('0\r\n\r\n')
    expect(await raw.closed()).toContain(`4 ${digest('abcd')}`)
  })

  test('alone, when another comes in the same piece and a body before it was not looked at', async () => {
    const { port } = await serving(echo)
    using raw = await rawConnection(port)
    const odd = post('/', 'four', 'Expect: tea\r\n')
    raw.send(odd + post('/', 'first') + post('/', '') + post('/', 'last', 'Connection: close\r\n'))
    const text = await raw.closed()
    expect(text.match(/HTTP\/1.1 \d+/g)).toEqual([
      'HTTP/1.1 417',
      'HTTP/1.1 200',
      'HTTP/1.1 200',
      'HTTP/1.1 200',
    ])
    expect(text).toMatch(new RegExp(`5 ${digest('first')}.*0 ${digest('')}.*4 ${digest('last')}$`, 's'))
  })

  test('after 100 Continue where the client waits for it', async () => {
    const { port } = await serving(echo)
    using raw = await rawConnection(port)
    raw.send('POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n')
    await raw.until(/^HTTP\/1.1 100 Continue\r\n\r\n$/)
    raw.send('ok')
    await raw.until(new RegExp(`2 ${digest('ok')}`))
  })

  test('in its turn, and is answered in it, when several are sent at once over one connection', async () => {
    const first = gate()
    const { port } = await serving(async ({ path }) => {
      if (path === '/1') await first.opened
      else first.open()
      return { status: 200, body: `<${path}>` }
    })
    using raw = await rawConnection(port)
    raw.send(post('/1', '') + post('/2', ''))
    expect(await raw.until(/<\/2>/)).toMatch(/<\/1>.*<\/2>/s)
  })

  test('not at all when the client is gone before its body is there', async () => {
    const seen: string[] = []
    const { port, drain } = await serving(({ path }) => {
      seen.push(path)
      return NO_CONTENT
    })
    using raw = await rawConnection(port)
    raw.send('POST /half HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf')
    raw.socket.destroySoon()
    await raw.closed()
    using other = await rawConnection(port)
    other.send(post('/whole', ''))
    await other.until(/204/)
    await drain()
    expect(seen).toEqual(['/whole'])
  })
})

describe('a reply', () => {
  test.each([202, 204])('of %i never has a body, whatever the function says', async (status) => {
    const { port } = await serving(() => ({ status, body: 'Accepted' }))
    using raw = await rawConnection(port)
    raw.send(post('/', '', 'Connection: close\r\n'))
    const text = await raw.closed()
    expect(text).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    expect(text).not.toContain('transfer-encoding')
    expect(text.endsWith('\r\n\r\n')).toBe(true)
  })

  test('to HEAD has the length of the body but not the body', async () => {
    const { port } = await serving(() => ({ status: 200, body: 'four' }))
    using raw = await rawConnection(port)
    raw.send('HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    const text = await raw.closed()
    expect(text).toContain('content-length: 4\r\n')
    expect(text.endsWith('\r\n\r\n')).toBe(true)
  })

  test('goes out to a client that has closed its own side meanwhile', async () => {
    const later = gate()
    const { port } = await serving(async ({ path }) => {
      if (path === '/first') await later.opened
      return NO_CONTENT
    })
    using raw = await rawConnection(port)
    raw.socket.end(post('/first', ''))
    using other = await rawConnection(port)
    other.send(post('/second', ''))
    await other.until(/204/)
    later.open()
    expect(await raw.closed()).toMatch(/^HTTP\/1.1 204 /)
  })

  test('keeps the connection open for longer than the 90 s of publishers', async () => {
    const { url } = await serving(() => NO_CONTENT)
    const { headers } = await request(url)
    expect(headers['keep-alive']).toBe('timeout=100')
  })
})

describe('what a function throws becomes a reply', () => {
  const rows: [string, unknown, number, string, string][] = [
    ['a refusal', new HttpError(409, 'busy', 'Come back'), 409, 'busy', 'Come back'],
    ['a store that is down', new StoreError('The store is down'), 503, 'store', 'The store is down'],
    ['a store that will not', new StoreError('Broken', { retryable: false }), 503, 'store', 'Broken'],
    ['an error of nobody’s', new Error('password=hunter2'), 500, 'internal', 'The function failed'],
    ['no error at all', 'hunter2', 500, 'internal', 'The function failed'],
  ]
  test.each(rows)('%s', async (_name, thrown, status, code, message) => {
    const { url, lines } = await serving(({ path }) => {
      if (path === '/late') return Promise.reject(thrown)
      throw thrown
    })
    for (const path of ['/at-once', '/late']) {
      const { statusCode, headers, body } = await request(url + path)
      expect(statusCode).toBe(status)
      expect(headers['content-type']).toBe('application/json')
      expect(await body.json()).toEqual({ error: { code, message } })
    }
    const failures = lines.filter((line) => line.includes('a request failed'))
    expect(failures).toHaveLength(status === 500 ? 2 : 0)
  })

  test('also where the reply itself cannot be sent', async () => {
    const bad = { status: 200, headers: { 'x-bad': 'a\nb' }, body: 'x' }
    const { url } = await serving(({ path }) => (path === '/late' ? Promise.resolve(bad) : bad))
    for (const path of ['/at-once', '/late']) expect((await request(url + path)).statusCode).toBe(500)
  })

  test('with the headers that the refusal carries', async () => {
    const { url } = await serving(() => {
      throw new HttpError(503, 'busy', 'Later', { 'retry-after': '1' })
    })
    expect((await request(url)).headers['retry-after']).toBe('1')
  })
})

describe('a body above the limit', () => {
  const limits = { bodyBytes: 1_000 }
  const refusal = 'The body is larger than 1000 bytes'

  test('is answered 413 in full to a client that sends all of it before it reads', async () => {
    const { port } = await serving(echo, limits)
    using raw = await rawConnection(port)
    raw.socket.pause()
    const body = 'x'.repeat(5_000_000)
    await new Promise<void>((resolve, reject) =>
      raw.socket.write(post('/', body), (error) => (error ? reject(error) : resolve())),
    )
    raw.socket.resume()
    const text = await raw.closed()
    expect(text).toMatch(/^HTTP\/1.1 413 .*connection: close/s)
    expect(text).toContain(JSON.stringify({ error: { code: 'too-large', message: refusal } }))
  })

  test('is answered 413 as soon as it is known, in chunks too', async () => {
    const { port } = await serving(echo, limits)
    using raw = await rawConnection(port)
    raw.send('POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n')
    raw.send(`3E8\r\n${'x'.repeat(1_000)}\r\n`)
    raw.send('1\r\nx\r\n')
    await raw.until(/413 .*is larger than/s)
    raw.send('0\r\n\r\n')
    expect(await raw.closed()).toMatch(/^HTTP\/1.1 413 /)
  })

  test('is answered 413 without 100 Continue', async () => {
    const { port } = await serving(echo, limits)
    using raw = await rawConnection(port)
    raw.send('POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1001\r\n\r\n')
    expect(await raw.until(/larger than/)).toMatch(/^HTTP\/1.1 413 /)
  })

  test('is answered 413 once, and the last reply of its connection, whatever follows on it', async () => {
    const { port } = await serving(echo, limits)
    using raw = await rawConnection(port)
    raw.send(post('/', 'x'.repeat(1_001)) + post('/', 'x'))
    expect((await raw.closed()).match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 413'])
  })

  test('does not hold the server for longer than a request may take', async () => {
    const { port } = await serving(echo, {
      ...limits,
      headersTimeout: 100,
      requestTimeout: 100,
      checkingInterval: 20,
    })
    using raw = await rawConnection(port)
    raw.send(`POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n${'x'.repeat(1_001)}`)
    const text = await raw.closed()
    expect(text.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 413'])
  })

  test('does not reach the function', async () => {
    let calls = 0
    const count: HttpFunction = () => {
      calls += 1
      return NO_CONTENT
    }
    const { url } = await serving(count, limits)
    await request(url, { method: 'POST', body: Buffer.alloc(1_001) })
    expect(calls).toBe(0)
    await request(url, { method: 'POST', body: Buffer.alloc(1_000) })
    expect(calls).toBe(1)
  })
})

describe('what a function refuses by the head alone', () => {
  const admit: Admit = ({ path }) => (path === '/good' ? undefined : notFound())
  const limits = { headersTimeout: 200, requestTimeout: 200, checkingInterval: 20 }

  test.each([
    ['a length', 'Content-Length: 60000\r\n'],
    ['chunks', 'Transfer-Encoding: chunked\r\n'],
    ['an expectation', 'Expect: 100-continue\r\nContent-Length: 60000\r\n'],
  ])('is answered before a byte of its body has come, with %s, and closed', async (_, header) => {
    let calls = 0
    const { port } = await serving(
      () => {
        calls += 1
        return NO_CONTENT
      },
      limits,
      admit,
    )
    using raw = await rawConnection(port)
    raw.send(`POST /bad HTTP/1.1\r\nHost: x\r\n${header}\r\n`)
    expect(await raw.until(/nothing at this path/)).toMatch(/^HTTP\/1.1 404 .*connection: close/s)
    const text = await raw.closed()
    expect(text.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 404'])
    expect(calls).toBe(0)
  })

  test('has its reply in full though all of its body was sent before', async () => {
    const { port } = await serving(echo, {}, admit)
    using raw = await rawConnection(port)
    raw.send(post('/bad', 'x'.repeat(60_000)) + post('/good', 'x'))
    const text = await raw.closed()
    expect(text).toMatch(/^HTTP\/1.1 404 .*nothing at this path/s)
    expect(text.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 404'])
  })

  test('may go on without end, but is not read for ever', async () => {
    const { port } = await serving(echo, {}, admit)
    using raw = await rawConnection(port)
    raw.send('POST /bad HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n')
    const piece = 'x'.repeat(65_536)
    const flood = () => {
      while (!raw.socket.destroyed && raw.socket.write(piece));
    }
    raw.socket.on('drain', flood)
    flood()
    expect(await raw.closed()).toMatch(/^HTTP\/1.1 404 /)
  })
})

describe('bodies that are in memory at once', () => {
  const limits = { bodyBytes: 10_000, bodiesBytes: 20_000 }
  const slow = (length: number, sent: number) =>
    `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n${'x'.repeat(sent)}`

  test('are bounded: the one that has been arriving for longest is answered 503, to come again', async () => {
    const { port } = await serving(echo, limits)
    using first = await rawConnection(port)
    first.send(slow(10_000, 9_999))
    using second = await rawConnection(port)
    second.send(slow(10_000, 9_999))
    expect(await first.until(/"busy"/)).toMatch(/^HTTP\/1.1 503 .*retry-after: 1/is)
    second.send('x')
    expect(await second.until(/10000 /)).toMatch(/^HTTP\/1.1 200 /)
  })

  test('in chunks of a byte take no more room than in one piece', async () => {
    const { port } = await serving(echo, limits)
    using raw = await rawConnection(port)
    raw.send('POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n')
    const body = 'abcdefghij'.repeat(20)
    const chunks = Array.from(body, (byte) => `1\r\n${byte}\r\n`).join('')
    raw.send(`${chunks}0\r\n\r\n`)
    expect(await raw.closed()).toContain(`200 ${digest(body)}`)
    using more = await rawConnection(port)
    more.send(`POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}1\r\nx\r\n0\r\n\r\n`)
    expect(await more.closed()).toMatch(/^HTTP\/1.1 413 .*pieces/s)
  })

  test('leave room for small ones, however many large ones are begun, and held by the function', async () => {
    const held = gate()
    const entered = gate()
    const { port } = await serving(async ({ path, body }) => {
      if (path === '/held') {
        entered.open()
        await held.opened
      }
      return { status: 200, body: String(body.byteLength) }
    }, limits)
    const large = await Promise.all(Array.from({ length: 10 }, () => rawConnection(port)))
    large[0]?.send(post('/held', 'x'.repeat(9_900)))
    await entered.opened
    for (const each of large.slice(1)) each.send(post('/held', 'x'.repeat(9_900)))
    const others = await Promise.all(large.slice(1).map((each) => each.closed()))
    expect(others.every((text) => text.startsWith('HTTP/1.1 503'))).toBe(true)
    for (let n = 0; n < 20; n++) {
      using small = await rawConnection(port)
      small.send(post('/', 'x'.repeat(1_000)))
      expect(await small.until(/1000$/)).toMatch(/^HTTP\/1.1 200 /)
    }
    held.open()
    expect(await large[0]?.until(/9900$/)).toMatch(/^HTTP\/1.1 200 /)
    for (const each of large) each[Symbol.dispose]()
  })

  test('take no room once they are answered, or given up by their clients', async () => {
    const { port, url } = await serving(echo, limits)
    for (let n = 0; n < 10; n++) {
      using gone = await rawConnection(port)
      gone.send(slow(10_000, 5_000))
      using whole = await rawConnection(port)
      whole.send(post('/', 'x'.repeat(9_000)))
      expect(await whole.until(/9000 /)).toMatch(/^HTTP\/1.1 200 /)
    }
    expect((await request(url, { method: 'POST', body: 'x'.repeat(10_000) })).statusCode).toBe(200)
  })
})

describe('connections beyond as many as are allowed', () => {
  const limits = { connections: 3 }
  const used = async (port: number) => {
    const raw = await rawConnection(port)
    onTestFinished(() => raw[Symbol.dispose]())
    raw.send(post('/', ''))
    await raw.until(/200/)
    return raw
  }

  test('close those that have asked for nothing yet, and none that has', async () => {
    const { port } = await serving(echo, limits)
    const good = [await used(port), await used(port)]
    const idle = []
    for (let n = 0; n < 20; n++) {
      const raw = await rawConnection(port)
      onTestFinished(() => raw[Symbol.dispose]())
      if (n % 2 === 1) raw.send('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf')
      idle.push(raw)
    }
    await Promise.all(idle.slice(0, -1).map((raw) => raw.closed()))
    for (const raw of good) {
      raw.send(post('/', 'again'))
      await raw.until(/5 /)
    }
  })

  test('close the one that has been idle for longest where all have been answered', async () => {
    const { port } = await serving(echo, limits)
    const good = [await used(port), await used(port), await used(port)]
    good[0]?.send(post('/', 'again'))
    await good[0]?.until(/5 /)
    const newest = await used(port)
    await good[1]?.closed()
    for (const raw of [good[0], good[2], newest]) {
      raw?.send(post('/', 'once more'))
      await raw?.until(/9 /)
    }
  })

  test('are closed themselves while all others are being answered', async () => {
    const held = gate()
    const entered = gate()
    let calls = 0
    const { port } = await serving(async () => {
      calls += 1
      if (calls === 3) entered.open()
      await held.opened
      return NO_CONTENT
    }, limits)
    const busy = await Promise.all([1, 2, 3].map(() => rawConnection(port)))
    for (const raw of busy) raw.send(post('/', 'x'))
    await entered.opened
    using more = await rawConnection(port)
    expect(await more.closed()).toBe('')
    held.open()
    for (const raw of busy) {
      await raw.until(/204/)
      raw[Symbol.dispose]()
    }
  })
})

test('idle connections are closed when their time is up, new ones earlier', async () => {
  const { port } = await serving(echo, { headersTimeout: 500, keepAliveTimeout: 4_000, checkingInterval: 10 })
  using used = await rawConnection(port)
  used.send(post('/', ''))
  await used.until(/200/)
  const fresh = await Promise.all(Array.from({ length: 200 }, () => rawConnection(port)))
  const order: string[] = []
  await Promise.all([
    ...fresh.map((raw) => raw.closed().then((text) => order.push(`new:${text}`))),
    used.closed().then(() => order.push('used')),
  ])
  expect(order).toEqual([...fresh.map(() => 'new:'), 'used'])
})

describe('what is no HTTP request is refused in JSON and closed', () => {
  const rows: [string, string, number][] = [
    ['noise', '\u0016\u0003\u0001\u0002\r\n\r\n', 400],
    ['a method of nobody’s', 'FETCH / HTTP/1.1\r\nHost: x\r\n\r\n', 400],
    ['no Host', 'GET / HTTP/1.1\r\n\r\n', 400],
    ['two Hosts', 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 400],
    ['two Hosts and a body', `POST / HTTP/1.1\r\nHost: a\r\nhost: a\r\nContent-Length: 2\r\n\r\nok`, 400],
    [
      'two Hosts before 100 Continue',
      'POST / HTTP/1.1\r\nHost: a\r\nHost: b\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n',
      400,
    ],
    ['HTTP/0.9', 'GET /\r\n\r\n', 400],
    ['HTTP/2.0', 'GET / HTTP/2.0\r\nHost: a\r\n\r\n', 400],
    ['a length that is no number', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ten\r\n\r\n', 400],
    ['two lengths', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab', 400],
    [
      'a length and chunks, as a smuggler sends',
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
    ],
    [
      'a chunk whose size is no number',
      'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
      400,
    ],
    ['a head of 9 KiB', `GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(9_000)}\r\n\r\n`, 431],
    [
      'an expectation of nobody’s',
      'GET / HTTP/1.1\r\nHost: x\r\nExpect: tea\r\nConnection: close\r\n\r\n',
      417,
    ],
  ]
  test.each(rows)('%s', async (_name, sent, status) => {
    const { port } = await serving(echo)
    using raw = await rawConnection(port)
    raw.send(sent)
    const text = await raw.closed()
    expect(text).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    expect(text).toMatch(/\{"error":\{"code":"[a-z-]+","message":"[^"]+"\}\}\n$/)
  })
})

test('what came before something that is no HTTP request, in the same piece, has its reply first', async () => {
  const { port } = await serving(echo)
  using raw = await rawConnection(port)
  raw.send(`${post('/', 'good')}noise\r\n\r\n`)
  const text = await raw.closed()
  expect(text.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 400'])
  expect(text).toContain(`4 ${digest('good')}`)
})

describe('a client that dawdles is cut off', () => {
  const limits = { headersTimeout: 500, requestTimeout: 500, checkingInterval: 20 }
  test.each([
    ['in the head', 'POST / HTTP/1.1\r\nHost'],
    ['in the body', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nfive '],
    ['in a chunk', 'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nA\r\nfive '],
  ])('%s', async (_where, sent) => {
    const { port } = await serving(echo, limits)
    using raw = await rawConnection(port)
    raw.send(sent)
    expect(await raw.closed()).toMatch(/^HTTP\/1.1 408 .*"code":"request-timeout"/s)
  })

  test('but not for the time that the function takes', async () => {
    const held = gate()
    const { port } = await serving(async () => {
      await held.opened
      return NO_CONTENT
    }, limits)
    using slow = await rawConnection(port)
    slow.send(post('/', 'x'))
    using dawdling = await rawConnection(port)
    dawdling.send('GET')
    await dawdling.closed()
    held.open()
    await slow.until(/204/)
  })
})

describe('a drain', () => {
  /** A server with one request in its function, which ends when the gate opens. */
  async function busy(limits = {}) {
    const held = gate()
    const entered = gate()
    let signal: AbortSignal | undefined
    const server = await serving(async (incoming) => {
      if (incoming.path !== '/held') return { status: 200, body: 'quick' }
      signal = incoming.signal
      entered.open()
      await held.opened
      return { status: 200, body: 'held' }
    }, limits)
    const raw = await rawConnection(server.port)
    onTestFinished(() => raw[Symbol.dispose]())
    raw.send(post('/held', ''))
    await entered.opened
    return { ...server, held, raw, signal: () => signal }
  }

  test('finishes what is in flight, closes its connection, and takes no new ones', async () => {
    const { port, drain, held, raw, signal } = await busy()
    expect(signal()?.aborted).toBe(false)
    const drained = drain()
    expect(signal()?.aborted).toBe(true)
    const connected = async () => (await rawConnection(port))[Symbol.dispose]()
    await vi.waitFor(() => expect(connected()).rejects.toThrow('ECONNREFUSED'))
    held.open()
    expect(await raw.closed()).toMatch(/^HTTP\/1.1 200 OK\r\n.*connection: close\r\n.*held$/is)
    expect(await drained).toBe(true)
  })

  test('answers what comes over a connection that was open, and closes it', async () => {
    const { port, drain, held } = await busy({ lingerTime: 5_000 })
    using idle = await rawConnection(port)
    idle.send(post('/quick', ''))
    await idle.until(/quick$/)
    const drained = drain()
    idle.send(post('/quick', ''))
    expect(await idle.closed()).toMatch(/quick.*connection: close.*quick$/s)
    held.open()
    expect(await drained).toBe(true)
  })

  describe('of a process that stood still', () => {
    const standStill = () => {
      const until = performance.now() + 2 * DEFAULT_LIMITS.lingerTime
      while (performance.now() < until);
    }

    test('takes the connections that wait', async () => {
      const { port, drain } = await serving(() => NO_CONTENT)
      const connecting = Array.from({ length: 20 }, () => rawConnection(port))
      await new Promise<void>(process.nextTick)
      const drained = drain()
      standStill()
      for (const connection of await Promise.all(connecting)) {
        connection.send(post('/', ''))
        expect(await connection.closed()).toContain('204')
      }
      expect(await drained).toBe(true)
    })

    test('answers what came meanwhile over a connection that was idle', async () => {
      const { port, drain } = await serving(() => NO_CONTENT)
      using idle = await rawConnection(port)
      idle.send(post('/', ''))
      await idle.until(/204/)
      const drained = drain()
      idle.send(post('/', ''))
      standStill()
      expect(await idle.closed()).toMatch(/204.*204/s)
      expect(await drained).toBe(true)
    })
  })

  test('closes connections that stay idle', async () => {
    const { port, drain } = await serving(() => NO_CONTENT)
    using idle = await rawConnection(port)
    idle.send(post('/', ''))
    await idle.until(/204/)
    expect(await drain()).toBe(true)
    await idle.closed()
  })

  test('cuts what takes too long, says so, and is one drain however often it is asked for', async () => {
    const { drain, raw, held, lines } = await busy({ drainTimeout: 50 })
    expect(await Promise.all([drain(), drain()])).toEqual([false, false])
    expect(await raw.closed()).toBe('')
    expect(lines.filter((line) => line.includes('were cut'))).toHaveLength(1)
    held.open()
  })
})
