import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { createCallback } from '#shared/callback.ts'
import { event, value } from '../../events/builders.ts'
import { HEALTH_ROWS, refusal, type ExpectedReply } from '../../runtime/host-contract.ts'
import { FRAMEWORK } from './framework.ts'
import { ingestContract, type IngestRow } from './contract.ts'
import { momentAfter, AT, notification, text } from './notifications.ts'

const LIMIT = 256 * 1024
const NONE: ExpectedReply = { status: 204, body: '' }
const TAKEN: ExpectedReply = { status: 202, body: '' }

/** Rows have nodes of their own: none of them sees what another left. */
const NODES = Array.from({ length: 60 }, (_, n) => `node${n}.example.com`)
const PUBLISHERS = text(NODES.map((node) => ({ node, url: 'http://127.0.0.1:9' })))
let used = 0
const nextNode = () => NODES[used++] ?? 'too few nodes'

type Sent = Omit<IngestRow, 'method' | 'path' | 'reply'> & { reply?: ExpectedReply; path?: string }

const post = (row: Sent & { path: string; reply: ExpectedReply }): IngestRow => ({ method: 'POST', ...row })

/** A row about one node, on the path that `pathOf` gives it. */
function about(pathOf: (node: string) => string, make: (node: string) => Sent): IngestRow {
  const node = nextNode()
  return { method: 'POST', path: pathOf(node), reply: NONE, ...make(node) }
}

const locked = { clocks: ['lock-state ens5fx/master LOCKED'], log: ['lock-state LOCKED'], quarantined: 0 }
const aside = { clocks: [], log: [], quarantined: 1 }

/** What holds for the callback, whichever path leads to it. */
function callbackRows(pathOf: (node: string) => string): IngestRow[] {
  const row = (make: (node: string) => Sent) => about(pathOf, make)
  return [
    row((node) => ({ name: 'an event', body: text(notification({ node })), stored: { [node]: locked } })),
    row((node) => ({
      name: 'a duplicate changes nothing',
      before: [text(notification({ node }))],
      body: text(notification({ node })),
      stored: { [node]: locked },
    })),
    row((node) => ({
      name: 'a late event changes nothing',
      before: [text(notification({ node, at: momentAfter(1_000) }))],
      body: text(notification({ node, word: 'FREERUN' })),
      stored: { [node]: locked },
    })),
    row((node) => ({
      name: 'a later event is a transition',
      before: [text(notification({ node }))],
      body: text(notification({ node, word: 'HOLDOVER', at: momentAfter(1) })),
      stored: {
        [node]: {
          clocks: ['lock-state ens5fx/master HOLDOVER'],
          log: ['lock-state LOCKED', 'lock-state HOLDOVER'],
        },
      },
    })),
    row((node) => ({
      name: 'a placeholder changes nothing',
      before: [text(notification({ node }))],
      body: text(
        event('lock-state', [value(`/cluster/node/${node}/ptp-not-set`, 'FREERUN')], {
          time: momentAfter(9),
        }),
      ),
      stored: { [node]: locked },
    })),
    row((node) => ({
      name: 'an event of unknown kind',
      body: text({ ...notification({ node }), type: 'event.sync.new-thing.state-change' }),
      stored: { [node]: { clocks: [expect.stringContaining('ens5fx/master LOCKED')], quarantined: 0 } },
    })),
    row((node) => ({ name: 'an empty body', stored: { [node]: undefined } })),
    row((node) => ({ name: 'an empty body of length 0', body: '', stored: { [node]: undefined } })),
    row((node) => ({ name: 'JSON that is no event', body: '{"a":1}', stored: { [node]: aside } })),
    row((node) => ({ name: 'JSON that is an empty object', body: '{}', stored: { [node]: aside } })),
    row((node) => ({
      name: 'a bare JSON text',
      body: '"LOCKED"',
      stored: { [node]: aside },
      headers: {},
    })),
    row(() => ({
      name: 'a bare JSON text, said to be JSON',
      body: '"LOCKED"',
      headers: { 'content-type': 'application/json' },
      onFramework: FRAMEWORK.badJson.reply,
    })),
    row((node) => ({
      name: 'an event of another node',
      body: text(notification({ node: 'other.example.com' })),
      stored: { [node]: aside, 'other.example.com': undefined },
    })),
    row((node) => ({
      name: 'an event and rubbish in one body',
      body: text([notification({ node }), { a: 1 }]),
      stored: { [node]: { clocks: locked.clocks, quarantined: 1 } },
    })),
    row((node) => ({
      name: 'what is not JSON',
      body: '{bad',
      reply: refusal(400, 'not-json'),
      onFramework: FRAMEWORK.badJson.reply,
      stored: { [node]: undefined },
    })),
    row((node) => ({
      name: 'an event in a charset of nobody’s',
      headers: { 'content-type': 'application/json; charset=nonsense' },
      body: text(notification({ node })),
      onFramework: FRAMEWORK.unknownCoding.reply,
    })),
    row((node) => ({
      name: 'a compressed event, which is not unpacked',
      headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
      body: gzipSync(text(notification({ node }))),
      reply: refusal(400, 'not-json'),
      onFramework: FRAMEWORK.unpacked.reply,
    })),
    row((node) => ({
      name: 'what is not JSON, without a media type',
      body: '{bad',
      headers: {},
      reply: refusal(400, 'not-json'),
      stored: { [node]: undefined },
    })),
    ...['text/plain', 'application/octet-stream', 'application/cloudevents+json', 'nonsense', ''].map(
      (type) =>
        row((node) => ({
          name: `an event with the media type ${type || 'of none'}`,
          headers: type === '' ? {} : { 'content-type': type },
          body: text(notification({ node })),
          stored: { [node]: locked },
        })),
    ),
    row((node) => ({
      name: 'an event of exactly as much as is allowed',
      body: text(notification({ node })).padEnd(LIMIT, ' '),
      stored: { [node]: locked },
    })),
    row((node) => ({
      name: 'an event that is one byte too large',
      body: text(notification({ node })).padEnd(LIMIT + 1, ' '),
      reply: refusal(413, 'too-large'),
      stored: { [node]: undefined },
    })),
    ...(['GET', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'] as const).map((method) =>
      row((node) => ({
        name: `the method ${method}`,
        method,
        headers: {},
        reply: { ...refusal(405, 'method-not-allowed'), headers: { allow: 'POST' } },
        stored: { [node]: undefined },
      })),
    ),
    row(() => ({ name: 'the method HEAD', method: 'HEAD', headers: {}, reply: { status: 405, body: '' } })),
  ]
}

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

const binary = (node: string, more: Record<string, string> = {}) => ({
  'content-type': 'application/json',
  'ce-specversion': '1.0',
  'ce-id': '53d580b0-95d5-4795-a634-ca6e94cf259b',
  'ce-type': 'event.sync.ptp-status.ptp-state-change',
  'ce-source': `/cluster/node/${node}/sync/ptp-status/lock-state`,
  'ce-time': AT,
  ...more,
})
const STRUCTURED = { 'content-type': 'application/cloudevents+json; charset=utf-8' }

/** What holds for the deliveries of a Broker. */
function brokerRows(path: string): IngestRow[] {
  const row = (make: (node: string) => Sent) =>
    about(
      () => path,
      (node) => ({ reply: TAKEN, ...make(node) }),
    )
  const structured = (node: string) => ({
    ...notification({ node }),
    source: `/cluster/node/${node}/sync/ptp-status/lock-state`,
  })
  const cases: IngestRow[] = [
    row((node) => ({
      name: 'a delivery in binary mode',
      headers: binary(node),
      body: text(notification({ node }).data),
      stored: { [node]: locked },
    })),
    row((node) => ({
      name: 'a delivery in structured mode',
      headers: STRUCTURED,
      body: text(structured(node)),
      stored: { [node]: locked },
    })),
    row((node) => ({
      name: 'a batch',
      headers: { 'content-type': 'application/cloudevents-batch+json' },
      body: text([structured(node)]),
      reply: refusal(415, 'unsupported-media-type'),
      stored: { [node]: undefined },
    })),
    row((node) => ({
      name: 'another format of CloudEvents',
      headers: { 'content-type': 'application/cloudevents+avro' },
      body: text(structured(node)),
      reply: refusal(415, 'unsupported-media-type'),
      stored: { [node]: undefined },
    })),
    row((node) => ({
      name: 'JSON without the headers of a CloudEvent',
      body: text(structured(node)),
      reply: refusal(415, 'unsupported-media-type'),
      stored: { [node]: undefined },
    })),
    row((node) => ({
      name: 'binary mode with data that is no JSON',
      headers: binary(node, { 'content-type': 'text/plain' }),
      body: text(notification({ node }).data),
      reply: refusal(415, 'unsupported-media-type'),
      stored: { [node]: undefined },
    })),
    row((node) => ({
      name: 'poison: a CloudEvent without an id',
      headers: STRUCTURED,
      body: text({ ...structured(node), id: undefined }),
      reply: refusal(400, 'no-cloudevent'),
      stored: { [node]: undefined },
    })),
    row((node) => ({
      name: 'poison: CloudEvents 0.3',
      headers: STRUCTURED,
      body: text({ ...structured(node), specversion: '0.3' }),
      reply: refusal(400, 'no-cloudevent'),
      stored: { [node]: undefined },
    })),
    row((node) => ({
      name: 'poison: a CloudEvent about something else',
      headers: STRUCTURED,
      body: text({ ...structured(node), data: { a: 1 } }),
      reply: refusal(400, 'no-event'),
      stored: { [node]: undefined },
    })),
    row((node) => ({
      name: 'poison: a CloudEvent of two nodes',
      headers: STRUCTURED,
      body: text({ ...structured(node), source: '/cluster/node/other.example.com/sync' }),
      reply: refusal(400, 'other-node'),
      stored: { [node]: undefined, 'other.example.com': undefined },
    })),
    row((node) => ({
      name: 'poison: a node of no possible name',
      headers: STRUCTURED,
      body: text({ ...notification({ node: '-\u0000-' }), source: '/sync/ptp-status/lock-state' }),
      reply: refusal(400, 'no-node'),
      stored: { [node]: undefined, '-\u0000-': undefined },
    })),
    row((node) => ({
      name: 'poison: what is not JSON',
      headers: STRUCTURED,
      body: '{bad',
      reply: refusal(400, 'not-json'),
      onFramework: FRAMEWORK.badJson.reply,
      stored: { [node]: undefined },
    })),
    row((node) => ({
      name: 'poison: a CloudEvent without data',
      headers: binary(node),
      reply: refusal(400, 'no-event'),
      stored: { [node]: undefined },
    })),
    row((node) => ({
      name: 'an event of our own, in structured mode, is dropped',
      headers: STRUCTURED,
      body: text({ ...structured(node), type: 'ptpwatch.state.changed.v1' }),
      stored: { [node]: undefined },
    })),
    row((node) => ({
      name: 'an event of our own, in binary mode, is dropped',
      headers: binary(node, { 'ce-type': 'ptpwatch.node.stale.v1' }),
      body: text(notification({ node }).data),
      stored: { [node]: undefined },
    })),
    row(() => ({
      name: 'a delivery that is too large',
      headers: STRUCTURED,
      body: ' '.repeat(LIMIT + 1),
      reply: refusal(413, 'too-large'),
      // The framework parses the spaces before it asks us.
      onFramework: FRAMEWORK.badJson.reply,
    })),
    row(() => ({
      name: 'another method on the deliveries',
      method: 'GET',
      headers: {},
      reply: { ...refusal(405, 'method-not-allowed'), headers: { allow: 'POST' } },
    })),
  ]
  return cases.map((each) => ({ ...each, name: `${each.name} (${path.split('/', 2).join('/')})` }))
}

test.each(Object.values(FRAMEWORK))('what the framework makes of it is told in the docs: $row', ({ row }) => {
  const docs = readFileSync(new URL('../../../docs/hosting.md', import.meta.url), 'utf8')
  expect(docs).toContain(`\n| ${row} |`)
})

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

used = 0
ingestContract('the deliveries of a Broker without a secret', { PUBLISHERS }, brokerRows('/cloudevents'))

const [NEW, OLD] = ['a-new-secret-of-length', 'an-old-secret-of-length']
const [fresh, old, forged] = [NEW, OLD, 'somebody-elses-secret'].map((secret) =>
  createCallback({ url: '', secrets: [secret] }),
)
if (fresh === undefined || old === undefined || forged === undefined) throw new Error('No callbacks')
const FORBIDDEN = refusal(403, 'forbidden')

used = 0
const secured: IngestRow[] = [
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

used = 0
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
