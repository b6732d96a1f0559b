import type { NodeJson, Picture, Row } from '../http/schemas.ts'

type Message =
  | (Picture & { readonly type: 'snapshot'; readonly rows: readonly Row[] })
  | (Picture & {
      readonly type: 'change'
      readonly rows: readonly Row[]
      readonly removed: readonly string[]
    })
  | (Picture & { readonly type: 'node'; readonly view: NodeJson | null; readonly row: Row | null })
  | (Picture & { readonly type: 'time' })

/**
 * How the picture reaches us: `live` by the stream, `asking` by requests every few seconds if there is no stream,
 * `lost` if neither works.
 */
export type Link = 'connecting' | 'live' | 'asking' | 'lost'

/** The stream sends the time every 5 s: after this long without it, it is dead, whatever the browser thinks. */
const SILENCE_MS = 12_000
const ASK_EVERY_MS = 5_000
/** While asking, the stream is retried now and then. */
const RETRY_MS = 30_000

/** Keeps the picture up to date until `close`. `node`: for one node; undefined: for the fleet. */
export function follow(
  node: string | undefined,
  onMessage: (message: Message) => void,
  onLink: (link: Link) => void,
): { close(): void } {
  const query = node === undefined ? '' : `?node=${encodeURIComponent(node)}`
  let stream: EventSource | undefined
  let heardAt = performance.now()
  let triedAt = Number.NEGATIVE_INFINITY
  let asking: AbortController | undefined

  const heard = (message: Message, link: Link) => {
    heardAt = performance.now()
    onMessage(message)
    onLink(link)
  }

  const open = () => {
    triedAt = performance.now()
    stream?.close()
    stream = new EventSource(`/api/stream${query}`)
    for (const type of ['snapshot', 'change', 'node', 'time'] as const) {
      stream.addEventListener(type, ({ data }) => heard({ type, ...JSON.parse(data) }, 'live'))
    }
    // The browser reconnects by itself, unless the reply was not a stream: then we ask.
    stream.addEventListener('error', () => void ask())
  }

  const ask = async () => {
    if (asking !== undefined || stream === undefined) return
    asking = new AbortController()
    try {
      const signal = AbortSignal.any([asking.signal, AbortSignal.timeout(ASK_EVERY_MS)])
      const reply = await fetch(node === undefined ? '/api/fleet' : `/api/fleet${query}`, { signal })
      if (!reply.ok) throw new Error(`${reply.status}`)
      const message: Message = await reply.json()
      if (stream.readyState !== EventSource.OPEN) heard(message, 'asking')
    } catch {
      if (performance.now() - heardAt > SILENCE_MS / 2) onLink('lost')
    } finally {
      asking = undefined
    }
  }

  const tend = () => {
    const now = performance.now()
    const isOpen = stream?.readyState === EventSource.OPEN
    if (isOpen && now - heardAt > SILENCE_MS) open()
    else if (stream?.readyState === EventSource.CLOSED && now - triedAt > RETRY_MS) open()
    if (!isOpen || now - heardAt > SILENCE_MS) void ask()
  }
  onLink('connecting')
  open()
  const timer = setInterval(tend, ASK_EVERY_MS)
  // A tab that slept shows the past until it has asked.
  const onVisible = () => document.visibilityState === 'visible' && tend()
  document.addEventListener('visibilitychange', onVisible)
  return {
    close() {
      clearInterval(timer)
      document.removeEventListener('visibilitychange', onVisible)
      stream?.close()
      stream = undefined
      asking?.abort()
    },
  }
}
