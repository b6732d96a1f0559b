import { NODE, recordedBodies } from '../events/recorded.ts'

/** A recorded notification whose node and time are still to be filled in. */
export type Template = {
  /** The text around each place where the node stands, and in the last but one gap the time. */
  fill(node: string, time: string): string
}

const TIME = '2000-01-01T00:00:00.000000000Z'

/**
 * The recorded pushes of a boundary clock's publisher, in their order and without those that repeat what was said
 * before: sent round and round, each changes the state of its clock.
 */
export function changingNotifications(): readonly Template[] {
  const pushes = recordedBodies('main-v2').filter(
    ({ file, how }) => how === 'push' && file.endsWith('events-oc.jsonl'),
  )
  const bodies = pushes.map(({ body }) => body).filter(isEvent)
  const kept = new Set<Notification>()
  for (const ofType of Map.groupBy(bodies, ({ type }) => type).values()) {
    const changing = ofType.filter((event, index) => wordOf(event) !== wordOf(ofType[index - 1]))
    if (wordOf(changing.at(-1)) === wordOf(changing[0])) changing.pop()
    for (const event of changing) kept.add(event)
  }
  return bodies.filter((event) => kept.has(event)).map(templateOf)
}

/** One notification of each kind that a publisher with SyncE pushes: seven clocks. */
export function oneOfEachKind(): readonly Template[] {
  const pushes = recordedBodies('main-v2').filter(({ how }) => how === 'push')
  const byType = new Map(pushes.flatMap(({ body }) => (isEvent(body) ? [[body.type, body] as const] : [])))
  return [...byType.values()].map(templateOf)
}

type Notification = {
  readonly type: string
  readonly data: { readonly values: readonly { value?: unknown }[] }
}

function isEvent(body: unknown): body is Notification {
  return typeof body === 'object' && body !== null && 'type' in body && 'data' in body
}

function wordOf(event: Notification | undefined): unknown {
  return event?.data.values[0]?.value
}

function templateOf(event: Notification): Template {
  const text = JSON.stringify({ ...event, time: TIME })
  const [before = '', after = ''] = text.split(TIME)
  const [heads, tails] = [before.split(NODE), after.split(NODE)]
  return { fill: (node, time) => `${heads.join(node)}${time}${tails.join(node)}` }
}

/** Times of a publisher that never says the same twice: a microsecond later each. */
export function createTimes(): () => string {
  const start = Date.now()
  let number = 0
  let millisecond = -1
  let text = ''
  return () => {
    const next = Math.floor(number / 1000)
    if (next !== millisecond) {
      millisecond = next
      text = new Date(start + next).toISOString().slice(0, -1)
    }
    const micros = number % 1000
    number += 1
    return `${text}${String(micros).padStart(3, '0')}000Z`
  }
}

export function nodeName(number: number): string {
  return `node${String(number + 1).padStart(5, '0')}.example.com`
}
