import { stripVTControlCharacters, styleText } from 'node:util'
import type { Flags } from '#shared/runtime/function.ts'
import type { Terminal } from '#shared/runtime/terminal.ts'
import { count, type Finding, NOT_CHECKED, type Status } from './exam.ts'

const SHOWN: Readonly<Record<Status, { word: string; style?: Parameters<typeof styleText>[0] }>> = {
  ok: { word: 'ok', style: 'green' },
  warning: { word: 'warning', style: 'yellow' },
  failed: { word: 'FAILED', style: 'red' },
  skipped: { word: '-' },
}

const isChecked = ({ result }: Finding) => result !== NOT_CHECKED
const hasFailed = (findings: readonly Finding[]) => findings.some(({ status }) => status === 'failed')

/** The findings of one publisher, or those that concern all: a heading, and a line for each. */
function blockOf(findings: readonly Finding[], { colour }: Terminal): string {
  const [first] = findings
  if (first === undefined) return ''
  const line = (status: Status, head: string, text: string) => {
    const { word, style } = SHOWN[status]
    const padded = word.padEnd(7)
    const shown = colour && style !== undefined ? styleText(style, padded, { validateStream: false }) : padded
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
 * How many publishers deliver events, who fails, and, apart from that, what state the clocks are in: that a clock is in
 * FREERUN does not mean that events fail to arrive.
 */
function summaryOf(whole: readonly Finding[], each: readonly (readonly Finding[])[]): string {
  const findings = [...whole, ...each.flat()]
  const failed = each.filter(hasFailed).map(([first]) => plain(first?.node ?? ''))
  const isUnproven = (one: Finding) => one.check === 'callback' && !isChecked(one)
  const proven = each.filter((all) => !hasFailed(all) && !all.some(isUnproven)).length
  const number = (status: Status) => findings.filter((finding) => finding.status === status).length
  const who = each.length > 1 && proven === each.length ? `All ${proven}` : `${proven} of ${each.length}`
  const states = findings.flatMap(({ check, result }) =>
    check === 'state' ? (/^overall ([A-Z]+)/.exec(result)?.[1] ?? []) : [],
  )
  const counted = ['FREERUN', 'HOLDOVER', 'UNKNOWN', 'LOCKED']
    .filter((state) => states.includes(state))
    .map((state) => `${states.filter((one) => one === state).length} ${state}`)
  return [
    `${who} publishers deliver events: ${count(number('failed'), 'failure')}, ${count(number('warning'), 'warning')}\n`,
    failed.length === 0 ? '' : `Failed: ${failed.join(', ')}\n`,
    counted.length === 0 ? '' : `Clock states, see ptp-watch status: ${counted.join(', ')}\n`,
  ].join('')
}

/** Texts come from the network: nothing may move the cursor or start a line. */
function plain(text: string): string {
  return stripVTControlCharacters(text)
    .replace(/\s*\n\s*/g, ' ')
    .replace(/\p{Cc}/gu, '?')
}

/** Shows findings as they come, with a line of progress on a terminal; or as one JSON list at the end. */
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
    /** Interrupted: what was found until then allows no diagnosis. */
    stopped() {
      clear()
      terminal.err(`Stopped after ${done} of ${count(total, 'publisher')}: no diagnosis\n`)
    },
    /** Gives the exit code. */
    end(whole: readonly Finding[], each: readonly (readonly Finding[])[]): number {
      clear()
      const all = [...whole, ...each.flat()]
      terminal.out(json === true ? `${JSON.stringify(wanted(all), null, 2)}\n` : summaryOf(whole, each))
      return hasFailed(all) ? 1 : 0
    },
  }
}
