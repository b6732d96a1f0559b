import { expect, test } from 'vitest'
import { createStarlingX } from '#local/publishers/index.ts'
import { using } from '../publishers/support/consumer.ts'
import { startConsumer } from './replay/consumer.ts'
import { createLabels, normalBody } from './replay/normal.ts'
import { isCall, readTranscript } from './replay/transcript.ts'
import { send } from './replay/wire.ts'

/** What does not come out alike, with why. */
const EXCEPTIONS: ReadonlyMap<number, string> = new Map([
  [128, 'a resource of the newest release that PTP Watch does not ask for'],
  [241, 'the list while a create of another run was under way'],
])

const LOCKED = [
  { kind: 'lock-state', state: 'LOCKED' },
  { kind: 'clock-class', clockClass: 6 },
] as const
const REST = {
  gnss: { kind: 'gnss-sync-status', state: 'SYNCHRONIZED' },
  os: { kind: 'os-clock-sync-state', state: 'LOCKED' },
  synce: [
    { kind: 'synce-lock-state', state: 'LOCKED' },
    { kind: 'synce-clock-quality', ql: 2, extQl: 0 },
  ],
} as const

/** The three hosts of the recording behind one sidecar, all of their clocks LOCKED. */
async function startRecorded() {
  const publisher = using(
    createStarlingX({
      node: 'controller-0',
      warmUpMs: 0,
      instances: { ptp: ['ptp-inst1', 'ptp-inst2'] },
      others: { 'controller-1': { ts: [], synce: [] }, 'controller-2': { ptp: [], synce: [] } },
    }),
  )
  await publisher.listen()
  for (const instance of ['ptp-inst1', 'ptp-inst2'])
    publisher.setClock(...LOCKED.map((one) => ({ ...one, instance })))
  publisher.setClock(REST.gnss, REST.os, ...REST.synce)
  publisher.setClockOf('controller-1', ...LOCKED, REST.os)
  publisher.setClockOf('controller-2', REST.gnss, REST.os)
  return publisher
}

test('a StarlingX sidecar answers and calls as recorded', async () => {
  const exchanges = readTranscript('starlingx-v2/lifecycle')
  const publisher = await startRecorded()
  const consumer = await startConsumer()
  const labels = createLabels()
  const ports = () => [...consumer.ports(), [8080, Number(new URL(publisher.url).port)] as const]
  const toReal = (text: string) =>
    labels.translate(
      ports().reduce((all, [recorded, real]) => all.replaceAll(`:${recorded}`, `:${real}`), text),
    )
  const toRecorded = (text: string) =>
    ports().reduce((all, [recorded, real]) => all.replaceAll(`:${real}`, `:${recorded}`), text)
  const normal = (text: string) => normalBody(text.replace(/"time": ?"[^"]*"/g, '"time":"<time>"'))

  let note = ''
  try {
    for (const exchange of exchanges.filter((one) => !isCall(one))) {
      if (exchange.n === 1) await publisher.restart({ part: 'sidecar', warmUpMs: Number.POSITIVE_INFINITY })
      if (exchange.n === 4) publisher.becomeReady()
      if (exchange.note !== note && exchange.note?.startsWith('sidecar restarted')) {
        if (exchange.note.includes('without its store')) publisher.forget()
        await publisher.restart({ part: 'sidecar', warmUpMs: 0 })
      }
      note = exchange.note ?? ''
      if (EXCEPTIONS.has(exchange.n) || exchange.response === null) continue
      const { method, target, body } = exchange.request
      const reply = await send(publisher.url, {
        method,
        path: toReal(target),
        headers: { 'Content-Type': 'application/json' },
        body: body === null ? null : toReal(body),
      })
      const recorded = exchange.response.body ?? ''
      const actual = toRecorded(reply?.body ?? '')
      labels.pair(recorded, actual)
      const calls = exchanges.filter(({ during }) => during === exchange.n)
      expect({
        n: exchange.n,
        status: reply?.status,
        body: normal(labels.actual(actual)),
        calls: consumer
          .take()
          .map((call) => [call.recordedPort, call.target, normal(labels.actual(call.body))]),
      }).toEqual({
        n: exchange.n,
        status: exchange.response.status,
        body: normal(labels.recorded(recorded)),
        calls: calls.map(({ request }) => [
          Number(new URL(`http://${request.headers.Host}`).port),
          request.target,
          normal(labels.recorded(request.body ?? '')),
        ]),
      })
    }
  } finally {
    await consumer.close()
  }
})
