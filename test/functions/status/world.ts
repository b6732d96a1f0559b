import { onTestFinished } from 'vitest'
import { readAssets } from '#functions/status/http/assets.ts'
import { createFleet } from '#functions/status/fleet.ts'
import { createStatusHandler } from '#functions/status/http/handler.ts'
import { silentLog } from '#shared/log.ts'
import { type HttpHeaders, type HttpRequest, replyOf } from '#shared/runtime/reply.ts'
import { defaultShown, lockedNode, openStore, put } from '../fleet.ts'

export const NOW = Date.parse('2026-11-23T12:00:00Z')

/** The handler of `status` over a store, under a clock that a test moves. */
export async function status(
  nodes: readonly string[],
  { historyPerNode = 50, entries = 0, url = 'memory:' } = {},
) {
  const store = await openStore(url, historyPerNode)
  onTestFinished(() => store.close())
  for (const node of nodes) await put(store, lockedNode(node, NOW), entries)
  const time = { now: NOW }
  const deps = {
    store,
    clock: { now: () => time.now },
    settings: defaultShown,
    log: silentLog,
    shownStore: 'memory:',
  }
  const assets = await readAssets('/nowhere')
  const handle = createStatusHandler({ ...deps, historyPerNode, fleet: createFleet(deps, 'test'), assets })
  const get = async (target: string, method = 'GET', sent: HttpHeaders = {}) => {
    const [path = '', query = ''] = target.split('?')
    const request: HttpRequest = {
      method,
      path,
      query,
      headers: sent,
      body: new Uint8Array(),
      signal: new AbortController().signal,
    }
    try {
      const { status: code, body, stream, headers } = await handle(request)
      const parts: (string | Uint8Array)[] = body === undefined ? [] : [body]
      if (stream !== undefined) for await (const part of stream) parts.push(part)
      const bytes = Buffer.concat(parts.map((part) => Buffer.from(part)))
      const isJson =
        headers?.['content-type'] === 'application/json' && headers['content-encoding'] === undefined
      return { code, headers, bytes, json: isJson ? JSON.parse(bytes.toString() || 'null') : null }
    } catch (error) {
      const { status: code, body, headers } = replyOf(error, silentLog)
      return { code, headers, bytes: Buffer.from(body ?? ''), json: JSON.parse(String(body)) }
    }
  }
  return { get, time, store }
}
