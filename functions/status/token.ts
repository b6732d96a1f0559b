/** Says that the rest is a position of ours, so that any other base64 is refused rather than looked up. */
const MARK = 'from:'

/** Where a page begins. */
export type Position = {
  /** In which list: `listOf` of its query, without a colon. */
  readonly list: string
  readonly at: string
}

/** A position in a list of nodes, in a form that nobody is tempted to make up. */
export function toToken({ list, at }: Position): string {
  return Buffer.from(`${MARK}${list}:${at}`, 'utf8').toString('base64url')
}

/** The position of a token; undefined if it is none of {@link toToken}. */
export function fromToken(token: string): Position | undefined {
  const text = Buffer.from(token, 'base64url').toString('utf8')
  const colon = text.indexOf(':', MARK.length)
  if (!text.startsWith(MARK) || colon < 0) return undefined
  const position = { list: text.slice(MARK.length, colon), at: text.slice(colon + 1) }
  return toToken(position) === token ? position : undefined
}
