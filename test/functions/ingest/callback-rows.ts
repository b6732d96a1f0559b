import { gzipSync } from 'node:zlib'
import { expect } from 'vitest'
import { event, value } from '../../events/builders.ts'
import { refusal } from '../../runtime/host-contract.ts'
import type { IngestRow } from './contract.ts'
import { FRAMEWORK } from './framework.ts'
import { momentAfter, notification, text } from './notifications.ts'
import { about, aside, LIMIT, locked, type Sent } from './rows.ts'

/** What holds for the callback, whichever path leads to it. */
export function callbackRows(pathOf: (node: string) => string): IngestRow[] {
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
