import type { Dialect } from './dialects/client.ts'
import { redact } from '#shared/redact.ts'

/** A publisher as configured. */
export type Target = {
  /** The full name of the node, as the publisher writes it in addresses. */
  readonly node: string
  /** The URL of its API, with or without the API's own base path. */
  readonly url: string
  readonly dialect: Dialect | 'auto'
  /** Transport address of a v1 sidecar, to unstick it (protocol.md §2.6). */
  readonly transport?: string | undefined
  /** Where its proxy or sidecar serves its own metrics, to compare with ours. */
  readonly metrics?: string | undefined
  /** What people group and filter nodes by. Absent: unknown now, so those in the document are kept. */
  readonly labels?: Readonly<Record<string, string>> | undefined
}

/** Where requests go. `prefix` is the path of a proxy in front, without a trailing slash; usually empty. */
export type Place = { readonly origin: string; readonly prefix: string; readonly shown: string }

const API_BASE = /\/(?:api\/)?ocloudNotifications\/v[12]$/i

/** Splits a configured URL and removes the API's base path from its end: each client adds its own. */
export function placeOf(url: string): Place {
  const { origin, pathname } = new URL(url)
  const prefix = pathname.replace(/\/+$/, '').replace(API_BASE, '')
  return { origin, prefix, shown: redact(`${origin}${prefix}`) }
}

/** An address (with its leading slash) as a raw request path: only characters not allowed there are percent-encoded. */
export function pathOf(address: string): string {
  return address.replace(/[^\x21-\x7e]|[%?#"<>\\^`{|}]/gu, encodeURIComponent)
}
