import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'

/** Whether a process that has imported this module has loaded what is behind its global `fetch` and `WebSocket`. */
function loadsClients(module: string): string {
  const script = `await import(${JSON.stringify(module)})
console.log(process.moduleLoadList.some((name) => name.includes('internal/deps/undici')))`
  return execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' }).trim()
}

test('a server is loaded without the clients that the import of node:http loads with it', () => {
  expect(loadsClients('node:http')).toBe('true')
  expect(loadsClients(new URL('../../shared/runtime/serve.ts', import.meta.url).href)).toBe('false')
})
