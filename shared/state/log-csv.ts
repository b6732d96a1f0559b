import type { LogEntry } from './document.ts'

const LOG_COLUMNS = [
  'seq',
  'type',
  'kind',
  'instance',
  'from',
  'to',
  'told',
  'at',
  'not_before',
  'not_after',
  'via',
  'overall',
] as const

/** A node's log as CSV, line by line as entries are read; times keep their nanoseconds. */
export async function* logCsv(
  node: string,
  pages: AsyncIterable<readonly LogEntry[]>,
): AsyncGenerator<string> {
  yield lineOf(['node', ...LOG_COLUMNS])
  for await (const page of pages) {
    yield page
      .map(({ seq, type, kind, instance, from, to, told, at, notBefore, notAfter, via, overall }) =>
        lineOf([node, seq, type, kind, instance, from, to, told, at, notBefore, notAfter, via, overall]),
      )
      .join('')
  }
}

/** A line of CSV (RFC 4180). */
export function lineOf(cells: readonly (string | number | undefined)[]): string {
  return `${cells.map((cell) => quoted(String(cell ?? ''))).join(',')}\r\n`
}

/**
 * Prevents formula injection: spreadsheets evaluate text that begins like a formula, in some locales also in full-width
 * characters, and in some a semicolon starts a new cell. Control characters are replaced for terminals.
 */
function quoted(text: string): string {
  const told = text.replace(/(?![\t\r\n])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?')
  const safe = /^[=+\-@\t\r\n＝＋－＠]/.test(told) ? `'${told}` : told
  return /[",;\t\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}
