import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { expect, onTestFinished } from 'vitest'

/** The URL that it says it listens on; SIGTERM at the end of the test, to which it has to answer with 0. */
export async function served(child: ChildProcess): Promise<string> {
  const exit = once(child, 'close')
  onTestFinished(async () => {
    child.kill('SIGTERM')
    expect(await exit).toEqual([0, null])
  })
  let written = ''
  for await (const chunk of child.stderr?.setEncoding('utf8').iterator({ destroyOnReturn: false }) ?? []) {
    written += chunk
    const url = /"message":"listening".*?"url":"([^"]+)"/.exec(written)?.[1]
    if (url === undefined) continue
    // What it writes is read on: it would wait for that. `resume` alone does nothing while the iterator still listens.
    child.stderr?.on('data', () => {})
    child.stdout?.resume()
    return url
  }
  throw new Error(`It ended and had written:\n${written}`)
}

export async function ended(child: ChildProcess): Promise<{ code: unknown; out: string; err: string }> {
  const { stdout, stderr } = child
  if (stdout === null || stderr === null) throw new TypeError('The output of a container is piped')
  const [out, err, [code]] = await Promise.all([text(stdout), text(stderr), once(child, 'close')])
  return { code, out, err }
}
