import { describe, expect, test } from 'vitest'
import { ConfigurationError } from '#shared/errors.ts'
import { parseRedisUrl, shown } from '#shared/redis/address.ts'

const plain = { tls: false, master: undefined, login: {}, database: 0 }
const at = (host: string, port = 6379) => ({ host, port })

describe('a Redis URL', () => {
  test.each([
    ['redis://h', { ...plain, endpoints: [at('h')] }],
    ['redis://h/', { ...plain, endpoints: [at('h')] }],
    ['rediss://h:7000/12', { ...plain, tls: true, endpoints: [at('h', 7000)], database: 12 }],
    ['redis://[fd00::1]:7000,[::1]', { ...plain, endpoints: [at('fd00::1', 7000), at('::1')] }],
    [
      'redis://a:1,b.example.com,10.0.0.1:3',
      { ...plain, endpoints: [at('a', 1), at('b.example.com'), at('10.0.0.1', 3)] },
    ],
    ['redis://:pw@h', { ...plain, endpoints: [at('h')], login: { password: 'pw' } }],
    ['redis://me@h', { ...plain, endpoints: [at('h')], login: { username: 'me' } }],
    [
      'redis://m%40e:p%2Fw%3A%25:x@h',
      { ...plain, endpoints: [at('h')], login: { username: 'm@e', password: 'p/w:%:x' } },
    ],
    [
      'redis-sentinel://s1,s2:1/fleet',
      { ...plain, endpoints: [at('s1', 26379), at('s2', 1)], master: 'fleet' },
    ],
    [
      'rediss-sentinel://me:pw@s1/my%20fleet/4',
      {
        tls: true,
        endpoints: [at('s1', 26379)],
        master: 'my fleet',
        login: { username: 'me', password: 'pw' },
        database: 4,
      },
    ],
  ])('%s', (url, address) => {
    expect(parseRedisUrl(url)).toEqual(address)
  })

  test.each([
    'redis://',
    'redis:///0',
    'redis://me:hunter2@',
    'redis://me:hunter2@h:0',
    'redis://me:hunter2@h:65536',
    'redis://me:hunter2@h:x',
    'redis://me:hunter2@h,',
    'redis://me:hunter2@fd00::1',
    'redis://me:hunter2@h/zero',
    'redis://me:hunter2@h/0/1',
    'redis://me:hunter2@h?db=1',
    'redis://me:hunter2@h#1',
    'redis://me:hunter2%@h',
    'redis://me:hunter2/x@h',
    'redis-sentinel://me:hunter2@h',
    'redis-sentinel://me:hunter2@h/',
    'redis-sentinel://me:hunter2@h/fleet/x',
  ])('%s is refused without showing what it holds', (url) => {
    const parse = () => parseRedisUrl(url)
    expect(parse).toThrow(ConfigurationError)
    expect(parse).toThrow(/STATE_URL: /)
    expect(parse).not.toThrow(/hunter2/)
  })
})

test('an endpoint is shown as it would be written', () => {
  expect(shown(at('h'))).toBe('h:6379')
  expect(shown(at('fd00::1', 1))).toBe('[fd00::1]:1')
})
