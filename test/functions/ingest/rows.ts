import type { ExpectedReply } from '../../runtime/host-contract.ts'
import type { IngestRow } from './contract.ts'
import { text } from './notifications.ts'

/** The largest body that is taken, in bytes. */
export const LIMIT = 64 * 1024
/** The replies to what is taken: of the callback, and of the deliveries. */
export const NONE: ExpectedReply = { status: 204, body: '' }
export const TAKEN: ExpectedReply = { status: 202, body: '' }

/** Rows have nodes of their own: none of a table sees what another left. */
const NODES = Array.from({ length: 100 }, (_, n) => `node${n}.example.com`)
export const PUBLISHERS = text(NODES.map((node) => ({ node, url: 'http://127.0.0.1:9' })))
let used = 0
const nextNode = () => NODES[used++ % NODES.length] ?? ''

export type Sent = Omit<IngestRow, 'method' | 'path' | 'reply'> & { reply?: ExpectedReply; path?: string }

export const post = (row: Sent & { path: string; reply: ExpectedReply }): IngestRow => ({
  method: 'POST',
  ...row,
})

/** A row about one node, on the path that `pathOf` gives it. */
export function about(pathOf: (node: string) => string, make: (node: string) => Sent): IngestRow {
  const node = nextNode()
  return { method: 'POST', path: pathOf(node), reply: NONE, ...make(node) }
}

/** What the store has of a node whose first event said LOCKED, or of one that sent only rubbish. */
export const locked = {
  clocks: ['lock-state ens5fx/master LOCKED'],
  log: ['lock-state LOCKED'],
  quarantined: 0,
}
export const aside = { clocks: [], log: [], quarantined: 1 }
