import { randomUUID } from 'node:crypto'
import { Agent } from 'undici'
import { onTestFinished } from 'vitest'
import { type Attempt, type Delivered, deliver } from './broker/deliver.ts'
import { ofKind } from './support/render.ts'
import type { Manifest } from './support/schemas.ts'

/** The tries of one tick, and how it ended. */
export type Tick = { readonly attempts: readonly Attempt[]; readonly result: Delivered }

/** The adapter of PingSource (knative/eventing): five quick repetitions; the time is what Knative Serving leaves. */
const DELIVERY = {
  retry: 5,
  backoffPolicy: 'exponential',
  backoffDelay: 'PT0.05S',
  timeout: 'PT90S',
  deadLetterSink: { ref: { name: '' } },
} as const

/** A PingSource of the manifests, which ticks when it is told to. `address`: where its sink is. */
export function createPingSource(
  manifests: readonly Manifest[],
  address: () => string,
  name = 'poll',
): { tick(): Promise<Tick> } {
  const source = ofKind(manifests, 'PingSource', 'sources.knative.dev/v1').find(
    ({ metadata }) => metadata.name === name,
  )
  if (source === undefined) throw new Error('There is no PingSource in the manifests')
  const { metadata, spec } = source
  const dispatcher = new Agent()
  const ended = new AbortController()
  onTestFinished(async () => {
    ended.abort()
    await dispatcher.destroy()
  })
  return {
    async tick() {
      const attempts: Attempt[] = []
      const attributes = {
        specversion: '1.0',
        id: randomUUID(),
        type: 'dev.knative.sources.ping',
        source: `/apis/v1/namespaces/${metadata.namespace}/pingsources/${metadata.name}`,
        time: new Date().toISOString(),
        datacontenttype: spec.contentType,
      }
      const result = await deliver(
        { attributes, data: Buffer.from(spec.data) },
        {
          destination: () => new URL(spec.sink.uri ?? '/', address()).href,
          delivery: DELIVERY,
          mode: 'binary',
          dispatcher,
          prefersReply: false,
          ended: ended.signal,
          onAttempt: (attempt) => void attempts.push(attempt),
        },
      )
      return { attempts, result }
    },
  }
}
