import { describe, expect, it } from 'vitest'
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
})
