import { CloudEvent } from 'cloudevents'
import { expect, test } from 'vitest'
import { eventOf } from '#shared/broker/event.ts'
import { recordings } from '../recordings/recording.ts'
import { replay } from '../recordings/replay.ts'

test.each(recordings())(
  'each entry that $name leaves is an event of its own, with a time',
  async (recording) => {
    const { state, log } = await replay(recording)
    const events = log.map((entry) => eventOf(recording.node, state.incarnation, entry))
    const byId = Map.groupBy(events, ({ id }) => id)
    expect([...byId.values()].filter(({ length }) => length > 1)).toEqual([])
    for (const [index, event] of events.entries()) {
      expect(event.time).toBe(log[index]?.at ?? log[index]?.notAfter)
      expect(event.time).toBeDefined()
      expect(new CloudEvent({ ...event }, true).validate()).toBe(true)
    }
  },
)
