import { stripVTControlCharacters, styleText } from 'node:util'
import type { Flags } from '#shared/runtime/function.ts'
import type { Terminal } from '#shared/runtime/terminal.ts'

/** The checks done once, and those done for each publisher, in the order of the output. */
export const WHOLE = ['publishers', 'node-labels', 'store', 'callback-token', 'ingest', 'sink'] as const
export const EACH = [
  ...(['dns', 'health', 'dialect', 'addresses', 'subscriptions', 'callback'] as const),
  ...(['current-state', 'clock', 'events', 'state', 'metrics'] as const),
] as const

export type Check = (typeof WHOLE)[number] | (typeof EACH)[number]

/** `warning`: events arrive, but something needs attention. `skipped`: not applicable, or not possible. */
type Status = 'ok' | 'warning' | 'failed' | 'skipped'

/** How a check ended, what was found, and the next step, if one is needed. All texts are for people, redacted. */
export type Verdict = readonly [status: Status, result: string, fix?: string]
export type Verdicts = { [check in Check]?: readonly Verdict[] | undefined }

/** The result of a check that an earlier failure prevented. */
const NOT_CHECKED = 'not checked: fix the failure above first'

/** The lines of a diagnosis, in the order of `checks`. `node`: null for checks that concern all publishers. */
export function findingsOf(node: string | null, checks: readonly Check[], verdicts: Verdicts) {
  const none: readonly Verdict[] = [['skipped', NOT_CHECKED]]
  return checks.flatMap((check) =>
    (verdicts[check] ?? none).map(([status, result, fix = '']) => ({ node, check, status, result, fix })),
  )
}

export type Finding = ReturnType<typeof findingsOf>[number]

/** `1 node`, `2 nodes`. */
export const plural = (number: number, what: string) => `${number} ${what}${number === 1 ? '' : 's'}`

/** A time span: `12 ms`, `1.5 s`, `3 min`, `2.0 h`, `5.0 days`. */
export function amount(ms: number): string {
  if (ms < 1_000) return `${Math.ceil(ms)} ms`
  if (ms < 120_000) return `${(ms / 1_000).toFixed(1)} s`
  if (ms < 5_400_000) return `${Math.round(ms / 60_000)} min`
  return ms < 172_800_000 ? `${(ms / 3_600_000).toFixed(1)} h` : `${(ms / 86_400_000).toFixed(1)} days`
}

const SHOWN = {
  ok: ['ok', 'green'],
  warning: ['warning', 'yellow'],
  failed: ['FAILED', 'red'],
  skipped: ['-', 'reset'],
} as const

const isChecked = ({ result }: Finding) => result !== NOT_CHECKED
const hasFailed = (findings: readonly Finding[]) => findings.some(({ status }) => status === 'failed')

/** The findings about one publisher, or about all: a heading and one line each. */
function blockOf(findings: readonly Finding[], { colour }: Terminal): string {
  const [first] = findings
  if (first === undefined) return ''
  const line = (status: Status, head: string, text: string) => {
    const [word, style] = SHOWN[status]
    const padded = word.padEnd(7)
    const shown = colour ? styleText(style, padded, { validateStream: false }) : padded
    return `  ${shown}  ${head.padEnd(14)}  ${plain(text)}\n`
  }
  const lines = findings
    .filter(isChecked)
    .map(({ check, status, result, fix }) => line(status, check, fix === '' ? result : `${result}. → ${fix}`))
  const rest = findings.filter((one) => !isChecked(one)).map(({ check }) => check)
  if (rest.length > 0)
    lines.push(line('skipped', 'not checked', `${rest.join(' ')}: fix the failure above first`))
  return `${plain(first.node ?? 'ptp-watch')}\n${lines.join('')}`
}

/**
 * How many publishers deliver events and, separately, the states of their clocks: a node in FREERUN delivers events
 * too.
 */
function summaryOf(whole: readonly Finding[], each: readonly (readonly Finding[])[]): string {
  const findings = [...whole, ...each.flat()]
  const failed = each.filter(hasFailed).map(([first]) => plain(first?.node ?? ''))
  const isUnproven = (one: Finding) => one.check === 'callback' && !isChecked(one)
  const proven = each.filter((all) => !hasFailed(all) && !all.some(isUnproven)).length
  const number = (status: Status) => findings.filter((finding) => finding.status === status).length
  const who = each.length > 1 && proven === each.length ? `All ${proven}` : `${proven} of ${each.length}`
  const overall = findings.map(({ check, result }) => check === 'state' && result.split(/\W+/)[1])
  const counted = ['FREERUN', 'HOLDOVER', 'UNKNOWN', 'LOCKED'].flatMap((state) => {
    const { length } = overall.filter((word) => word === state)
    return length === 0 ? [] : [`${length} ${state}`]
  })
  return [
    `${who} publishers deliver events: ${plural(number('failed'), 'failure')}, ${plural(number('warning'), 'warning')}\n`,
    failed.length === 0 ? '' : `Failed: ${failed.join(', ')}\n`,
    counted.length === 0 ? '' : `Clock states, see ptp-watch status: ${counted.join(', ')}\n`,
  ].join('')
}

/** Texts come from the network: none may move the cursor or start a line. */
function plain(text: string): string {
  return stripVTControlCharacters(text)
    .replace(/\s*\n\s*/g, ' ')
    .replace(/\p{Cc}/gu, '?')
}

/** Shows findings as they arrive, with a progress line on a terminal; or as one JSON list at the end. */
export function createView(terminal: Terminal, total: number, { json, quiet }: Flags) {
  let done = 0
  const wanted = (findings: readonly Finding[]) =>
    quiet === true ? findings.filter(({ status }) => status === 'failed' || status === 'warning') : findings
  const clear = () => {
    if (terminal.interactive) terminal.err('\r\u001b[2K')
  }
  return {
    show(findings: readonly Finding[]) {
      if (findings.some(({ node }) => node !== null)) done += 1
      clear()
      if (json !== true) terminal.out(blockOf(wanted(findings), terminal))
      if (terminal.interactive && done < total) terminal.err(`checking publishers ${done}/${total}`)
    },
    /** Returns the exit code. If `stopped`, what was found so far is not enough for a diagnosis. */
    end(whole: readonly Finding[], each: readonly (readonly Finding[])[], stopped = false): number {
      clear()
      const all = [...whole, ...each.flat()]
      if (stopped) terminal.err(`Stopped after ${done} of ${plural(total, 'publisher')}: no diagnosis\n`)
      else terminal.out(json === true ? `${JSON.stringify(wanted(all), null, 2)}\n` : summaryOf(whole, each))
      return stopped || hasFailed(all) ? 1 : 0
    },
  }
}
