import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { expect, test } from 'vitest'
import { reasonOf } from '#shared/errors.ts'
import { createAuthority, type Pair } from '../publishers/support/certificates.ts'
import { folder } from '../publishers/support/folder.ts'
import { listen } from '../publishers/support/listen.ts'
import { startHttp } from '../publishers/support/world.ts'

const GET = { method: 'GET', path: '/' } as const

/** A publisher that asks for a client certificate of `ca` and answers with its name, or 401 without one. */
async function startTls(server: Pair, ca: string) {
  const publisher = createServer({ ...server, ca, requestCert: true, rejectUnauthorized: false })
  publisher.on('request', (request: { socket: TLSSocket }, response) => {
    const { authorized } = request.socket
    response
      .writeHead(authorized ? 200 : 401)
      .end(request.socket.getPeerCertificate().subject?.CN ?? 'nobody')
  })
  return { url: await listen(publisher, { scheme: 'https' }), publisher }
}

async function startedWithFiles() {
  const path = await folder()
  const authority = await createAuthority(path, 'ca')
  const files = { ca: join(path, 'ca.pem'), cert: join(path, 'tls.crt'), key: join(path, 'tls.key') }
  const first = await authority.issue('first')
  await writeFile(files.ca, authority.cert)
  await writeFile(files.cert, first.cert)
  await writeFile(files.key, first.key)
  const { url, publisher } = await startTls(await authority.issue('server'), authority.cert)
  return { path, authority, files, url, publisher }
}

test('a publisher is trusted by the CA file and shown the client certificate', async () => {
  const { files, url } = await startedWithFiles()
  const answer = await startHttp({ files }).request(url, GET)
  expect(answer).toMatchObject({ status: 200, body: 'first' })
})

test('without the CA file a publisher is not trusted', async () => {
  const { url } = await startedWithFiles()
  const error = await startHttp()
    .request(url, GET)
    .catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: 'unreachable' })
  expect(reasonOf(error)).toMatch(/certificate/)
})

test('a client certificate that was rotated is shown on new connections, also where an old one is open', async () => {
  const { files, url, authority } = await startedWithFiles()
  let now = 0
  const http = startHttp({ files }, { now: () => now })
  expect((await http.request(url, GET)).body).toBe('first')
  const second = await authority.issue('second')
  await writeFile(files.cert, second.cert)
  await writeFile(files.key, second.key)
  now = 3_000
  expect((await http.request(url, GET)).body).toBe('second')
})

test('between the two files of a new pair the old pair stays in use', async () => {
  const { files, url, authority } = await startedWithFiles()
  let now = 0
  const http = startHttp({ files }, { now: () => now })
  await http.request(url, GET)
  const second = await authority.issue('second')
  await writeFile(files.cert, second.cert)
  now = 3_000
  expect((await http.request(url, GET)).body).toBe('first')
  await writeFile(files.key, second.key)
  now = 6_000
  expect((await http.request(url, GET)).body).toBe('second')
})

test('a CA that was rotated is trusted, and the old one is not any more', async () => {
  const { path, files, url, authority } = await startedWithFiles()
  const other = await createAuthority(path, 'other')
  const moved = await startTls(await other.issue('server'), authority.cert)
  let now = 0
  const http = startHttp({ files }, { now: () => now })
  await http.request(url, GET)
  await expect(http.request(moved.url, GET)).rejects.toMatchObject({ code: 'unreachable' })
  await writeFile(files.ca, other.cert)
  now = 3_000
  expect((await http.request(moved.url, GET)).body).toBe('first')
  await expect(http.request(url, GET)).rejects.toMatchObject({ code: 'unreachable' })
})
