import { Client } from 'undici'
import { beforeAll, describe, expect, test } from 'vitest'
import { openStore, temporaryFolder } from '../fleet.ts'
import type { ContractRow } from '../../runtime/host-contract.ts'
import { type Env, type HostedFunction, onFramework, onServe, MAIN } from '../../runtime/processes.ts'
import { type Stored, storedOf } from './stored.ts'

/** One request, what every host must make of it, and what the store must hold once the reply is there. */
export type IngestRow = ContractRow & {
  /** Bodies sent to `path` before, each of which must be answered 204. */
  readonly before?: readonly string[]
  /** Nodes and what the store has of them after the reply. */
  readonly stored?: Readonly<Record<string, Stored>>
}

const HOSTS = { serve: onServe, framework: onFramework } as const
const ENTRIES = { serve: MAIN, framework: 'functions/framework.ts' } as const

/** Runs a table of requests against ingest in a process of its own on every host, and looks into its store. */
export function ingestContract(
  title: string,
  env: Env,
  rows: readonly IngestRow[],
  afterwards: (running: HostedFunction['running']) => void = () => {},
): void {
  describe.each(['serve', 'framework'] as const)(`${title}, hosted by %s`, (kind) => {
    const folder = temporaryFolder()
    const url = `sqlite:${folder.path}/state.db`
    let host: HostedFunction
    /** Sends paths as they are written, which `request` of a URL does not. */
    let client: Client
    let store: Awaited<ReturnType<typeof openStore>>

    beforeAll(async () => {
      store = await openStore(url)
      host = await HOSTS[kind](ENTRIES[kind], 'ingest', { LOG_LEVEL: 'debug', ...env, STATE_URL: url })
      client = new Client(host.url)
      return async () => {
        await client.close()
        await host.stop()
        await store.close()
        folder.remove()
      }
    })

    test.each(rows)('$name', async (row) => {
      const { method, path, headers = JSON_TYPE, body = null, before = [], stored = {} } = row
      for (const earlier of before) {
        const reply = await client.request({ method: 'POST', path, headers: JSON_TYPE, body: earlier })
        expect({ status: reply.statusCode, text: await reply.body.text() }).toEqual({ status: 204, text: '' })
      }
      const expected = (kind === 'framework' ? row.onFramework : undefined) ?? row.reply
      const reply = await client.request({ path, method, headers, body })
      const text = await reply.body.text()
      expect(reply.statusCode, text).toBe(expected.status)
      expect(reply.headers).toMatchObject(expected.headers ?? {})
      if (expected.body === '') expect(text).toBe('')
      else if (expected.body !== undefined) expect(JSON.parse(text)).toEqual(expected.body)
      for (const [node, state] of Object.entries(stored)) {
        const found = await storedOf(store, node)
        if (state === undefined) expect(found, node).toBeUndefined()
        else expect(found, node).toMatchObject(state)
      }
    })

    test('the process has written what it should', () => afterwards(host.running))
  })
}

const JSON_TYPE = { 'content-type': 'application/json' }
