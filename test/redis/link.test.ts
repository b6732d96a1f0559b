import { expect, test } from 'vitest'
import { StoreError } from '#shared/errors.ts'
import type { Connection } from '#shared/redis/connection.ts'
import { createLink } from '#shared/redis/link.ts'

function connection(): Connection & { breaks(): void } {
  let open = true
  const breaks = () => {
    open = false
  }
  return {
    endpoint: { host: 'h', port: 1 },
    where: 'h:1',
    facts: { version: '7.0.0', mode: 'standalone', replica: false, eviction: undefined },
    isOpen: () => open,
    send: async () => 'OK',
    close: breaks,
    breaks,
  }
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
  link.reset()
  expect(opened[1]?.isOpen()).toBe(false)
  expect(await link.get()).toBe(opened[2])
  expect(opened).toHaveLength(3)
})

test('after an attempt that failed everybody fails at once, without another one', async () => {
  let attempts = 0
  const reason = new StoreError('out of reach')
  const link = createLink(
    async () => {
      attempts += 1
      throw reason
    },
    () => 1,
  )
  await expect(Promise.all([link.get(), link.get()])).rejects.toBe(reason)
  for (let call = 0; call < 1000; call += 1) await expect(link.get()).rejects.toBe(reason)
  expect(attempts).toBeLessThan(100)
})

test('no more than ten thousand wait for an attempt', async () => {
  const { promise, resolve } = Promise.withResolvers<Connection>()
  const link = createLink(() => promise)
  const waiting = Array.from({ length: 10_000 }, () => link.get())
  await expect(link.get()).rejects.toThrow('Too many wait')
  resolve(connection())
  await Promise.all(waiting)
})

test('a connection that comes after the link was closed is closed', async () => {
  const { promise, resolve } = Promise.withResolvers<Connection>()
  const link = createLink(() => promise)
  const waiting = link.get()
  link.close()
  const late = connection()
  resolve(late)
  await expect(waiting).rejects.toThrow('closed')
  expect(late.isOpen()).toBe(false)
  await expect(link.get()).rejects.toThrow('closed')
})
