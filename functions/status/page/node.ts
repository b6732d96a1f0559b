import type { LogEntry, NodeJson, Row, Timeline } from '../http/schemas.ts'
import { html, nothing, type TemplateResult } from 'lit-html'
import { frame, isOld, type Seen, showInTab, stateText } from './frame.ts'
import { lanesView } from './lanes.ts'
import { duration, FLAG_TEXTS, holdoverText, SHAPES, STATES, timeOf, visible } from './words.ts'

export const SPANS = { '1h': 3_600_000, '24h': 86_400_000, '7d': 604_800_000 } as const
export type SpanName = keyof typeof SPANS

/** What is known of the node shown; undefined while it is fetched, null if the store has no such node. */
export type NodePicture = {
  readonly view: NodeJson | null | undefined
  readonly row: Row | undefined
  readonly timeline: Timeline | undefined
  readonly log: readonly LogEntry[] | undefined
}

export function nodePage(
  node: string,
  { view, row, timeline, log }: NodePicture,
  span: SpanName,
  seen: Seen,
): TemplateResult {
  const worst = isOld(seen) ? undefined : view?.overall
  showInTab(
    worst,
    `${isOld(seen) ? '⚠ not live' : view ? `${SHAPES[view.overall]} ${view.overall}` : '?'} ${node} – PTP Watch`,
  )
  return frame(seen, {
    title: html`<nav aria-label="Breadcrumb"><a href="/">PTP Watch</a> <span aria-hidden="true">›</span></nav>
      <h1><bdi>${visible(node)}</bdi></h1>`,
    content:
      view === undefined
        ? html`<p class="empty">Loading …</p>`
        : view === null
          ? (unreadable(row) ??
            html`<p class="empty">The store has no node of this name. <a href="/">To the fleet</a></p>`)
          : html`
              ${summary(view, row, seen)} ${history(node, timeline, span, seen)} ${clocks(view, seen)}
              ${logTable(node, log, seen)} ${publisherText(view, seen)}
            `,
  })
}

/** A node whose document cannot be read: nothing else is known about it. */
function unreadable(row: Row | undefined): TemplateResult | undefined {
  if (row === undefined) return undefined
  return html`<div class="summary ${row.overall}">
    <p class="big">${stateText(row.overall)}</p>
    <p><bdi>${visible(row.because)}</bdi></p>
  </div>`
}

function summary(view: NodeJson, row: Row | undefined, { now }: Seen): TemplateResult {
  const labels = Object.entries(view.labels)
  const holdover = row === undefined ? undefined : holdoverText(row, now)
  return html`<div class="summary ${view.overall}">
    <p class="big">
      ${stateText(view.overall)}
      ${row?.since == null ? nothing : html`<span>for ${row.orBefore ? 'at least ' : ''}${duration(now - Date.parse(row.since))}</span>`}
      ${row?.since == null ? nothing : html`<span class="quiet">since ${timeOf(row.since, now)}</span>`}
    </p>
    ${row === undefined || row.because === '' ? nothing : html`<p><bdi>${visible(row.because)}</bdi></p>`}
    ${holdover === undefined ? nothing : html`<p class="holdover">${visible(holdover)} <span class="quiet">${budgetText(row, now)}</span></p>`}
    ${row?.flags.map((flag) => html`<p class="flagged"><span class="flag">${flag}</span> ${FLAG_TEXTS[flag]}</p>`)}
    ${labels.length === 0 ? nothing : html`<p class="quiet">${labels.map(([key, value], i) => html`${i === 0 ? '' : ' · '}<bdi>${visible(key)}</bdi> <bdi>${visible(value)}</bdi>`)}</p>`}
  </div>`
}

/** `budget 4 h 0 min, until 16:03:12`; `since 12:03:12` where a clock class has ended it. */
function budgetText(row: Row | undefined, now: number): string {
  if (row?.holdover == null) return ''
  const { budgetSeconds, endsAt, inSpecification, clockClass } = row.holdover
  const end = timeOf(endsAt, now)
  if (!inSpecification && clockClass !== null) return `since ${end}`
  return `budget ${duration(budgetSeconds * 1000)}, ${Date.parse(endsAt) > now ? 'until' : 'ended'} ${end}`
}

function history(node: string, timeline: Timeline | undefined, span: SpanName, seen: Seen): TemplateResult {
  const query = timeline === undefined ? '' : `?from=${timeline.from}&to=${timeline.to}`
  const base = `/api/nodes/${encodeURIComponent(node)}`
  return html`<section>
    <h2>History</h2>
    <p class="spans">
      ${Object.keys(SPANS).map((each) => html`<a href=${`?span=${each}`} aria-current=${each === span ? 'true' : 'false'}>${each}</a> `)}
      ${
        timeline === undefined
          ? nothing
          : html`<span class="quiet"
            >download <a href=${`${base}/log${query}&format=csv`} download>CSV</a>
            <a href=${`${base}/log${query}`}>JSON</a></span
          >`
      }
    </p>
    ${timeline === undefined ? html`<p class="empty">Loading …</p>` : html`${lanesView(timeline)} ${shares(timeline, seen)}`}
  </section>`
}

/** Time in each state, and how much of the span is covered. */
function shares(
  { seconds, uncoveredSeconds, availability, from, to }: Timeline,
  { now }: Seen,
): TemplateResult {
  const total = (Date.parse(to) - Date.parse(from)) / 1000
  const known = total - uncoveredSeconds
  return html`<table class="shares">
    <caption>
      ${
        availability === null
          ? 'The log does not reach into this span.'
          : html`LOCKED for <strong>${percent(availability)}</strong> of the ${duration(known * 1000)} that the log covers${uncoveredSeconds > 0 ? html`; <strong>${duration(uncoveredSeconds * 1000)} of this span are not covered</strong>` : nothing}.`
      }
    </caption>
    <thead><tr><th scope="col">State</th><th scope="col">Time</th><th scope="col">Share of the known time</th></tr></thead>
    <tbody>
      ${STATES.map((state) => html`<tr><th scope="row">${stateText(state)}</th><td>${duration((seconds[state] ?? 0) * 1000)}</td><td class="number">${known > 0 ? percent((seconds[state] ?? 0) / known) : '–'}</td></tr>`)}
    </tbody>
  </table>
  <p class="quiet">From ${timeOf(from, now)} to ${timeOf(to, now)}.</p>`
}

/** Never rounded up to 100 %. */
function percent(share: number): string {
  return `${(Math.floor(share * 100_000) / 1000).toFixed(share === 1 ? 0 : 3)} %`
}

function clocks(view: NodeJson, { now }: Seen): TemplateResult {
  return html`<section>
    <h2>Clocks</h2>
    <div class="wide" role="region" aria-label="Clocks" tabindex="0"><table>
      <thead>
        <tr><th scope="col">Kind</th><th scope="col">Instance</th><th scope="col">State</th><th scope="col">Since</th><th scope="col">Confirmed</th><th scope="col">By</th></tr>
      </thead>
      <tbody>
        ${view.resources.map((clock) => {
          const numbers = Object.entries(clock.metrics).map(([name, value]) => `${name} ${value}`)
          const doubts = [
            clock.stale && 'stale',
            clock.contested && 'contested',
            clock.suspect !== null && 'suspect',
          ].filter((doubt) => doubt !== false)
          return html`<tr>
            <th scope="row">${clock.kind}</th>
            <td><bdi>${visible(clock.instance)}</bdi></td>
            <td class="clock">
              <bdi>${visible([clock.state ?? '', ...numbers].filter((text) => text !== '').join(' · '))}</bdi>
              ${doubts.map((doubt) => html`<span class="flag">${doubt}</span> `)}
              ${clock.suspect === null ? nothing : html`told <bdi>${visible(clock.suspect.told)}</bdi>`}
            </td>
            <td>${clock.since === null ? (clock.notAfter === null ? '–' : html`${timeOf(clock.notAfter, now)} or before`) : timeOf(clock.since, now)}</td>
            <td>${duration(now - Date.parse(clock.confirmedAt))} ago</td>
            <td>${clock.via}</td>
          </tr>`
        })}
      </tbody>
    </table></div>
  </section>`
}

const MEANINGS: Readonly<Record<LogEntry['type'], string>> = {
  changed: 'a clock changed',
  missed: 'only a poll showed it: its event never arrived',
  delayed: 'its event arrived after a poll had shown it',
  overall: 'the node changed',
  suspect: 'an event arrived too late to be believed',
  stale: 'nothing confirmed it for too long',
  blind: 'nothing can reach us',
  recovered: 'confirmed again',
  retired: 'the publisher names this clock no more',
  restored: 'subscriptions were recreated',
}

function logTable(node: string, log: readonly LogEntry[] | undefined, { now }: Seen): TemplateResult {
  return html`<section>
    <h2>Log</h2>
    ${
      log === undefined
        ? html`<p class="empty">Loading …</p>`
        : log.length === 0
          ? html`<p class="empty">Nothing happened in this span.</p>`
          : html`<div class="wide" role="region" aria-label="Log" tabindex="0"><table class="log">
            <thead><tr><th scope="col">#</th><th scope="col">Time</th><th scope="col">What</th><th scope="col">Clock</th><th scope="col">From</th><th scope="col">To</th><th scope="col">By</th><th scope="col">Node then</th></tr></thead>
            <tbody>
              ${log.map(
                (entry) => html`<tr class=${entry.type}>
                  <td class="number quiet">${entry.seq}</td>
                  <td>${entry.at !== undefined ? timeOf(entry.at, now) : entry.notAfter !== undefined ? html`≤ ${timeOf(entry.notAfter, now)}` : '–'}</td>
                  <td><abbr title=${MEANINGS[entry.type]}>${entry.type}</abbr></td>
                  <td><bdi>${visible([entry.kind, entry.instance].filter((text) => text !== undefined).join(' '))}</bdi></td>
                  <td><bdi>${visible(entry.from ?? '')}</bdi></td>
                  <td><bdi>${visible(entry.told ?? entry.to ?? '')}</bdi></td>
                  <td>${entry.via}</td>
                  <td>${entry.overall}</td>
                </tr>`,
              )}
            </tbody>
          </table></div>`
    }
    ${log === undefined || log.length < LOG_SHOWN ? nothing : html`<p class="quiet">The newest ${LOG_SHOWN} are shown; <a href=${`/api/nodes/${encodeURIComponent(node)}/log?${ALL}&format=csv`} download>all as CSV</a>.</p>`}
  </section>`
}

/** Without a span the API gives the last 24 h. */
const ALL = 'from=0001-01-01T00:00:00Z&to=9999-12-31T23:59:59Z'

/** How many log entries the page shows, newest first. */
export const LOG_SHOWN = 200

function publisherText(view: NodeJson, { now }: Seen): TemplateResult {
  const { publisher, node } = view
  const command = `ptp-watch doctor --node ${/^[\w.-]+$/.test(node) ? node : `'${node.replaceAll("'", `'\\''`)}'`}`
  return html`<section>
    <h2>Publisher</h2>
    ${
      publisher === null
        ? html`<p>Never polled.</p>`
        : html`<p>
          ${publisher.reachable ? 'Answered' : html`<span class="flag">unreachable</span> Last asked`} ${duration(now - Date.parse(publisher.checkedAt))} ago ·
          ${publisher.dialect} · <bdi>${visible(publisher.url)}</bdi>
          ${publisher.problem === undefined ? nothing : html`<br /><bdi>${visible(publisher.problem)}</bdi>`}
        </p>`
    }
    <p>${view.subscriptions.length} subscriptions · ${view.counters.received} events received · ${view.counters.missed} missed · ${view.counters.quarantined} quarantined</p>
    <p>
      Find out why events do not arrive: <code id="doctor">${visible(command)}</code>
      <button type="button" @click=${() => void navigator.clipboard?.writeText(command)}>Copy</button>
    </p>
  </section>`
}
