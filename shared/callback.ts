import { createHmac, timingSafeEqual } from 'node:crypto'

/** 192 bits of the HMAC, as base64url. */
const TOKEN_LENGTH = 32

export type Callback = ReturnType<typeof createCallback>

/**
 * Where publishers reach us, and the tokens that make a callback path a credential (design.md §5). `url`: base of the
 * callback, without `/event`. `secrets`: newest first; the first one signs, all verify. A token is an HMAC-SHA256 of
 * `event:<node>` or `broker`, so that no token works for another path.
 */
export function createCallback(options: { url: string; secrets?: readonly string[] | undefined }) {
  const base = `${options.url.replace(/\/+$/, '')}/event`
  const secrets = options.secrets ?? []
  const [newest] = secrets

  const verify = (text: string, token: string) => {
    const given = Buffer.from(token)
    // All are tried, so that timing reveals nothing.
    return secrets
      .map((secret) => Buffer.from(sign(secret, text)))
      .map((expected) => given.length === expected.length && timingSafeEqual(given, expected))
      .includes(true)
  }

  return {
    /** With a secret, only paths with a valid token are served. */
    secured: newest !== undefined,

    /** The EndpointUri of a node's subscriptions, with the token of the newest secret. It is a credential. */
    endpointFor(node: string) {
      const token = newest === undefined ? '' : `/${sign(newest, `event:${node}`)}`
      return `${base}/${encodeURIComponent(node)}${token}`
    },

    /** Whether a token is valid for this node by any of the secrets. Constant time. */
    verify: (node: string, token: string) => verify(`event:${node}`, token),

    /** The token of `/cloudevents/<token>`; undefined without a secret. */
    brokerToken: newest === undefined ? undefined : sign(newest, 'broker'),
    verifyBroker: (token: string) => verify('broker', token),

    /**
     * What an EndpointUri under our callback says, whatever its query; undefined for a foreign one. A bare `/event`,
     * used by a publisher that serves one consumer, names no node.
     */
    read(uri: string) {
      if (uri === base) return { node: undefined, token: undefined }
      if (!uri.startsWith(`${base}/`)) return undefined
      const [path = ''] = uri.slice(base.length + 1).split('?', 1)
      const [name = '', token, ...more] = path.split('/')
      const node = decode(name)
      return node && more.length === 0 ? { node, token } : undefined
    },
  }
}

function sign(secret: string, text: string): string {
  return createHmac('sha256', secret).update(text).digest('base64url').slice(0, TOKEN_LENGTH)
}

function decode(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment)
  } catch (error) {
    if (error instanceof URIError) return undefined
    throw error
  }
}
