import type { Lane, Timeline } from '../http/schemas.ts'
import { html, nothing, svg, type TemplateResult } from 'lit-html'
import { duration, timeOf, visible } from './words.ts'

const WIDTH = 1000
const HEIGHT = 18

/** A swimlane for the node and for each clock: doubtful parts are hatched, missed transitions are brackets. */
export function lanesView(timeline: Timeline): TemplateResult {
  const from = Date.parse(timeline.from)
  const to = Date.parse(timeline.to)
  const x = (iso: string) => Math.max(0, Math.min(WIDTH, ((Date.parse(iso) - from) / (to - from)) * WIDTH))
  return html`<div class="lanes">
      ${timeline.lanes.map((lane) => laneView(lane, x, to))}
      <div class="axis" aria-hidden="true">
        <span>${timeOf(timeline.from, to)}</span><span>${timeOf(new Date((from + to) / 2).toISOString(), to)}</span><span>${timeOf(timeline.to, to)}</span>
      </div>
    </div>
    <p class="legend quiet">
      <span class="key doubt"></span> in doubt or not covered by the log · <span class="bracket">⊓</span> missed: somewhere in between · <span class="tick">|</span> subscriptions recreated
    </p>`
}

function laneView(lane: Lane, x: (iso: string) => number, now: number): TemplateResult {
  const name = lane.kind === null ? 'node' : `${lane.kind} ${lane.instance ?? ''}`
  const told = lane.spans
    .map(({ state, from, to }) => `${state} ${duration(Date.parse(to) - Date.parse(from))}`)
    .slice(-6)
    .join(', then ')
  return html`<div class="lane">
    <div class="name"><bdi>${visible(name)}</bdi></div>
    <svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label=${`${visible(name)}: ${visible(told)}`}>
      <defs>
        <pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
          <rect width="2" height="6" class="hatch"></rect>
        </pattern>
      </defs>
      ${lane.spans.map(({ from, to, state, doubt }) => {
        const left = x(from)
        const width = Math.max(1, x(to) - left)
        const title = `${state}${doubt === null ? '' : ` (${doubt})`}: ${timeOf(from, now)} to ${timeOf(to, now)}, ${duration(Date.parse(to) - Date.parse(from))}`
        return svg`<rect class="span ${classOf(state)}" x=${left} y="3" width=${width} height="12"><title>${title}</title></rect>
          ${doubt === null && state !== 'UNKNOWN' ? nothing : svg`<rect class="doubted" x=${left} y="3" width=${width} height="12" fill="url(#hatch)"><title>${title}</title></rect>`}`
      })}
      ${lane.missed.map(({ notBefore, notAfter, to }) => {
        const left = x(notBefore)
        const right = Math.max(left + 3, x(notAfter))
        return svg`<path class="missed" d="M${left},17 V1 H${right} V17"><title>${`missed: ${to} somewhere from ${timeOf(notBefore, now)} to ${timeOf(notAfter, now)}`}</title></path>`
      })}
      ${lane.marks.map(({ at, type }) => svg`<path class="mark ${type}" d="M${x(at)},0 V${HEIGHT}"><title>${`${type} ${timeOf(at, now)}`}</title></path>`)}
    </svg>
  </div>`
}

/** Classifies other clocks' words (GNSS, SyncE) by what they mean for the node. */
function classOf(state: string): string {
  if (['FREERUN', 'HOLDOVER', 'UNKNOWN', 'LOCKED'].includes(state)) return state
  if (/^(SYNCHRONIZED|NORMAL|LOCKED[-_ ]?HO|ACQUIRED)/i.test(state)) return 'LOCKED'
  return 'OTHER'
}
