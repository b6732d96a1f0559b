import { stripVTControlCharacters, styleText } from 'node:util'
import type { Flags, Terminal } from '#shared/runtime/function.ts'
import { type Finding, type Result, UNASKED } from './report.ts'

const WORDS: Readonly<Record<Result, string>> = {
  ok: 'ok',
  warning: 'warning',
  failed: 'FAILED',
  skipped: '-',
}

const STYLES: Readonly<Partial<Record<Result, Parameters<typeof styleText>[0]>>> = {
  ok: 'green',
  warning: 'yellow',
  failed: 'red',
}

/** What was found of one publisher, or of the whole: a heading, and a line for each finding. */
function blockOf(findings: readonly Finding[], { colour }: Pick<Terminal, 'colour'>): string {
  const [first] = findings
  if (first === undefined) return ''
  const unasked = findings.filter((finding) => finding.came === UNASKED.came)
  const lines = findings
    .filter((finding) => !unasked.includes(finding))
    .map(({ check, result, asked, came, todo }) => {
      const text = `${inShort(check, result, asked)}${came}`
      return line(result, check, todo === '' ? text : `${text}. → ${todo}`, colour)
    })
  if (unasked.length > 0) {
    const names = unasked.map(({ check }) => check).join(' ')
    lines.push(line('skipped', 'not asked', `${names}: ${UNASKED.came}`, colour))
  }
  return `${plain(first.node ?? 'ptp-watch')}\n${lines.join('')}`
}

function line(result: Result, head: string, text: string, colour: boolean): string {
  const style = STYLES[result]
  const word = WORDS[result].padEnd(7)
  const shown = colour && style !== undefined ? styleText(style, word, { validateStream: false }) : word
  return `  ${shown}  ${head.padEnd(14)}  ${plain(text)}\n`
}

/** Where nothing is wrong, how it was asked is of no interest; which of several answers it is, is. */
function inShort(check: Finding['check'], result: Result, asked: string): string {
  const isFine = result === 'ok' || result === 'skipped'
  if (isFine && check === 'current-state') return `${asked.split(',', 1)[0]}: `
  return result === 'ok' ? '' : `${asked}: `
}

/**
 * Whether events are delivered, in a line; with the names of those where something failed; and, apart from that, what
 * state the clocks are in: FREERUN that is told in time is what all of this is for.
 */
function outcomeOf(all: readonly (readonly Finding[])[]): string {
  const publishers = all.filter(([first]) => first?.node !== null)
  const findings = all.flat()
  const number = (result: Result) => findings.filter((finding) => finding.result === result).length
  const ill = publishers.filter((each) => each.some(({ result }) => result === 'failed'))
  const names = ill.map(([first]) => plain(first?.node ?? ''))
  const head = `${publishers.length - ill.length} of ${publishers.length} publishers deliver events: ${number('failed')} failures, ${number('warning')} warnings, ${number('ok')} ok\n`
  const failing = names.length === 0 ? '' : `failures: ${names.join(', ')}\n`
  return `${head}${failing}${clocksOf(findings)}`
}

function clocksOf(findings: readonly Finding[]): string {
  const states = findings.flatMap(({ check, came }) =>
    check === 'state' ? (/^overall ([A-Z]+)/.exec(came)?.[1] ?? []) : [],
  )
  if (states.length === 0) return ''
  const counted = ['FREERUN', 'HOLDOVER', 'UNKNOWN', 'LOCKED'].flatMap((state) => {
    const count = states.filter((one) => one === state).length
    return count === 0 ? [] : `${state} ${count}`
  })
  return `clocks, which is another matter: ${counted.join(', ')}\n`
}

/** Texts come from the network: what would move the cursor or begin a line is taken out. */
function plain(text: string): string {
  return stripVTControlCharacters(text)
    .replace(/\s*\n\s*/g, ' ')
    .replace(/\p{Cc}/gu, '?')
}

/** Shows findings as they come: as text with a line of progress on a terminal, or as one JSON list at the end. */
export function createView(terminal: Terminal, total: number, { json, quiet }: Flags) {
  let done = 0
  const wanted = (findings: readonly Finding[]) =>
    quiet === true ? findings.filter(({ result }) => result === 'failed' || result === 'warning') : findings
  const clear = () => {
    if (terminal.interactive) terminal.err('\r\u001b[2K')
  }
  const show = (findings: readonly Finding[]) => {
    clear()
    if (json !== true) terminal.out(blockOf(wanted(findings), terminal))
    if (terminal.interactive && done < total) terminal.err(`asking publishers ${done}/${total}`)
  }
  return {
    show,
    /** The findings of one more publisher. */
    showNext(findings: readonly Finding[]) {
      done += 1
      show(findings)
    },
    /** Ended before it was done: nothing is made of what was found until then. */
    stopped() {
      clear()
      terminal.err(`Stopped: ${done} of ${total} publishers were examined, so there is no diagnosis\n`)
    },
    end(all: readonly (readonly Finding[])[]) {
      clear()
      terminal.out(json === true ? `${JSON.stringify(all.flatMap(wanted), null, 2)}\n` : outcomeOf(all))
    },
  }
}
