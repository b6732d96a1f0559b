import { expect, test } from 'vitest'
import { createRedHatV2 } from '#local/publishers/index.ts'
import { clocksIn } from './support/publishers.ts'
import { eventually, listening, startSystem, targetsOf } from './support/system.ts'

test('a node taken from PUBLISHERS is shown as gone, and is back as it was once it is listed again', async () => {
  const publishers = await listening(
    createRedHatV2({ node: 'worker-0.example.com', release: 'main', warmUpMs: 0 }),
    createRedHatV2({ node: 'worker-1.example.com', release: 'main', warmUpMs: 0 }),
  )
  for (const publisher of publishers) publisher.setClock(...clocksIn('LOCKED'))
  const [first, second] = publishers
  const system = await startSystem(publishers, { STALE_AFTER_SECONDS: '2' })
  await system.tick()
  await system.run(['subscribe', '--remove'], { PUBLISHERS: JSON.stringify(targetsOf([second])) })

  const shorter = { PUBLISHERS: JSON.stringify(targetsOf([first])) }
  await eventually(async () => {
    expect((await system.run(['poll'], shorter)).code).toBe(0)
    expect((await system.node(second)).publisher).toMatchObject({
      reachable: false,
      goneSince: expect.any(String),
    })
  })
  expect((await system.run(['status'])).out).toMatch(/worker-1\.example\.com .* gone /)
  expect((await system.node(first)).publisher).not.toHaveProperty('goneSince')

  await system.tick()
  const back = await system.node(second)
  expect(back).toMatchObject({ overall: 'LOCKED', publisher: { reachable: true } })
  expect(back.publisher).not.toHaveProperty('goneSince')
})
