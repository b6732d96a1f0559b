import { describe, expect, it, onTestFinished } from 'vitest'
import { stringify } from 'yaml'
import { createRedHatV2 } from '#local/publishers/index.ts'
import { startRedis } from '../support/redis.ts'
import { createFunctions } from './broker/functions.ts'
import { ofKind, renderWith } from './support/render.ts'

const manifests = renderWith('dev', ['state-redis-url', 'poll-sharded'])
const [cron] = ofKind(manifests, 'CronJob', 'batch/v1')
const job = cron?.spec.jobTemplate.spec
const count = Number(job?.completions)

describe('the Indexed Job of poll-sharded', () => {
  it('tells each pod how many there are, and runs them all at once', () => {
    const [container] = job?.template.spec.containers ?? []
    const told = container?.env?.find(({ name }) => name === 'JOB_COMPLETION_COUNT')
    expect(job).toMatchObject({ completionMode: 'Indexed', completions: count, parallelism: count })
    expect(told).toEqual({ name: 'JOB_COMPLETION_COUNT', value: String(count) })
    expect(count).toBeGreaterThan(1)
  })

  // Kubernetes ends all other pods of a Job that has failed; poll ends with 1 where one publisher is away.
  it('lets the failure of one pod not end the others', () => {
    expect(job?.backoffLimit).toBeUndefined()
    expect(job?.backoffLimitPerIndex).toBe(0)
    // What backoffLimitPerIndex demands.
    expect(job?.template.spec.restartPolicy).toBe('Never')
  })

  it('polls each publisher by one of its pods, also when one of them is away', async () => {
    const redis = await startRedis()
    onTestFinished(() => redis.close())
    const names = Array.from({ length: 10 }, (_, number) => `worker-${number}.example.com`)
    const publishers = names.map((node) => createRedHatV2({ node, release: 'main', warmUpMs: 0 }))
    for (const publisher of publishers) {
      onTestFinished(() => publisher.close())
      await publisher.listen()
    }
    const functions = createFunctions(manifests, {
      STATE_URL: `redis://127.0.0.1:${redis.port}`,
      K_SINK: '',
    })
    const listed = publishers.map(({ node, url }) => ({ node, url, dialect: 'red-hat-v2' }))
    functions.image.mount(functions.environment('poll').PUBLISHERS ?? '', stringify(listed))
    const ingest = await functions.start('ingest')
    await publishers[0]?.close()

    const runs = await Promise.all(
      Array.from({ length: count }, (_, index) =>
        functions.run('poll', { CALLBACK_URL: ingest.url, JOB_COMPLETION_INDEX: String(index) }),
      ),
    )
    expect(runs.map(({ code }) => code)).toEqual([1, 0, 0, 0])
    const polled = runs.flatMap(({ err }) =>
      Array.from(err.matchAll(/"message":"polled".*?"node":"([^"]+)"/g), ([, node]) => node),
    )
    expect(polled.toSorted()).toEqual(names)
    for (const publisher of publishers.slice(1)) expect(publisher.subscriptions()).toHaveLength(7)
  })
})
