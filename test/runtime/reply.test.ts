import { expect, test } from 'vitest'
import { ConfigurationError, ConflictError, PublisherError, PtpWatchError } from '#shared/errors.ts'
import { silentLog } from '#shared/log.ts'
import { errorReply, methodNotAllowed, pathSegments, replyOf } from '#shared/runtime/reply.ts'

test.each([
  ['/', []],
  ['/event', ['event']],
  ['/event/', ['event', '']],
  ['//event', ['', 'event']],
  ['/event/a%2Fb/%E2%82%AC', ['event', 'a/b', '€']],
  ['/event/../x', ['event', '..', 'x']],
  ['/%zz', undefined],
  ['/%E2%82', undefined],
  ['event', undefined],
  ['*', undefined],
  ['', undefined],
])('the path %j has the segments %j', (path, segments) => {
  expect(pathSegments(path)).toEqual(segments)
})

test.each([
  [new ConflictError('n'), 503, 'conflict'],
  [new ConfigurationError(['x']), 500, 'configuration'],
  [new PublisherError('timeout', 'slow', { url: 'http://p', retryable: true }), 503, 'timeout'],
  [new PublisherError('body', 'bad', { url: 'http://p' }), 500, 'body'],
  [new PtpWatchError('odd', 'Odd'), 500, 'odd'],
])('%s is answered %i', (error, status, code) => {
  expect(replyOf(error, silentLog)).toEqual(errorReply(status, code, error.message))
})

test('405 says what is allowed, in the header and in words', () => {
  const { status, headers, body } = methodNotAllowed(['GET', 'HEAD'])
  expect(status).toBe(405)
  expect(headers?.allow).toBe('GET, HEAD')
  expect(JSON.parse(String(body)).error.message).toContain('GET, HEAD')
})
