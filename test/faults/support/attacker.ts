/**
 * A client that means ill, in a process of its own: `node attacker.ts <port> <attack> <connections> <path>`. It holds so
 * many connections, and opens another a second after one was closed. Writes a line once all have been opened.
 */
import { connect } from 'node:net'

const [port = '', attack = '', connections = '', path = ''] = process.argv.slice(2)

const HEAD = `POST ${path} HTTP/1.1\r\nHost: ingest\r\n`
const withLength = (length: number, body: string) => `${HEAD}Content-Length: ${length}\r\n\r\n${body}`
const spaces = (count: number) => ' '.repeat(count)

/** As much work as fits into one body: values of many clocks, none of which is like the one before. */
function heaviest(): string {
  const node = path.split('/')[2] ?? ''
  const clock = (n: number) => `/cluster/node/${node}/sync/ptp-status/lock-state/ens${n}/${'x'.repeat(150)}`
  const values = Array.from({ length: 256 }, (_, n) => ({
    ResourceAddress: clock(n),
    data_type: 'notification',
    value_type: 'enumeration',
    value: n % 2 === 0 ? 'FREERUN' : 'LOCKED',
  }))
  return JSON.stringify({
    specversion: '1.0',
    id: '1',
    source: '/sync/ptp-status/lock-state',
    type: 'event.sync.ptp-status.ptp-state-change',
    time: '2026-11-23T04:57:02.000Z',
    data: { version: '1.0', values },
  }).slice(0, 65_536)
}

/** What a connection sends when it is open; and again after each reply, if `again`. */
const ATTACKS: Readonly<
  Record<string, { readonly text: () => string; readonly again?: true; readonly isDeaf?: true }>
> = {
  /** Says nothing. */
  idle: { text: () => '' },
  /** Half a head. */
  head: { text: () => HEAD.slice(0, -4) },
  /** All of a large body but its last byte. */
  large: { text: () => withLength(262_144, spaces(262_143)) },
  /** The largest body that is allowed, but for its last byte. */
  allowed: { text: () => withLength(65_536, spaces(65_535)) },
  small: { text: () => withLength(8_000, spaces(7_999)) },
  /** The same in chunks of a byte, without an end. */
  chunks: { text: () => `${HEAD}Transfer-Encoding: chunked\r\n\r\n${'1\r\n \r\n'.repeat(60_000)}` },
  /** A body that is allowed, in chunks of 66 bytes. */
  crumbs: { text: () => `${HEAD}Transfer-Encoding: chunked\r\n\r\n${`42\r\n${spaces(66)}\r\n`.repeat(900)}` },
  /** A thousand requests without waiting, whose replies are never read; with and without a body. */
  posts: { text: () => withLength(7, '{"a":1}').repeat(1_000), isDeaf: true },
  gets: { text: () => 'GET /metrics HTTP/1.1\r\nHost: ingest\r\n\r\n'.repeat(2_000), isDeaf: true },
  /** Bodies that are hard to digest, one after the other. */
  heavy: { text: () => withLength(heaviest().length, heaviest()), again: true },
  rubbish: { text: () => withLength(60_000, '{"a":'.repeat(8_000).padEnd(60_000, '}')), again: true },
  /** As many events of nodes that do not exist as a body may have. */
  unknown: {
    text() {
      const one = (n: number) =>
        JSON.stringify({
          type: 'event.sync.ptp-status.ptp-state-change',
          time: '2026-11-23T04:57:02.000Z',
          data: {
            values: [{ ResourceAddress: `/cluster/node/no${n}-${process.pid}/a/master`, value: 'LOCKED' }],
          },
        })
      const body = `[${Array.from({ length: 64 }, (_, n) => one(n)).join(',')}]`
      return withLength(body.length, body)
    },
    again: true,
  },
  json: { text: () => withLength(7, '{"a":1}'), again: true },
}

const chosen = ATTACKS[attack]
if (chosen === undefined) throw new TypeError(`There is no attack ${attack}`)
const { again = false, isDeaf = false } = chosen
const bytes = chosen.text()
let opened = 0

function open(): void {
  const socket = connect(Number(port), '127.0.0.1', () => {
    socket.write(bytes)
    opened += 1
    if (opened === Number(connections)) process.stderr.write('"message":"attacking"\n')
  })
  if (again) socket.on('data', () => socket.write(bytes))
  else if (!isDeaf) socket.resume()
  socket.on('error', () => {})
  socket.on('close', () => setTimeout(open, 1_000))
}

for (let n = 0; n < Number(connections); n++) open()
