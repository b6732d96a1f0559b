import { writeFileSync } from 'node:fs'
import * as z from 'zod/mini'
import { EVENT_TYPES, type EventData, eventData, eventOf } from '../shared/broker/event.ts'
import type { LogEntry } from '#shared/state/document.ts'

/** docs/events.md, made of the schema and of events as they are sent. `npm run docs` writes it; a test compares. */
export function eventsPage(): string {
  return [
    '# Events',
    '',
    '<!-- Made by `npm run docs` from shared/broker/event.ts. Do not edit. -->',
    '',
    'With `K_SINK` set (a SinkBinding sets it), every entry of a node’s log is posted there as a [CloudEvent](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md) 1.0 in structured mode (`application/cloudevents+json`). Without it nothing is sent.',
    '',
    '## What a consumer must know',
    '',
    '- **An event may arrive more than once**, with the same `source` and `id`: drop duplicates. None is lost: events that the sink does not accept wait in the store and are sent again, even after a restart.',
    '- **Order is per node**, by `sequence`: 19 digits with leading zeros, so that text compares as numbers do. They first arrive at the sink in that order; anything between the sink and you may change it (a Kafka Broker with ordered delivery keeps it by `partitionkey`). An event with a lower `sequence` than one you already have from its node is about the past.',
    '- **`time` is when it happened**, by the publisher’s clock, with nanoseconds; for a change known only from a poll it is `data.notAfter`, the latest possible time. Many SDKs cut it to milliseconds: `data.at` has it as text.',
    '- **The state of a node is its newest event’s `data.overall`** at the time of that entry. `node.stale` reports a node that has fallen silent: silence is never LOCKED.',
    '- Answer 2xx with an empty body. 400 and other 4xx reject the event permanently: it is skipped (it stays in the log, is logged and counted as `ptp_watch_forwarded_total{outcome="rejected"}`); 401, 403, 404, 407, 408, 409, 425, 429, 5xx and no answer within 10 s are retried, with pauses of up to 30 s, or as `Retry-After` asks, up to 60 s.',
    '- Entries logged before there was a sink are not sent: events begin with the first entry after it was set.',
    '',
    '## Attributes',
    '',
    '| attribute | what it is |',
    '|---|---|',
    ...Object.entries(ATTRIBUTES).map(([name, what]) => `| \`${name}\` | ${what} |`),
    '',
    'Attributes contain only visible ASCII, so that they are the same in headers; anything else is percent-encoded, and they are cut at 256 characters. `data` has the original text. Extensions of `K_CE_OVERRIDES` are added, and replace ours of the same name.',
    '',
    '## Types',
    '',
    '| type | when |',
    '|---|---|',
    ...EXAMPLES.map(
      ({ entry, when }) => `| [\`${EVENT_TYPES[entry.type]}\`](#${anchorOf(entry)}) | ${when} |`,
    ),
    '',
    ...EXAMPLES.flatMap(({ entry, when }) => [
      `### ${EVENT_TYPES[entry.type]}`,
      '',
      when,
      '',
      '```json',
      JSON.stringify(eventOf('node1.example.com', 'incarnation', entry), null, 2),
      '```',
      '',
    ]),
    '## Data',
    '',
    '| field | what it is |',
    '|---|---|',
    ...Object.entries(FIELDS).map(([name, what]) => `| \`${name}\` | ${what} |`),
    '',
    'The schema is the same for all types. Fields may be added: a consumer ignores those that it does not know.',
    '',
    '```json',
    JSON.stringify(z.toJSONSchema(eventData, { io: 'input' }), null, 2),
    '```',
    '',
  ].join('\n')
}

const ATTRIBUTES = {
  id: 'a hash of the node, its document and `sequence`: the same on every repeat, in every process; no two entries share one',
  source: '`/ptp-watch/<node>`',
  type: 'see below',
  subject: '`<kind>/<instance>` of the clock; `<kind>` of a subscription; `<node>` of the node as a whole',
  time: 'when it happened, or the latest possible time',
  datacontenttype: '`application/json`',
  node: 'the name of the node, as its publisher writes it',
  kind: 'which kind of clock: `lock-state`, `os-clock-sync-state`, `clock-class` …; absent for the node as a whole',
  state: 'the new state; absent if the entry has no `to`',
  previousstate: 'the state before',
  site: 'the label `site` of the node, if it has one',
  region: 'the label `region` of the node, if it has one',
  severity:
    '`critical` to FREERUN; `warning` to HOLDOVER or UNKNOWN and for missed, suspect, stale, blind and restored; otherwise `info`',
  partitionkey: 'the node',
  sequence: 'the number of the entry in the log of the node',
}

const FIELDS: Readonly<Record<keyof EventData, string>> = {
  node: 'the name of the node',
  seq: 'the number of the entry in the node’s log, without gaps',
  type: 'the type of the entry; the event’s `type` follows from it',
  kind: 'which kind of clock',
  instance: 'which clock of that kind',
  from: 'the state before: a word, or numbers for kinds without one (clock class)',
  to: 'the same, now',
  told: 'the state in the push that made the clock suspect',
  at: 'when it happened by the publisher’s clock, as received',
  notBefore: 'the earliest possible time, if no push has dated it',
  notAfter: 'the latest possible time',
  via: 'how it reached us: `push`, `initial` (notification of a new subscription), `poll` or `broker`',
  overall: 'the state of the node as a whole after this entry',
}

const lock = { kind: 'lock-state', instance: 'ens5fx/master' }
const bounds = { notBefore: '2026-11-23T03:48:00.120Z', notAfter: '2026-11-23T03:49:00.134Z' }

const EXAMPLES: readonly { readonly entry: LogEntry; readonly when: string }[] = [
  {
    when: 'The state (or clock class) of a clock has changed.',
    entry: {
      ...lock,
      seq: 17,
      type: 'changed',
      from: 'LOCKED',
      to: 'FREERUN',
      at: '2026-11-23T03:48:28.489302008Z',
      via: 'push',
      overall: 'FREERUN',
    },
  },
  {
    when: 'A poll found a change for which no event arrived; it happened between `notBefore` and `notAfter`. The change itself was sent as `state.changed` with `via` `poll`.',
    entry: {
      ...lock,
      ...bounds,
      seq: 18,
      type: 'missed',
      from: 'LOCKED',
      to: 'HOLDOVER',
      via: 'poll',
      overall: 'HOLDOVER',
    },
  },
  {
    when: 'A late push dates a change that a poll had already found. It changes no state.',
    entry: {
      ...lock,
      seq: 19,
      type: 'delayed',
      from: 'LOCKED',
      to: 'HOLDOVER',
      at: '2026-11-23T03:48:41.000120007Z',
      via: 'push',
      overall: 'HOLDOVER',
    },
  },
  {
    when: 'The state of the node as a whole, the worst of its clocks, has changed.',
    entry: {
      seq: 20,
      type: 'overall',
      from: 'LOCKED',
      to: 'FREERUN',
      at: '2026-11-23T03:48:28.489302008Z',
      via: 'push',
      overall: 'FREERUN',
    },
  },
  {
    when: 'A push says that a clock is worse, but by its time it is older than what was known for longer than pushes take: the publisher’s clock was set back, or the push was held back. The clock counts as UNKNOWN until the next poll has asked for it. `data.told` is what the push said.',
    entry: {
      ...lock,
      seq: 25,
      type: 'suspect',
      from: 'LOCKED',
      to: 'UNKNOWN',
      told: 'FREERUN',
      at: '2026-11-23T03:48:28.489302008Z',
      via: 'push',
      overall: 'UNKNOWN',
    },
  },
  {
    when: 'A clock that decides the state of the node has not been confirmed for `STALE_AFTER_SECONDS`.',
    entry: { seq: 21, type: 'stale', notAfter: bounds.notAfter, via: 'poll', overall: 'UNKNOWN' },
  },
  {
    when: 'Nothing of the node can reach PTP Watch: its publisher holds none of our subscriptions and they could not be made again, or it was unreachable for two polls in a row. The node is UNKNOWN, unless it is FREERUN or HOLDOVER.',
    entry: { seq: 26, type: 'blind', notAfter: bounds.notAfter, via: 'poll', overall: 'UNKNOWN' },
  },
  {
    when: 'A node that was stale or blind is neither any more.',
    entry: { seq: 22, type: 'recovered', notAfter: bounds.notAfter, via: 'push', overall: 'LOCKED' },
  },
  {
    when: 'Polls have not named a clock for `STALE_AFTER_SECONDS` while they named others of its kind: it counts no more. The next reading revives it.',
    entry: {
      ...lock,
      seq: 23,
      type: 'retired',
      from: 'LOCKED',
      notAfter: bounds.notAfter,
      via: 'poll',
      overall: 'LOCKED',
    },
  },
  {
    when: 'The publisher had lost our subscription, and has it again: what happened in between may have been missed.',
    entry: { ...bounds, seq: 24, type: 'restored', kind: lock.kind, via: 'poll', overall: 'LOCKED' },
  },
]

/** As GitHub makes it of a heading. */
function anchorOf({ type }: LogEntry): string {
  return EVENT_TYPES[type].replaceAll('.', '')
}

export function writeEventsPage(): void {
  writeFileSync(new URL('events.md', import.meta.url), eventsPage())
}
