import { stripVTControlCharacters, styleText } from 'node:util'
import type { Flags } from '#shared/runtime/function.ts'
import type { Terminal } from '#shared/runtime/terminal.ts'
import { count, type Finding, NOT_CHECKED, type Status } from './report.ts'

const SHOWN: Readonly<Record<Status, { word: string; style?: Parameters<typeof styleText>[0] }>> = {
  ok: { word: 'ok', style: 'green' },
  warning: { word: 'warning', style: 'yellow' },
  failed: { word: 'FAILED', style: 'red' },
  skipped: { word: '-' },
}

/** The findings of one publisher, or those that concern all: a heading, and a line for each. */
function blockOf(findings: readonly Finding[], { colour }: Pick<Terminal, 'colour'>): string {
  const [first] = findings
  if (first === undefined) return ''
  const line = (status: Status, head: string, text: string) => {
    const { word, style } = SHOWN[status]
    const padded = word.padEnd(7)
    const shown = colour && style !== undefined ? styleText(style, padded, { validateStream: false }) : padded
    return `  ${shown}  ${head.padEnd(14)}  ${plain(text)}\n`
  }
  const [checked, rest] = [findings.filter(isChecked), findings.filter((one) => !isChecked(one))]
  const lines = checked.map(({ check, status, result, fix }) =>
    line(status, check, fix === '' ? result : `${result}. → ${fix}`),
  )
  const names = rest.map(({ check }) => check).join(' ')
  if (names !== '') lines.push(line('skipped', 'not checked', `${names}: fix the failure above first`))
  return `${plain(first.node ?? 'ptp-watch')}\n${lines.join('')}`
}

const isChecked = ({ result }: Finding) => result !== NOT_CHECKED

/**
 * How many publishers deliver events, who fails, and, apart from that, what state the clocks are in: that a clock is in
 * FREERUN does not mean that events fail to arrive.
 */
function summaryOf(all: readonly (readonly Finding[])[]): string {
  const findings = all.flat()
  const publishers = all.filter(([first]) => first !== undefined && first.node !== null)
  const failed = publishers.filter((each) => each.some(({ status }) => status === 'failed'))
  const isProven = (each: readonly Finding[]) =>
    each.every((one) => one.status !== 'failed' && (one.check !== 'callback' || isChecked(one)))
  const [proven, total] = [publishers.filter(isProven).length, publishers.length]
  const number = (status: Status) => findings.filter((finding) => finding.status === status).length
  const who = total > 1 && proven === total ? `All ${total}` : `${proven} of ${total}`
  const names = failed.map(([first]) => plain(first?.node ?? '')).join(', ')
  return [
    `${who} publishers deliver events: ${count(number('failed'), 'failure')}, ${count(number('warning'), 'warning')}`,
    ...(names === '' ? [] : [`Failed: ${names}`]),
    ...clockStates(findings),
    '',
  ].join('\n')
}

function clockStates(findings: readonly Finding[]): string[] {
  const states = findings
    .filter(({ check }) => check === 'state')
    .flatMap(({ result }) => /^overall ([A-Z]+)/.exec(result)?.[1] ?? [])
  const counted = ['FREERUN', 'HOLDOVER', 'UNKNOWN', 'LOCKED']
    .filter((state) => states.includes(state))
    .map((state) => `${states.filter((one) => one === state).length} ${state}`)
  return counted.length === 0 ? [] : [`Clock states, see ptp-watch status: ${counted.join(', ')}`]
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
    end(all: readonly (readonly Finding[])[]) {
      clear()
      terminal.out(json === true ? `${JSON.stringify(all.flatMap(wanted), null, 2)}\n` : summaryOf(all))
    },
  }
}
