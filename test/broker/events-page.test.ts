import { readFileSync } from 'node:fs'
import { CloudEvent } from 'cloudevents'
import { expect, test } from 'vitest'
import { EVENT_TYPES, eventData } from '#shared/broker/event.ts'
import { eventsPage } from '../../docs/events.ts'

const page = readFileSync(new URL('../../docs/events.md', import.meta.url), 'utf8')
const blocks = [...page.matchAll(/```json\n(.*?)\n```/gs)].map(([, json = '']): unknown => JSON.parse(json))
const examples = blocks.slice(0, -1).map((block) => new CloudEvent(Object(block), true))

test('docs/events.md says what the code sends', () => {
  expect(page, 'run `npm run docs`').toBe(eventsPage())
})

test('there is an example of every type, each an event whose data the schema takes', () => {
  expect(examples.map(({ type }) => type).toSorted()).toEqual(Object.values(EVENT_TYPES).toSorted())
  for (const { data } of examples) expect(eventData.safeParse(data).success).toBe(true)
})

test('every attribute of the examples is in the table of attributes', () => {
  const names = new Set(blocks.slice(0, -1).flatMap((block) => Object.keys(Object(block))))
  names.delete('data')
  names.delete('specversion')
  const [, table = ''] = page.split('## Attributes')
  for (const name of names) expect(table).toContain(`| \`${name}\` |`)
})

test('the schema is one that lets fields be added', () => {
  expect(blocks.at(-1)).toMatchObject({ type: 'object', required: ['node', 'seq', 'type', 'via', 'overall'] })
  expect(blocks.at(-1)).not.toHaveProperty('additionalProperties')
})
