import type { ExpectedReply } from '../../runtime/host-contract.ts'

type Deviation = {
  /** The row of docs/hosting.md that tells of it. */
  readonly row: string
  readonly reply: ExpectedReply
}

const html = (status: number): ExpectedReply => ({
  status,
  headers: { 'content-type': 'text/html; charset=utf-8' },
})

/** All that the Functions Framework decides by itself before ingest is asked, and so cannot be as on our server. */
export const FRAMEWORK = {
  badJson: {
    row: 'malformed JSON, or a bare JSON string or number, with a JSON media type',
    reply: html(400),
  },
  unknownCoding: { row: 'a charset or content encoding that it does not know', reply: html(415) },
  unpacked: { row: 'a compressed body', reply: { status: 204, body: '' } },
  brokenEncoding: { row: 'a path whose percent-encoding is broken', reply: html(400) },
  noPath: { row: 'a target that is no path, such as that of `OPTIONS *`', reply: html(404) },
  continued: {
    row: '`Expect: 100-continue` with too large a length',
    reply: { status: 413 },
  },
} as const satisfies Record<string, Deviation>
