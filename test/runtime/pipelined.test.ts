import { describe, expect, test } from 'vitest'
import { rawConnection } from './raw.ts'
import { serving } from './serving.ts'

describe('requests that come without waiting for replies', () => {
  const ask = (n: number) => `GET /${n} HTTP/1.1\r\nHost: x\r\n\r\n`
  const asks = (count: number) => Array.from({ length: count }, (_, n) => ask(n)).join('')

  test('are answered in their order, where they are few', async () => {
    const { port } = await serving(({ path }) => ({ status: 200, headers: {}, body: `<${path}>` }))
    using raw = await rawConnection(port)
    raw.send(asks(9))
    const text = await raw.until(/<\/8>/)
    expect(text.match(/<\/\d+>/g)).toEqual(Array.from({ length: 9 }, (_, n) => `</${n}>`))
    raw.send(ask(9))
    expect(await raw.until(/<\/9>/)).toMatch(/<\/9>$/)
  })

  test('end the connection where they are many, and cost no more than a few', async () => {
    let asked = 0
    const { port } = await serving(() => {
      asked += 1
      return { status: 200, headers: {}, body: 'x'.repeat(1_000) }
    })
    using raw = await rawConnection(port)
    raw.send(asks(2_000))
    await raw.closed()
    expect(asked).toBeLessThan(20)
    using other = await rawConnection(port)
    other.send(ask(0))
    expect(await other.until(/x{1000}/)).toMatch(/^HTTP\/1.1 200 /)
  })
})
