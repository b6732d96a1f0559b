import type { Publisher } from '#local/publishers/index.ts'
import type { Consumer } from './consumer.ts'
import type { createFeed } from './feed.ts'
import type { Exchange } from './transcript.ts'

export interface Stage {
  readonly publisher: Publisher
  readonly consumer: Consumer
  readonly feed: ReturnType<typeof createFeed>
}

/**
 * What the recording's operator did besides HTTP, told by the note of the exchange that follows it.
 * True: the hook fed the clocks as well, the recorded pushes are not to be fed again.
 */
export async function operate(
  { publisher, consumer, feed }: Stage,
  { note = '' }: Exchange,
): Promise<boolean> {
  const refusing = /refused delivery \d|endpoint refuses connections \(/.test(note)
  await consumer.refuse(9189, refusing)

  if (note.startsWith('publisher process stopped')) await publisher.faults({ refuse: true })
  if (note.startsWith('publisher process started again')) {
    await publisher.restart({ warmUpMs: Number.POSITIVE_INFINITY, replay: false })
  }
  if (note.startsWith('publisher stopped; ')) await publisher.faults({ publisherDown: true })
  if (note.startsWith('publisher started again with its store')) {
    await publisher.restart({ warmUpMs: Number.POSITIVE_INFINITY, replay: false })
  }
  if (note.startsWith('publisher restarted without its store')) {
    await publisher.restart({ warmUpMs: 0, replay: false })
    publisher.forget()
  }
  if (note.startsWith('sidecar was restarted; 12 events')) {
    const restarted = publisher.restart({ part: 'sidecar', downMs: 200 })
    for (let count = 0; count < 12; count += 1) feed.clockClass(100 + count)
    await publisher.idle()
    await restarted
  }
  // The restarted sidecar registers again: at once, instead of after some seconds.
  if (note.includes('has re-sent its registrations')) publisher.becomeReady()
  if (note.startsWith('consumer endpoint refused 12 events')) {
    await consumer.refuse(9089, true)
    for (let count = 0; count < 12; count += 1) feed.clockClass(120 + count)
    await publisher.idle()
    await consumer.refuse(9089, false)
  }
  const fed = /^CLOCK_CLASS_CHANGE (\d+) fed/.exec(note)?.[1]
  if (fed !== undefined) feed.clockClass(Number(fed))
  return fed !== undefined
}
