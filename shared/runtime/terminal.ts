import type { Environment } from '#shared/config.ts'
import type { Terminal } from './function.ts'

type Stream = { write(text: string): unknown; readonly isTTY?: boolean; readonly columns?: number }

/** Columns of an output that is no terminal, and the width that tables are made for. */
const PLAIN_COLUMNS = 100

/** The terminal of a process. NO_COLOR (no-color.org) and TERM=dumb turn colours off. */
export function createTerminal(streams: { stdout: Stream; stderr: Stream }, env: Environment): Terminal {
  const interactive = streams.stdout.isTTY === true
  return {
    out: (text) => void streams.stdout.write(text),
    err: (text) => void streams.stderr.write(text),
    interactive,
    colour: interactive && !env.NO_COLOR && env.TERM !== 'dumb',
    columns: (interactive ? streams.stdout.columns : undefined) ?? PLAIN_COLUMNS,
  }
}

/** Resolves when all that was written has left the process, which `process.exit` does not wait for. */
export async function flushed(streams: readonly NodeJS.WritableStream[]): Promise<void> {
  await Promise.all(
    streams.map((stream) => new Promise<void>((resolve) => void stream.write('', () => resolve()))),
  )
}
