import { html, nothing, type TemplateResult } from 'lit-html'
import type { Picture } from '../http/schemas.ts'
import type { Link } from './live.ts'
import { duration, type State, SHAPES, timeOf, visible } from './words.ts'

/** What every page gets: the picture, how it reaches us, and the server's current time. */
export type Seen = {
  readonly picture: Picture | undefined
  readonly link: Link
  /** The server's clock, advanced by ours: the browser's may be wrong. Milliseconds. */
  readonly now: number
  /** How long ago the picture was made. Milliseconds. */
  readonly age: number
}

/** A picture this old is shown as old. Twice the longest silence of the stream. Milliseconds. */
const OLD_MS = 15_000

export const isOld = ({ picture, age }: Seen) => picture === undefined || age > OLD_MS

/** Header, warnings and content of a page. */
export function frame(seen: Seen, { title, content }: { title: unknown; content: unknown }): TemplateResult {
  return html`
    <header>
      <div class="title">${title}</div>
      <div class="link" role="status">${linkText(seen)}</div>
    </header>
    ${warnings(seen)}
    <main class=${isOld(seen) ? 'old' : ''}>${content}</main>
    <footer>
      ${seen.picture === undefined ? nothing : html`Store <bdi>${visible(seen.picture.store)}</bdi>. Times are UTC. `}
      <a href="/api/openapi.json">API</a> · <a href="/metrics">Metrics</a>
    </footer>
  `
}

function linkText({ link, picture, now }: Seen): unknown {
  // That publishers still answer is written only now and then, so the last poll may be more recent.
  const polled =
    picture?.polledAt == null
      ? 'never polled'
      : `polled within ${duration(now - Date.parse(picture.polledAt))}`
  const words: Readonly<Record<Link, string>> = {
    connecting: 'connecting',
    live: 'live',
    asking: 'no stream, asks every 5 s',
    lost: 'reconnecting',
  }
  return html`<span class="dot ${link}" aria-hidden="true"></span>${words[link]}${picture === undefined ? nothing : html` · ${polled}`}`
}

/** Anything that makes the picture untrustworthy comes first, above all states. */
function warnings(seen: Seen): unknown {
  const { picture, link, now, age } = seen
  const found: string[] = []
  if (picture === undefined) {
    if (link === 'lost') found.push('PTP Watch does not answer. Trying again.')
  } else {
    if (isOld(seen)) {
      const at = timeOf(picture.now, now)
      found.push(`Not live: this is the picture of ${at} UTC, ${duration(age)} ago. Reconnecting.`)
    }
    if (picture.storeDownSince !== null) {
      const since = duration(now - Date.parse(picture.storeDownSince))
      found.push(`The store has been unreachable for ${since}: states are as last read.`)
    }
    const polled = picture.polledAt === null ? undefined : now - Date.parse(picture.polledAt)
    if (polled !== undefined && polled > picture.staleAfterMs) {
      found.push(
        `Polls have stopped: the last one was ${duration(polled)} ago. A lost event would go unnoticed.`,
      )
    }
  }
  return found.length === 0
    ? nothing
    : html`<div class="warnings" role="alert">${found.map((text) => html`<p>⚠ ${text}</p>`)}</div>`
}

/** A state by shape, word and colour. */
export function stateText(overall: State): TemplateResult {
  return html`<span class="state ${overall}"><span class="shape" aria-hidden="true">${SHAPES[overall]}</span> ${overall}</span>`
}

/** Title and icon of the tab follow the worst state. */
export function showInTab(worst: State | undefined, title: string): void {
  if (document.title !== title) document.title = title
  const icon = document.getElementById('icon')
  const href = `/icon/${(worst ?? 'UNKNOWN').toLowerCase()}.svg`
  if (icon?.getAttribute('href') !== href) icon?.setAttribute('href', href)
}
