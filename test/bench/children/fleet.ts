import * as z from 'zod/mini'
import { createRedHatV2 } from '#local/publishers/index.ts'
import { nodeName } from '../notifications.ts'
import { answering } from './answering.ts'

const job = z.discriminatedUnion('do', [
  z.object({ do: z.literal('start'), count: z.number() }),
  z.object({ do: z.literal('forget') }),
])

const publishers: ReturnType<typeof createRedHatV2>[] = []

/** Simulated publishers with five resources each, all in lock. */
answering(async (message) => {
  const work = job.parse(message)
  if (work.do === 'forget') {
    for (const publisher of publishers) publisher.forget()
    return { publishers: [] }
  }
  for (let number = 0; number < work.count; number += 1) {
    const publisher = createRedHatV2({ node: nodeName(number), release: 'main', warmUpMs: 0 })
    await publisher.listen()
    publisher.becomeReady()
    publisher.setClock(
      { kind: 'lock-state', instance: 'ens5fx/master', state: 'LOCKED', offset: '3', clockClass: '6' },
      { kind: 'os-clock-sync-state', state: 'LOCKED', offset: '5' },
      { kind: 'clock-class', instance: 'ens5fx/master', clockClass: '6' },
      { kind: 'gnss-sync-status', instance: 'ens5fx/master', state: 'SYNCHRONIZED', gpsFix: '3' },
    )
    publishers.push(publisher)
  }
  return { publishers: publishers.map(({ node, url }) => ({ node, url })) }
})
