import { createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { expect } from 'vitest'
import { DEFAULT_LIMITS } from '#shared/runtime/serve.ts'
import { type ContractRow, type ExpectedReply, HEALTH_ROWS, hostContract, refusal } from './host-contract.ts'
import { onFramework, onServe } from './processes.ts'

const JSON_TYPE = { 'content-type': 'application/json' }
const LIMIT = DEFAULT_LIMITS.bodyBytes

function echoed(method: string, body: string | Buffer = '', type: string | null = null): ExpectedReply {
  const hash = createHash('sha256').update(body).digest('base64')
  const size = Buffer.byteLength(body)
  return { status: 200, body: { method, path: '/', query: '', type, size, hash } }
}

/** A body that arrives byte for byte. */
function whole(
  name: string,
  body: string | Buffer,
  type: string | null,
  deviation?: ExpectedReply,
): ContractRow {
  return {
    name: `a body arrives byte for byte: ${name}`,
    method: 'POST',
    path: '/',
    body,
    ...(type === null ? {} : { headers: { 'content-type': type } }),
    reply: echoed('POST', body, type),
    ...(deviation === undefined ? {} : { onFramework: deviation }),
  }
}

const HTML_400: ExpectedReply = { status: 400, headers: { 'content-type': 'text/html; charset=utf-8' } }
const zipped = gzipSync('{"a":1}')

const bodies: ContractRow[] = [
  whole('JSON, with its spaces', '{ "a" : 1.0 }\n', 'application/json'),
  whole('JSON of a charset', '{"a":"ü"}', 'application/json; charset=utf-8'),
  whole('a structured CloudEvent', '{"specversion":"1.0"}', 'application/cloudevents+json'),
  whole('a batch', '[]', 'application/cloudevents-batch+json'),
  whole('text', 'hello', 'text/plain'),
  whole('bytes', Buffer.from([0, 255, 128, 10]), 'application/octet-stream'),
  whole('a form', 'a=1&b=%20', 'application/x-www-form-urlencoded'),
  whole('no media type', '{"a":1}', null),
  whole('no media type, and no JSON', '{bad', null),
  whole('a media type of nobody’s', '{bad', 'nonsense'),
  whole('JSON without a media type, large', JSON.stringify('x'.repeat(60_000)), null),
  whole('no bytes at all', '', 'application/json'),
  whole('no bytes and no media type', '', null),
  whole('as much as is allowed', 'x'.repeat(LIMIT), 'text/plain'),
  whole('as much as is allowed, without a media type', 'x'.repeat(LIMIT), null),
  whole('malformed JSON, said to be JSON', '{bad', 'application/json', HTML_400),
  whole('malformed JSON, said to be a CloudEvent', '{bad', 'application/cloudevents+json', HTML_400),
  whole('a JSON primitive', '5', 'application/json', HTML_400),
  whole('a charset of nobody’s', '{}', 'application/json; charset=nonsense', { status: 415 }),
  {
    name: 'a compressed body is left as it is',
    method: 'POST',
    path: '/',
    headers: { 'content-type': 'text/plain', 'content-encoding': 'gzip' },
    body: zipped,
    reply: echoed('POST', zipped, 'text/plain'),
    onFramework: echoed('POST', '{"a":1}', 'text/plain'),
  },
]

const refusals: ContractRow[] = [
  { name: 'no content', method: 'POST', path: '/nothing', body: 'x', reply: { status: 204, body: '' } },
  { name: 'accepted, without a body', method: 'POST', path: '/accepted', reply: { status: 202, body: '' } },
  {
    name: 'a body above the limit',
    method: 'POST',
    path: '/',
    headers: { 'content-type': 'text/plain' },
    body: 'x'.repeat(LIMIT + 1),
    reply: refusal(413, 'too-large'),
  },
  {
    name: 'a body above the limit without a media type',
    method: 'POST',
    path: '/',
    body: 'x'.repeat(4 * LIMIT),
    reply: refusal(413, 'too-large'),
  },
  { name: 'an unknown path', method: 'GET', path: '/missing', reply: refusal(404, 'not-found') },
  {
    name: 'another method, with what is allowed',
    method: 'GET',
    path: '/post-only',
    reply: { ...refusal(405, 'method-not-allowed'), headers: { allow: 'POST' } },
  },
  {
    name: 'a refusal of the function, with its headers',
    method: 'POST',
    path: '/teapot',
    headers: JSON_TYPE,
    body: '{}',
    reply: {
      status: 418,
      headers: { 'x-handle': 'here' },
      body: { error: { code: 'teapot', message: 'Short and stout' } },
    },
  },
  { name: 'a store that is down', method: 'POST', path: '/store', reply: refusal(503, 'store') },
  {
    name: 'a bug, which does not talk',
    method: 'POST',
    path: '/bug',
    reply: { status: 500, body: { error: { code: 'internal', message: 'The function failed' } } },
  },
]

const paths: ContractRow[] = [
  ...(['PUT', 'DELETE', 'PATCH', 'OPTIONS', 'GET'] as const).map((method) => ({
    name: `the method ${method} is the function’s to judge`,
    method,
    path: '/',
    reply: echoed(method),
  })),
  { name: 'HEAD has no body', method: 'HEAD', path: '/', reply: { status: 200, body: '' } },
  {
    name: 'a path and a query arrive as sent',
    method: 'GET',
    path: '/a%2Fb/%E2%82%AC/./c;d?x=%20y&x=1&&z',
    reply: {
      status: 200,
      body: expect.objectContaining({ path: '/a%2Fb/%E2%82%AC/./c;d', query: 'x=%20y&x=1&&z' }),
    },
  },
  {
    name: 'a path with two slashes arrives as sent',
    method: 'GET',
    path: '//a//',
    reply: { status: 200, body: expect.objectContaining({ path: '//a//' }) },
  },
  {
    name: 'a path whose encoding is broken arrives as sent',
    method: 'GET',
    path: '/%zz',
    reply: { status: 200, body: expect.objectContaining({ path: '/%zz' }) },
    onFramework: HTML_400,
  },
  {
    name: 'favicon.ico is a path like any other',
    method: 'GET',
    path: '/favicon.ico',
    reply: { status: 200, body: expect.objectContaining({ path: '/favicon.ico' }) },
    onFramework: { status: 404, body: '' },
  },
]

const env = { CALLBACK_URL: 'http://ingest', STATE_URL: 'memory:' }
hostContract(
  'a function',
  {
    serve: () => onServe('test/runtime/echo/main.ts', 'echo', env),
    framework: () => onFramework('test/runtime/echo/framework.ts', 'echo', env),
  },
  [...bodies, ...refusals, ...paths, ...HEALTH_ROWS],
)
