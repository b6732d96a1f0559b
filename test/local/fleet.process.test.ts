import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { expect, onTestFinished, test } from 'vitest'
import { createFleet, type FleetOptions } from '#local/fleet.ts'
import { COMPILE_CACHE } from '../runtime/processes.ts'
import { postJson } from './endpoint.ts'

async function start(options: FleetOptions) {
  const fleet = createFleet({ warmUpMs: 0, ...options })
  onTestFinished(() => fleet.close())
  await fleet.listen()
  return fleet
}

test('a fleet has eight nodes of all dialects, each with a name of its own', async () => {
  const fleet = await start({})
  expect(fleet.publishers.map(({ dialect }) => dialect)).toEqual([
    'red-hat-v2',
    'red-hat-v2',
    'red-hat-v2',
    'red-hat-v2',
    'red-hat-v1',
    'red-hat-v1',
    'starlingx-v2',
    'starlingx-v2',
  ])
  expect(new Set(fleet.publishers.map(({ node }) => node)).size).toBe(8)
  expect(fleet.publishers.filter(({ transport }) => transport !== undefined)).toHaveLength(2)
})

async function story(seed: number) {
  const fleet = await start({ seed })
  const steps: string[] = []
  for (let count = 0; count < 200; count += 1) {
    const { node, what } = await fleet.step()
    steps.push(`${node} ${what}`)
  }
  return steps
}

test('the same seed lives the same life, another seed another', async () => {
  const first = await story(7)
  expect(await story(7)).toEqual(first)
  expect(await story(8)).not.toEqual(first)
})

test('a life knows lock, hold-over, free-run, GNSS loss and recovery, and every node takes part', async () => {
  const steps = await story(3)
  const told = steps.join('\n')
  for (const word of ['LOCKED', 'HOLDOVER', 'FREERUN', 'FAILURE-NOFIX', 'ACQUIRING-SYNC', 'SYNCHRONIZED']) {
    expect(told).toContain(word)
  }
  expect(new Set(steps.map((step) => step.split(' ')[0])).size).toBe(8)
})

test('a living fleet steps by itself', async () => {
  const told = Promise.withResolvers<string>()
  const fleet = await start({ paceMs: 1, onStep: ({ node }) => told.resolve(node) })
  fleet.live()
  expect(fleet.publishers.map(({ node }) => node)).toContain(await told.promise)
})

test('the control port reaches every publisher, also one that refuses connections', async () => {
  const fleet = await start({})
  const [first] = fleet.publishers
  if (!first) throw new Error('an empty fleet')
  expect((await postJson(`${fleet.control}/${first.node}/faults`, { refuse: true })).status).toBe(204)
  await expect
    .poll(() =>
      fetch(`${first.url}/_sim`).then(
        () => 'answers',
        () => 'refuses',
      ),
    )
    .toBe('refuses')
  expect((await postJson(`${fleet.control}/${first.node}/faults`, { refuse: false })).status).toBe(204)
  expect((await fetch(`${first.url}/_sim`)).status).toBe(200)
  expect((await fetch(`${fleet.control}/nobody`)).status).toBe(404)
})

test('the fleet command prints where it listens and stops on SIGTERM', async () => {
  const child = spawn(process.execPath, ['local/fleet-main.ts', '--seed', '5'], {
    env: { ...process.env, ...COMPILE_CACHE },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => {
    if (child.exitCode === null) child.kill('SIGKILL')
  })
  const exited = once(child, 'exit')
  const [line] = await once(createInterface(child.stdout), 'line')
  const { publishers, control } = JSON.parse(line)
  expect(publishers).toHaveLength(8)
  expect(await (await fetch(`${control}/`)).json()).toHaveLength(8)
  child.kill('SIGTERM')
  expect(await exited).toEqual([0, null])
})
