import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createCallback } from '#shared/callback.ts'

const NEW = 'the new secret of the callback'
const OLD = 'the old secret of the callback'

test('without a secret the endpoint of a node has no token, and no token is good', () => {
  const callback = createCallback({ url: 'http://ingest.example.com/' })
  expect(callback.endpointFor('node1.example.com')).toBe('http://ingest.example.com/event/node1.example.com')
  expect(callback.secured).toBe(false)
  expect(callback.brokerToken).toBeUndefined()
  expect(callback.verify('node1.example.com', '')).toBe(false)
})

test('with a secret the endpoint ends in a token of 32 characters that is good for that node alone', () => {
  const callback = createCallback({ url: 'http://ingest', secrets: [NEW] })
  const endpoint = callback.read(callback.endpointFor('node1'))
  expect(endpoint?.token).toMatch(/^[\w-]{32}$/)
  expect(callback.verify('node1', endpoint?.token ?? '')).toBe(true)
  expect(callback.verify('node2', endpoint?.token ?? '')).toBe(false)
  expect(callback.verifyBroker(endpoint?.token ?? '')).toBe(false)
})

test('the token of the broker opens no node, not even one that is called broker', () => {
  const callback = createCallback({ url: 'http://ingest', secrets: [NEW] })
  const token = callback.brokerToken ?? ''
  expect(callback.verifyBroker(token)).toBe(true)
  expect(callback.verify('broker', token)).toBe(false)
})

test('while a secret is replaced the tokens of both are good, and the new one signs', () => {
  const before = createCallback({ url: 'http://ingest', secrets: [OLD] })
  const after = createCallback({ url: 'http://ingest', secrets: [NEW, OLD] })
  const old = before.read(before.endpointFor('node1'))?.token ?? ''
  expect(after.verify('node1', old)).toBe(true)
  expect(after.endpointFor('node1')).not.toBe(before.endpointFor('node1'))
  expect(createCallback({ url: 'http://ingest', secrets: [NEW] }).verify('node1', old)).toBe(false)
})

test('the endpoint of any node reads back as that node', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1, unit: 'grapheme' }), fc.boolean(), (node, secured) => {
      const callback = createCallback({ url: 'http://ingest/base', secrets: secured ? [NEW] : [] })
      const endpoint = callback.endpointFor(node)
      expect(callback.read(endpoint)?.node).toBe(node)
    }),
  )
})

test.each([
  ['http://ingest/event', { node: undefined, token: undefined }],
  ['http://ingest/event/node1', { node: 'node1', token: undefined }],
  ['http://ingest/event/node1/any-token', { node: 'node1', token: 'any-token' }],
  ['http://ingest/event/node1/any-token?doctor=1', { node: 'node1', token: 'any-token' }],
  ['http://ingest/event/node1?doctor=1', { node: 'node1', token: undefined }],
  ['http://ingest/event/node1/token/more', undefined],
  ['http://ingest/event/', undefined],
  ['http://ingest/events/node1', undefined],
  ['http://ingest/event2', undefined],
  ['http://ingest:8080/event/node1', undefined],
  ['https://ingest/event/node1', undefined],
  ['http://ingest.evil.example.com/event/node1', undefined],
  ['http://ingest/event/%E0%A4%A/x', undefined],
  ['', undefined],
])('%s reads as %o', (uri, endpoint) => {
  expect(createCallback({ url: 'http://ingest' }).read(uri)).toEqual(endpoint)
})
