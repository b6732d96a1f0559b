import type { Row } from '../http/schemas.ts'
import { html, nothing, type TemplateResult } from 'lit-html'
import { repeat } from 'lit-html/directives/repeat.js'
import { type Filters, grouped, labelsOf, matching, searchOf, ORDERS, sortedRows } from './filters.ts'
import { frame, isOld, type Seen, showInTab, stateText } from './frame.ts'
import {
  duration,
  FLAG_TEXTS,
  holdoverText,
  nodePath,
  type State,
  SHAPES,
  STATES,
  timeOf,
  visible,
} from './words.ts'

/** Up to this many nodes get a row each; in a larger fleet only those that are not LOCKED do, and all get a tile. */
const MOST_LINES = 100
/** A longer table helps nobody. */
const MOST_TROUBLED = 300

/** Applies other filters and puts them into the URL. */
type Choose = (filters: Filters) => void

export function fleetPage(
  rows: ReadonlyMap<string, Row> | undefined,
  filters: Filters,
  seen: Seen,
  choose: Choose,
): TemplateResult {
  const all = [...(rows?.values() ?? [])]
  const found = matching(all, filters)
  const shown = found.filter(({ overall }) => filters.overall.size === 0 || filters.overall.has(overall))
  const worst = STATES.find((state) => all.some(({ overall }) => overall === state))
  showInTab(
    isOld(seen) ? undefined : worst,
    rows === undefined && seen.link !== 'lost' ? 'PTP Watch' : titleOf(all, seen),
  )
  return frame(seen, {
    title: html`<h1>PTP Watch</h1>`,
    content:
      rows === undefined
        ? html`<p class="empty">Loading the fleet …</p>`
        : all.length === 0
          ? html`<p class="empty">The store holds no nodes yet. Run <code>ptp-watch subscribe</code> and <code>ptp-watch poll</code>.</p>`
          : html`
              ${counters(found, filters, choose)} ${controls(all, filters, choose)}
              ${
                shown.length === 0
                  ? html`<p class="empty">None of ${all.length} nodes matches. <a href="/">Show all</a></p>`
                  : groups(shown, filters, seen)
              }
            `,
  })
}

function titleOf(all: readonly Row[], seen: Seen): string {
  if (isOld(seen)) return '⚠ not live – PTP Watch'
  if (all.length === 0) return 'no nodes – PTP Watch'
  const parts = STATES.filter((state) => state !== 'LOCKED').flatMap((state) => {
    const count = all.filter(({ overall }) => overall === state).length
    return count === 0 ? [] : [`${SHAPES[state]} ${count} ${state}`]
  })
  return `${parts.length === 0 ? `● ${all.length} LOCKED` : parts.join(' ')} – PTP Watch`
}

/** Big numbers that also work as filters. */
function counters(found: readonly Row[], filters: Filters, choose: Choose): TemplateResult {
  const toggle = (state: State) => {
    const overall = new Set(filters.overall)
    if (!overall.delete(state)) overall.add(state)
    choose({ ...filters, overall })
  }
  return html`<div class="counters" role="group" aria-label="Nodes by state">
    ${STATES.map((state) => {
      const count = found.filter(({ overall }) => overall === state).length
      return html`<button
        type="button"
        class="counter ${state} ${count === 0 ? 'none' : ''}"
        aria-pressed=${filters.overall.has(state)}
        @click=${() => toggle(state)}
      >
        <span class="count">${count}</span>
        <span class="word"><span aria-hidden="true">${SHAPES[state]} </span>${state}</span>
      </button>`
    })}
  </div>`
}

function controls(all: readonly Row[], filters: Filters, choose: Choose): TemplateResult {
  const labels = labelsOf(all)
  const withLabel = (key: string, value: string) => {
    const next = new Map(filters.labels)
    if (value === '') next.delete(key)
    else next.set(key, value)
    choose({ ...filters, labels: next })
  }
  const chosen = (event: Event) => (event.target as HTMLInputElement | HTMLSelectElement).value
  return html`<form class="controls" role="search" @submit=${(event: Event) => event.preventDefault()}>
    <label>Name <input type="search" name="name" placeholder="part of a name" .value=${filters.name} @input=${(event: Event) => choose({ ...filters, name: chosen(event) })} /></label>
    ${[...labels].map(
      ([key, values]) => html`<label
        ><bdi>${visible(key)}</bdi>
        <select name=${`label-${key}`} @change=${(event: Event) => withLabel(key, chosen(event))}>
          <option value="" ?selected=${!filters.labels.has(key)}>all</option>
          ${values.map((value) => html`<option value=${value} ?selected=${filters.labels.get(key) === value}>${visible(value)}</option>`)}
        </select></label
      >`,
    )}
    <label
      >Sort
      <select name="sort" @change=${(event: Event) => choose({ ...filters, sort: ORDERS.find((sort) => sort === chosen(event)) ?? 'severity' })}>
        <option value="severity" ?selected=${filters.sort === 'severity'}>worst first</option>
        <option value="name" ?selected=${filters.sort === 'name'}>by name</option>
        <option value="since" ?selected=${filters.sort === 'since'}>latest change first</option>
      </select></label
    >
    ${
      labels.size === 0
        ? nothing
        : html`<label
          >Group
          <select name="group" @change=${(event: Event) => choose({ ...filters, group: chosen(event) })}>
            ${[...labels.keys()].map((key) => html`<option value=${key} ?selected=${groupOf(all, filters) === key}>${visible(key)}</option>`)}
            <option value="-" ?selected=${filters.group === '-'}>none</option>
          </select></label
        >`
    }
    ${searchOf(filters) === '' ? nothing : html`<a href="/">Clear filters</a>`}
  </form>`
}

/** The label to group by: the one asked for, else `site`, else the first. */
function groupOf(rows: readonly Row[], { group }: Filters): string {
  if (group === '-') return ''
  if (group !== '') return group
  const keys = [...labelsOf(rows).keys()]
  return keys.includes('site') ? 'site' : (keys[0] ?? '')
}

function groups(shown: readonly Row[], filters: Filters, seen: Seen): TemplateResult {
  const label = groupOf(shown, filters)
  if (shown.length <= MOST_LINES) {
    return html`${grouped(shown, label).map(
      ([value, rows]) =>
        html`<section>${headOf(label, value, rows)} ${table(sortedRows(rows, filters.sort), seen)}</section>`,
    )}`
  }
  const troubled = sortedRows(
    shown.filter(({ overall }) => overall !== 'LOCKED'),
    filters.sort,
  )
  return html`
    ${
      troubled.length === 0
        ? nothing
        : html`<section>
          <h2>${troubled.length} not LOCKED</h2>
          ${table(troubled.slice(0, MOST_TROUBLED), seen)}
          ${troubled.length > MOST_TROUBLED ? html`<p>and ${troubled.length - MOST_TROUBLED} more: narrow them down by name or label.</p>` : nothing}
        </section>`
    }
    ${grouped(shown, label).map(
      ([value, rows]) =>
        html`<section>${headOf(label, value, rows) ?? html`<h2>All ${rows.length} nodes</h2>`} ${tiles(sortedRows(rows, filters.sort))}</section>`,
    )}
  `
}

function headOf(label: string, value: string, rows: readonly Row[]): TemplateResult | undefined {
  if (label === '') return undefined
  const counts = STATES.flatMap((state) => {
    const count = rows.filter(({ overall }) => overall === state).length
    return count === 0 ? [] : [html`<span class="state ${state}">${SHAPES[state]} ${count} ${state}</span>`]
  })
  const name = value === '' ? html`no ${visible(label)}` : html`<bdi>${visible(value)}</bdi>`
  return html`<h2>${name} <span class="small">${counts.map((text, i) => (i === 0 ? text : html` · ${text}`))}</span></h2>`
}

function table(rows: readonly Row[], { now }: Seen): TemplateResult {
  return html`<table class="nodes">
    <thead>
      <tr>
        <th scope="col">State</th>
        <th scope="col">Node</th>
        <th scope="col">For</th>
        <th scope="col">Missed</th>
      </tr>
    </thead>
    <tbody>
      ${repeat(
        rows,
        ({ node }) => node,
        (row) => html`<tr class=${row.overall}>
          <td>${stateText(row.overall)}</td>
          <th scope="row">
            <a href=${nodePath(row.node)}><bdi>${visible(row.node)}</bdi></a>
            ${row.flags.map((flag) => html`<abbr class="flag" title=${FLAG_TEXTS[flag]}>${flag}</abbr> `)}
            ${row.because === '' ? nothing : html`<bdi class="because">${visible(row.because)}</bdi>`}
            ${holdoverLine(row, now)}
          </th>
          <td>${sinceText(row, now)}</td>
          <td class="number">${row.missed === 0 ? html`<span class="quiet">0</span>` : row.missed}</td>
        </tr>`,
      )}
    </tbody>
  </table>`
}

function holdoverLine(row: Row, now: number): unknown {
  const text = holdoverText(row, now)
  return text === undefined ? nothing : html`<span class="because holdover">${visible(text)}</span>`
}

function sinceText({ since, orBefore }: Row, now: number): unknown {
  if (since === null) return html`<span class="quiet">–</span>`
  return html`<time datetime=${since} title=${`${orBefore ? 'since then or before: ' : 'since '}${timeOf(since, now)} UTC`}>${orBefore ? '≥ ' : ''}${duration(now - Date.parse(since))}</time>`
}

function tiles(rows: readonly Row[]): TemplateResult {
  return html`<ul class="tiles">
    ${repeat(
      rows,
      ({ node }) => node,
      ({ node, overall }) =>
        html`<li><a class="tile ${overall}" href=${nodePath(node)} title=${`${visible(node)}: ${overall}`} aria-label=${`${visible(node)}: ${overall}`}>${SHAPES[overall]}</a></li>`,
    )}
  </ul>`
}
