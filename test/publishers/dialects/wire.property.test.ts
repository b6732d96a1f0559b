import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createCallback } from '#shared/callback.ts'
import { PublisherError } from '#shared/errors.ts'
import type { HttpAnswer } from '#shared/http/client.ts'
import { redact } from '#shared/redact.ts'
import { errorMessage, readList, readSubscription } from '#shared/publishers/dialects/wire.ts'

const answerOf = (body: string): HttpAnswer => ({
  attempted: { what: 'GET http://n1/subscriptions', url: 'http://n1/subscriptions' },
  status: 200,
  body,
  sentAt: '2026-11-23T12:00:00.000Z',
  receivedAt: '2026-11-23T12:00:00.000Z',
})

/** JSON of any shape, most of it made of the words that publishers use. */
const names = fc.constantFrom(
  'id',
  'SubscriptionId',
  'resource',
  'ResourceAddress',
  'endpointUri',
  'EndpointUri',
  'x',
)
const bodies = fc.oneof(
  fc.string(),
  fc.json(),
  fc
    .oneof(fc.dictionary(names, fc.jsonValue()), fc.array(fc.dictionary(names, fc.jsonValue())))
    .map((value) => JSON.stringify(value)),
)

test('whatever a publisher answers, it is read as subscriptions with text in every field, or refused as a body', () => {
  fc.assert(
    fc.property(bodies, (body) => {
      try {
        for (const held of readList(answerOf(body))) {
          expect(Object.values(held).map((value) => typeof value)).toEqual(['string', 'string', 'string'])
        }
        expect(readSubscription(answerOf(body)).id).not.toBe('')
      } catch (error) {
        expect(error).toBeInstanceOf(PublisherError)
        expect(error).toMatchObject({ code: 'body' })
      }
    }),
  )
})

test('whatever a publisher says of an error, a line for people comes of it', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        bodies,
        bodies.map((error) => JSON.stringify({ error })),
      ),
      (body) => {
        expect(errorMessage(body)).toMatch(/^.{0,400}$/)
      },
    ),
  )
})

test('no text shows the token of a callback URL in it', () => {
  const secrets = fc.string({ minLength: 16, maxLength: 40 })
  const node = fc.stringMatching(/^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,30}[A-Za-z0-9])?$/)
  fc.assert(
    fc.property(
      secrets,
      node,
      fc.string(),
      fc.constantFrom('"', ' ', '\n', "'"),
      (secret, name, text, end) => {
        const callback = createCallback({ url: 'https://ingest.example.com/base', secrets: [secret] })
        const endpoint = callback.endpointFor(name)
        const token = callback.read(endpoint)?.token ?? ''
        expect(redact(`${text} ${endpoint}${end}${text}`)).not.toContain(token)
        expect(redact(`x https://ingest/cloudevents/${callback.brokerToken}`)).toBe(
          'x https://ingest/cloudevents/***',
        )
      },
    ),
  )
})
