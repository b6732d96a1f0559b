import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { request } from 'undici'
import { onTestFinished } from 'vitest'
import type { Env } from '../../runtime/processes.ts'
import { createImage, type Image } from '../support/container.ts'
import { ended, served } from '../support/processes.ts'
import { environmentOf, functionContainers, workloads } from '../support/render.ts'
import type { Manifest } from '../support/schemas.ts'
import { SECRETS } from '../support/secrets.ts'
import { type CloudEvent, writeEvent } from './event.ts'

/** A pod of one of our functions. */
export type Pod = {
  readonly url: string
  /** As Kubernetes ends it; resolves when it has ended. At the end of a test all are ended so, and have to exit with 0. */
  terminate(): Promise<void>
}

/** Runs our functions in the image, with the arguments and the environment of their manifests. */
export type Functions = {
  readonly image: Image
  start(name: string, env?: Env): Promise<Pod>
  /** One that runs once. */
  run(name: string, env?: Env): ReturnType<typeof ended>
  /** The environment that {@link Functions.start} gives. */
  environment(name: string, env?: Env): Record<string, string>
}

/** `around`: what the cluster would have and a test has elsewhere. */
export function createFunctions(manifests: readonly Manifest[], around: Env): Functions {
  const image = createImage()
  onTestFinished(() => image.remove())
  const find = (name: string) => {
    const found = functionContainers(manifests).find(({ container }) => container.args?.[0] === name)
    if (found === undefined) throw new Error(`There is no ${name} in the manifests`)
    return found.container
  }
  const environment = (name: string, env: Env = {}) => ({
    ...environmentOf(manifests, find(name), SECRETS),
    HOST: '127.0.0.1',
    PORT: '0',
    ...around,
    ...env,
  })
  return {
    image,
    environment,
    run: (name, env) => ended(image.run(find(name).args ?? [], environment(name, env))),
    async start(name, env) {
      const child: ChildProcess = image.run(find(name).args ?? [], environment(name, env))
      const exit = once(child, 'exit')
      const url = await served(child)
      return {
        url,
        async terminate() {
          child.kill('SIGTERM')
          await exit
        },
      }
    },
  }
}

/** One number of `/metrics`, by its name and labels as they are written there; 0 where it is not. */
export async function metric({ url }: Pod, name: string): Promise<number> {
  const { body } = await request(`${url}/metrics`)
  const line = (await body.text()).split('\n').find((each) => each.startsWith(`${name} `))
  return Number(line?.slice(name.length + 1) ?? 0)
}

/** What a person finds in the log of the Job that the JobSink makes of a dead letter: its container is run on it. */
export async function shown(
  image: Image,
  manifests: readonly Manifest[],
  letter: CloudEvent,
): Promise<unknown> {
  const job = workloads(manifests).find(({ id }) => id === 'JobSink/dead-letters')
  image.mount('/etc/jobsink-event/event', String(writeEvent(letter, 'structured').body))
  const { out } = await ended(image.execute(job?.pod.containers[0]?.command ?? []))
  return JSON.parse(out)
}
