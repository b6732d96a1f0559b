import { expect, onTestFinished, test, vi } from 'vitest'
import { StoreError } from '#shared/errors.ts'
import { createLink } from '#shared/redis/link.ts'

type Fake = { isOpen(): boolean; close(): void; breaks(): void }

function connection(): Fake {
  let open = true
  const breaks = () => {
    open = false
  }
  return { isOpen: () => open, close: breaks, breaks }
}

test('a link opens one connection for all who ask, and another when it broke', async () => {
  const opened: ReturnType<typeof connection>[] = []
  const link = createLink(async () => {
    const next = connection()
    opened.push(next)
    return next
  })
  const all = await Promise.all([link.get(), link.get(), link.get()])
  expect(new Set(all)).toEqual(new Set(opened))
  expect(await link.get()).toBe(opened[0])
  opened[0]?.breaks()
  expect(await link.get()).toBe(opened[1])
  link.close()
  expect(opened[1]?.isOpen()).toBe(false)
  expect(opened).toHaveLength(2)
})

test('after an attempt that failed everybody fails at once, without another one', async () => {
  let attempts = 0
  const reason = new StoreError('is unreachable')
  const link = createLink(async () => {
    attempts += 1
    throw reason
  })
  await expect(Promise.all([link.get(), link.get()])).rejects.toBe(reason)
  for (let call = 0; call < 1000; call += 1) await expect(link.get()).rejects.toBe(reason)
  expect(attempts).toBeLessThan(100)
})

test('a connection that is replaced is used until the next one is there, and then closed', async () => {
  vi.useFakeTimers({ toFake: ['performance', 'setTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
  const opened: Fake[] = []
  const next = Promise.withResolvers<void>()
  const link = createLink(async () => {
    if (opened.length > 0) await next.promise
    const one = connection()
    opened.push(one)
    return one
  })
  const first = await link.get()
  link.replace()
  expect(await link.get()).toBe(first)
  vi.advanceTimersByTime(1000)
  link.replace()
  expect(await link.get()).toBe(first)
  next.resolve()
  await vi.waitFor(async () => expect(await link.get()).not.toBe(first))
  expect(opened).toHaveLength(2)
  expect(first.isOpen()).toBe(true)
  vi.advanceTimersByTime(1000)
  expect(first.isOpen()).toBe(false)
})

test('a connection that comes after the link was closed is closed', async () => {
  const { promise, resolve } = Promise.withResolvers<Fake>()
  const link = createLink(() => promise)
  const waiting = link.get()
  link.close()
  const late = connection()
  resolve(late)
  await expect(waiting).rejects.toThrow('closed')
  expect(late.isOpen()).toBe(false)
  await expect(link.get()).rejects.toThrow('closed')
})
