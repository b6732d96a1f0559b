import { gzipSync } from 'node:zlib'
import { event, value } from '../../events/builders.ts'
import { FRAMEWORK } from './framework.ts'
import { momentAfter, notification, text } from './notifications.ts'
import { chunked, head, PATH, post, STAY } from './raw-requests.ts'

/** Bytes sent over a connection of their own, which is then half closed, and the statuses that come back. */
export type HostileCase = {
  readonly name: string
  readonly bytes: string | Buffer
  readonly statuses: readonly number[]
  /** Where the Functions Framework answers by itself. */
  readonly onFramework?: readonly number[]
  /** The client leaves its half of the connection open until it has the answers. */
  readonly waits?: true
}

const LIMIT = 64 * 1024
const RUBBISH = '{"a":1}'
const node = 'good.example.com'
const late = notification({ node, word: 'LOCKED', at: momentAfter(-1_000) })

const nested = (open: string, close: string, depth: number) => open.repeat(depth) + close.repeat(depth)
const to = (path: string) => post(path, text(notification({ node: 'bad.example.com' })))
const hostless = (version: string) => `POST ${PATH} HTTP/${version}\r\nContent-Length: 2\r\n\r\n{}`
const withHeader = (header: string) =>
  `POST ${PATH} HTTP/1.1\r\nHost: ingest\r\nConnection: close\r\nContent-Length: 2\r\n${header}\r\n\r\n{}`

export const bodies: readonly HostileCase[] = [
  { name: '30 000 arrays in each other', bytes: post(PATH, nested('[', ']', 30_000)), statuses: [204] },
  {
    name: '10 000 objects in each other',
    bytes: post(PATH, `${nested('{"a":', '}', 10_000).replace('}', '1}')}`),
    statuses: [204],
  },
  { name: '60 000 arrays that are never closed', bytes: post(PATH, '['.repeat(60_000)), statuses: [400] },
  { name: 'as many spaces as are allowed', bytes: post(PATH, ' '.repeat(LIMIT)), statuses: [400] },
  { name: 'one space more', bytes: post(PATH, ' '.repeat(LIMIT + 1)), statuses: [413] },
  { name: 'a text as long as is allowed', bytes: post(PATH, `"${'x'.repeat(LIMIT - 2)}"`), statuses: [204] },
  {
    name: '64 late events',
    bytes: post(PATH, text(Array.from({ length: 64 }, () => late))),
    statuses: [204],
  },
  {
    name: '65 late events',
    bytes: post(PATH, text(Array.from({ length: 65 }, () => late))),
    statuses: [413],
  },
  { name: '30 000 zeros in an array', bytes: post(PATH, `[${'0,'.repeat(30_000)}0]`), statuses: [413] },
  {
    name: '64 nodes',
    bytes: post('/event', text(Array.from({ length: 64 }, (_, n) => notification({ node: `n${n}` })))),
    statuses: [204],
  },
  {
    name: '257 values',
    bytes: post(
      PATH,
      text(
        event(
          'lock-state',
          Array.from({ length: 257 }, () => value(`/cluster/node/${node}/a`, 'LOCKED')),
        ),
      ),
    ),
    statuses: [413],
  },
  {
    name: 'bytes that are not UTF-8',
    bytes: post(PATH, Buffer.from([0x22, 0xff, 0xfe, 0x22])),
    statuses: [400],
  },
  {
    name: 'a body in gzip',
    bytes: post(PATH, gzipSync(text(late)), { 'Content-Encoding': 'gzip' }),
    statuses: [400],
  },
]

export const framing: readonly HostileCase[] = [
  { name: 'chunks of one byte', bytes: chunked([...RUBBISH]), statuses: [204] },
  { name: 'chunks and a trailer', bytes: chunked([RUBBISH], '0\r\nX-Trailer: a\r\n\r\n'), statuses: [204] },
  { name: 'a chunk without a size', bytes: chunked([], 'zz\r\n{}\r\n0\r\n\r\n'), statuses: [400] },
  { name: 'a chunk of 2^64 bytes', bytes: chunked([], 'ffffffffffffffff1\r\n'), statuses: [400] },
  {
    name: 'a chunk with an extension of 20 000 bytes',
    bytes: chunked([], `2;${'x'.repeat(20_000)}\r\n{}\r\n0\r\n\r\n`),
    statuses: [413],
  },
  {
    name: 'chunks that are too large together',
    bytes: chunked(Array.from({ length: 65 }, () => ' '.repeat(4_096))),
    statuses: [413],
  },
  { name: 'chunks that break off', bytes: chunked([RUBBISH], ''), statuses: [400] },
  {
    name: 'chunks and a length',
    bytes: chunked([RUBBISH], undefined, { 'Content-Length': '7' }),
    statuses: [400],
  },
  {
    name: 'an encoding that is not known',
    bytes: head(`POST ${PATH}`, { 'Transfer-Encoding': 'gzip' }),
    statuses: [400],
  },
  {
    name: 'three requests at once',
    bytes: Buffer.concat([
      post(PATH, RUBBISH, STAY),
      Buffer.from(head(`GET ${PATH}`, STAY)),
      post('/nothing', RUBBISH),
    ]),
    statuses: [204, 405, 404],
  },
  {
    name: 'a request after one whose body is not taken',
    bytes: Buffer.concat([post('/nothing', RUBBISH, STAY), post(PATH, RUBBISH)]),
    statuses: [404],
    onFramework: [404, 204],
  },
  {
    name: 'nine requests at once',
    bytes: Buffer.concat([
      ...Array.from({ length: 8 }, () => post(PATH, RUBBISH, STAY)),
      post(PATH, RUBBISH),
    ]),
    statuses: Array.from({ length: 9 }, () => 204),
    // Node answers nobody who has closed his half before the store had what he sent.
    waits: true,
  },
  {
    name: 'a length that is too short',
    bytes: post(PATH, '{}LOCKED', { 'Content-Length': '2', ...STAY }),
    // What follows is no request. The framework ends the connection with it before the first is answered.
    statuses: [204, 400],
    onFramework: [400],
  },
  { name: 'a length that is too long', bytes: post(PATH, '{}', { 'Content-Length': '20' }), statuses: [400] },
  {
    name: 'a length of 1 TiB',
    bytes: post(PATH, '{}', { 'Content-Length': '1099511627776' }),
    statuses: [413],
    onFramework: [400],
  },
  {
    name: 'a length beyond 2^64',
    bytes: post(PATH, '{}', { 'Content-Length': '99999999999999999999' }),
    statuses: [400],
  },
  { name: 'a length below zero', bytes: post(PATH, '{}', { 'Content-Length': '-2' }), statuses: [400] },
  { name: 'a length in hexadecimal', bytes: post(PATH, '{}', { 'Content-Length': '0x2' }), statuses: [400] },
  { name: 'two lengths', bytes: withHeader('Content-Length: 3'), statuses: [400] },
  { name: 'a head of 20 000 bytes', bytes: withHeader(`X: ${'x'.repeat(20_000)}`), statuses: [431] },
  {
    name: '3 000 headers',
    bytes: withHeader(Array.from({ length: 3_000 }, (_, n) => `X-${n}: 1`).join('\r\n')),
    statuses: [431],
  },
  {
    name: '500 headers that fit',
    bytes: withHeader(Array.from({ length: 500 }, () => 'a: 1').join('\r\n')),
    statuses: [204],
  },
  { name: 'a header named __proto__', bytes: withHeader('__proto__: x\r\nce-__proto__: x'), statuses: [204] },
  { name: 'a header with a line feed of its own', bytes: withHeader('X: a\nY: b'), statuses: [400] },
  { name: 'a header with a carriage return of its own', bytes: withHeader('X: a\rY: b'), statuses: [400] },
  { name: 'a header with a NUL', bytes: withHeader('X: a\0b'), statuses: [400] },
  { name: 'a header whose name has a space', bytes: withHeader('X Y: a'), statuses: [400] },
  { name: 'a header without a colon', bytes: withHeader('nonsense'), statuses: [400] },
  { name: 'a header folded over two lines', bytes: withHeader('X: a\r\n b'), statuses: [400] },
  {
    name: 'a media type of 7 000 bytes',
    bytes: withHeader(`Content-Type: ${'x'.repeat(7_000)}`),
    statuses: [204],
  },
  { name: 'no host', bytes: hostless('1.1'), statuses: [400] },
  { name: 'two hosts', bytes: withHeader('Host: other'), statuses: [400] },
  { name: 'the same host twice', bytes: withHeader('hOST: ingest'), statuses: [400] },
  { name: 'HTTP/1.0', bytes: hostless('1.0'), statuses: [204] },
  {
    name: 'HTTP/1.0 with two hosts',
    bytes: hostless('1.0').replace('\r\n', '\r\nHost: a\r\nHost: b\r\n'),
    statuses: [400],
  },
  { name: 'HTTP/0.9', bytes: `GET ${PATH}\r\n\r\n`, statuses: [400] },
  { name: 'HTTP/0.9 of health', bytes: 'GET /health/liveness\r\n\r\n', statuses: [400] },
  { name: 'HTTP/0.9 by its number', bytes: hostless('0.9'), statuses: [400] },
  { name: 'HTTP/2.0', bytes: withHeader('X: a').replace('HTTP/1.1', 'HTTP/2.0'), statuses: [400] },
  { name: 'HTTP/9.9', bytes: hostless('9.9'), statuses: [400] },
  { name: 'the preface of HTTP/2', bytes: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', statuses: [400] },
  { name: 'a TLS handshake', bytes: Buffer.from('160301020001000001fc0303', 'hex'), statuses: [400] },
  { name: 'nothing', bytes: '', statuses: [] },
  { name: 'half a request line', bytes: 'POST /eve', statuses: [400] },
  {
    name: 'Expect: 100-continue',
    bytes: post(PATH, RUBBISH, { Expect: '100-continue' }),
    statuses: [100, 204],
  },
  {
    name: 'Expect: 100-continue with too large a length',
    bytes: post(PATH, ' '.repeat(LIMIT + 1), { Expect: '100-continue' }),
    statuses: [413],
    onFramework: [100, FRAMEWORK.continued.reply.status],
  },
  { name: 'Expect: something else', bytes: post(PATH, RUBBISH, { Expect: 'nonsense' }), statuses: [417] },
  {
    name: 'an upgrade to a WebSocket',
    bytes: post(PATH, RUBBISH, { Connection: 'Upgrade', Upgrade: 'websocket' }),
    statuses: [204],
  },
]

export const targets: readonly HostileCase[] = [
  ...['HEAD', 'OPTIONS', 'TRACE', 'PROPFIND', 'M-SEARCH', 'GET'].map((method) => ({
    name: `the method ${method}`,
    bytes: head(`${method} ${PATH}`),
    statuses: [405],
  })),
  { name: 'CONNECT', bytes: head('CONNECT good.example.com:80'), statuses: [] },
  { name: 'a method in lower case', bytes: head(`post ${PATH}`), statuses: [400] },
  { name: 'a method of nobody’s', bytes: head(`LOCKED ${PATH}`), statuses: [400] },
  { name: 'a path with a space', bytes: head('POST /event/good example'), statuses: [400] },
  { name: 'a path with a tab', bytes: head('POST /event/good\texample'), statuses: [400] },
  { name: 'a path that does not begin with a slash', bytes: head('POST event'), statuses: [400] },
  {
    name: 'a path of one asterisk',
    bytes: head('OPTIONS *'),
    statuses: [400],
    onFramework: [FRAMEWORK.noPath.reply.status],
  },
  { name: 'bytes that are no ASCII', bytes: to('/event/\u00fc'), statuses: [400] },
  { name: 'a path of 7 000 bytes', bytes: to(`/event/${'x'.repeat(7_000)}`), statuses: [204] },
  { name: 'a path of 20 000 bytes', bytes: to(`/event/${'x'.repeat(20_000)}`), statuses: [431] },
  { name: 'a path of 1 000 segments', bytes: to('/event'.repeat(1_000)), statuses: [404] },
  { name: 'the absolute form', bytes: post(`http://other${PATH}`, RUBBISH), statuses: [204] },
  { name: 'the absolute form with dots', bytes: to(`http://other/event/../nothing`), statuses: [404] },
  {
    name: 'the absolute form of no URL',
    bytes: to(`http://[other${PATH}`),
    statuses: [400],
    onFramework: [FRAMEWORK.noPath.reply.status],
  },
  ...['/event/../../etc/passwd', '/event/../event/a', '//event', '/event//a', '/event/a/', '/./event'].map(
    (path) => ({
      name: `the path ${path}`,
      bytes: to(path),
      statuses: [404],
    }),
  ),
  ...['%', '%zz', '%E0%A4%A', '%C0%AF', '%ED%A0%80', 'a%'].map((name) => ({
    name: `the broken encoding ${name}`,
    bytes: to(`/event/${name}`),
    statuses: [400],
  })),
  ...[
    '..',
    '.',
    '%2E%2E',
    '%2e%2e%2f%2e%2e%2fetc%2fpasswd',
    'a%2Fb',
    '%00',
    'bad.example.com%00',
    'a%0d%0aSet-Cookie:%20b',
    'a%0Ab',
    '%20',
    'GOOD.EXAMPLE.COM',
    'good.example.com.',
    'good.example.com%20',
    'good.example.com;a=b',
    'good.example.com%3F',
    'good.example.com#a',
    '__proto__',
    'constructor',
    'toString',
    '%F0%9F%92%A9',
    '%EF%BB%BFgood.example.com',
    '$%7Bjndi:ldap%7D',
    "'%20OR%201=1--",
    '<script>',
    'x'.repeat(254),
  ].map((name) => ({
    name: `the node ${name.slice(0, 40)}`,
    bytes: to(`/event/${name}`),
    statuses: [204],
  })),
  { name: 'an encoded name of the path', bytes: post('/%65vent/good.example.com', RUBBISH), statuses: [204] },
  { name: 'a query', bytes: post(`${PATH}?node=bad.example.com&%zz`, RUBBISH), statuses: [204] },
]
