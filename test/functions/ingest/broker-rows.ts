import { refusal } from '../../runtime/host-contract.ts'
import type { IngestRow } from './contract.ts'
import { FRAMEWORK } from './framework.ts'
import { AT, notification, text } from './notifications.ts'
import { about, LIMIT, locked, type Sent, TAKEN } from './rows.ts'

/** The headers of a delivery in binary mode. */
export const binary = (node: string, more: Record<string, string> = {}) => ({
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
export function brokerRows(path: string): IngestRow[] {
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
      name: 'poison: CloudEvents 0.2',
      headers: STRUCTURED,
      body: text({ ...structured(node), specversion: '0.2' }),
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
