import { expect, test } from 'vitest'
import { createTurns } from '#shared/publishers/turns.ts'

test('so many are let in at once, and the others in their order as somebody leaves', async () => {
  const turns = createTurns(2)
  const came: string[] = []
  const enter = async (name: string) => {
    await turns.enter()
    came.push(name)
  }
  expect(turns.enter()).toBeUndefined()
  await enter('second')
  const third = enter('third')
  const fourth = enter('fourth')
  await Promise.resolve()
  expect(came).toEqual(['second'])
  turns.leave()
  await third
  expect(came).toEqual(['second', 'third'])
  turns.leave()
  await fourth
  expect(came).toEqual(['second', 'third', 'fourth'])
})

test('a place that nobody waited for is free again', () => {
  const turns = createTurns(1)
  expect(turns.enter()).toBeUndefined()
  turns.leave()
  expect(turns.enter()).toBeUndefined()
  expect(turns.enter()).toBeInstanceOf(Promise)
})
