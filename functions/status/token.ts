/** Says that the rest is a position of ours, so that any other base64 is refused rather than looked up. */
const MARK = 'from:'

/** A position in the list of nodes, in a form that nobody is tempted to make up. */
export function toToken(position: string): string {
  return Buffer.from(MARK + position, 'utf8').toString('base64url')
}

/** The position of a token; undefined if it is none of {@link toToken}. */
export function fromToken(token: string): string | undefined {
  const text = Buffer.from(token, 'base64url').toString('utf8')
  const position = text.slice(MARK.length)
  return text.startsWith(MARK) && toToken(position) === token ? position : undefined
}
