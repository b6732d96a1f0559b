import { expect } from 'vitest'
import { createCallback } from '#shared/callback.ts'
import { event, value } from '../../events/builders.ts'
import { HEALTH_ROWS, refusal } from '../../runtime/host-contract.ts'
import { binary, brokerRows } from './broker-rows.ts'
import { callbackRows } from './callback-rows.ts'
import { ingestContract, type IngestRow } from './contract.ts'
import { FRAMEWORK } from './framework.ts'
import { notification, text } from './notifications.ts'
import { about, locked, NONE, post, PUBLISHERS, TAKEN } from './rows.ts'

const unknownPaths: IngestRow[] = [
  '/',
  '/events',
  '/Event',
  '/event/',
  '/event//',
  '//event',
  '/event/a/b/c',
  '/event/a/',
  '/cloudevents/a/b',
  '/cloudevents/',
  '/api/nodes',
  '/tick',
].map((path) =>
  post({ name: `the unknown path ${path}`, path, body: '{}', reply: refusal(404, 'not-found') }),
)

const stranger = 'stranger.example.com'
ingestContract('ingest without a secret', { PUBLISHERS }, [
  ...HEALTH_ROWS,
  ...callbackRows((node) => `/event/${node}`),
  ...unknownPaths,
  post({
    name: 'a path whose encoding is broken',
    path: '/event/%zz',
    body: '{}',
    reply: refusal(400, 'path'),
    onFramework: FRAMEWORK.brokenEncoding.reply,
  }),
  about(
    () => '/event',
    (node) => ({
      name: 'an event on the path without a node',
      body: text(notification({ node })),
      stored: { [node]: locked },
    }),
  ),
  post({
    name: 'an event on the path without a node that names none',
    path: '/event',
    body: text(event('lock-state', [value('/./././', 'LOCKED')])),
    reply: NONE,
  }),
  about(
    (node) => `/event/${node}/whatever`,
    (node) => ({
      name: 'a token that nobody asks for',
      body: text(notification({ node })),
      stored: { [node]: locked },
    }),
  ),
  ...[`/event/${stranger}`, '/event'].map((path) =>
    post({
      name: `an unknown node is acknowledged and not stored (${path})`,
      path,
      body: text(notification({ node: stranger })),
      reply: NONE,
      stored: { [stranger]: undefined },
    }),
  ),
  post({
    name: 'rubbish for an unknown node is acknowledged and not stored',
    path: `/event/${stranger}`,
    body: '{}',
    reply: NONE,
    stored: { [stranger]: undefined },
  }),
  post({
    name: 'an unknown node of a Broker’s delivery is taken and not stored',
    path: '/cloudevents',
    headers: binary(stranger),
    body: text(notification({ node: stranger }).data),
    reply: TAKEN,
    stored: { [stranger]: undefined },
  }),
])

ingestContract('the deliveries of a Broker without a secret', { PUBLISHERS }, brokerRows('/cloudevents'))

const [NEW, OLD] = ['a-new-secret-of-length', 'an-old-secret-of-length']
const [fresh, old, forged] = [NEW, OLD, 'somebody-elses-secret'].map((secret) =>
  createCallback({ url: '', secrets: [secret] }),
)
if (fresh === undefined || old === undefined || forged === undefined) throw new Error('No callbacks')
const FORBIDDEN = refusal(403, 'forbidden')

const secured: IngestRow[] = [
  ...HEALTH_ROWS,
  ...callbackRows((node) => fresh.endpointFor(node)),
  about(
    (node) => old.endpointFor(node),
    (node) => ({
      name: 'the token of the old secret is good',
      body: text(notification({ node })),
      stored: { [node]: locked },
    }),
  ),
  post({
    name: 'a node that nobody configured is known by its token',
    path: fresh.endpointFor('new.example.com'),
    body: text(notification({ node: 'new.example.com' })),
    reply: NONE,
    stored: { 'new.example.com': locked },
  }),
  ...[
    ['no token', (node: string) => `/event/${node}`],
    ['no node', () => '/event'],
    ['a token of another secret', (node: string) => forged.endpointFor(node)],
    [
      'the token of another node',
      (node: string) => `/event/${node}${fresh.endpointFor('x').slice('/event/x'.length)}`,
    ],
    ['the token of the Broker', (node: string) => `/event/${node}/${fresh.brokerToken}`],
    ['half a token', (node: string) => fresh.endpointFor(node).slice(0, -1)],
    ['a token and more', (node: string) => `${fresh.endpointFor(node)}A`],
    [
      'a token in another case',
      (node: string) => fresh.endpointFor(node).toUpperCase().replace('/EVENT', '/event'),
    ],
    ['a token of no ASCII', (node: string) => `/event/${node}/${'%C3%BC'.repeat(32)}`],
  ].map(([name, pathOf]) => {
    const path = typeof pathOf === 'function' ? pathOf : () => ''
    return about(path, (node) => ({
      name: `${name} is refused`,
      body: text(notification({ node })),
      reply: FORBIDDEN,
      stored: { [node]: undefined },
    }))
  }),
  ...['..', 'a b', 'a/b', '\u0000', 'ü', '-a', 'x.'.repeat(127)].map((name) =>
    post({
      name: `what is no name of a node is not stored, though its token is good: ${JSON.stringify(name.slice(0, 9))}`,
      path: fresh.endpointFor(name),
      body: text({ ...notification({ node: name }), data: { values: [value('/././a', 'LOCKED')] } }),
      reply: NONE,
      stored: { [name]: undefined },
    }),
  ),
  about(
    (node) => `/event/${node}`,
    () => ({ name: 'an empty body without a token is refused', reply: FORBIDDEN }),
  ),
]

const TOKENS = /[A-Za-z0-9_-]{32}/
function withoutTokens(process: { out(): string; err(): string }): void {
  const written = process.out() + process.err()
  expect(written).toContain('"message":"event"')
  const ids = written.replaceAll(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '')
  expect(ids).not.toMatch(TOKENS)
  expect(written).not.toContain(NEW)
  expect(written).not.toContain(OLD)
}

const SECRETS = { PUBLISHERS, CALLBACK_SECRET: `${NEW},${OLD}` }
ingestContract('ingest with two secrets', SECRETS, secured, withoutTokens)

ingestContract(
  'the deliveries of a Broker with two secrets',
  SECRETS,
  [
    ...brokerRows(`/cloudevents/${fresh.brokerToken}`),
    ...[
      ['no token', '/cloudevents'],
      ['a token of another secret', `/cloudevents/${forged.brokerToken}`],
      ['the token of a node', `/cloudevents${fresh.endpointFor('x').slice('/event/x'.length)}`],
    ].map(([name, path = '']) =>
      post({
        name: `${name} is refused to a Broker`,
        path,
        headers: binary('new.example.com'),
        body: text(notification({ node: 'new.example.com' }).data),
        reply: FORBIDDEN,
        stored: { 'new.example.com': undefined },
      }),
    ),
    post({
      name: 'the old token of a Broker is good',
      path: `/cloudevents/${old.brokerToken}`,
      headers: binary('old.example.com'),
      body: text(notification({ node: 'old.example.com' }).data),
      reply: TAKEN,
      stored: { 'old.example.com': locked },
    }),
  ],
  withoutTokens,
)
