import type { EventEmitter } from 'node:events'
import { within } from '#shared/deadline.ts'
import type { Environment } from '#shared/config/index.ts'
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

/**
 * Resolves when all that was written has left the process, which `process.exit` does not wait for; after `ms`
 * milliseconds in any case, if that is given.
 */
export async function flushed(stream: NodeJS.WriteStream, ms?: number): Promise<void> {
  const empty = async () => {
    // A stream that has drained may be written to because of that.
    do await new Promise<void>((resolve) => void stream.write('', () => resolve()))
    while (stream.writableLength > 0 && !stream.destroyed)
  }
  await (ms === undefined ? empty() : within(ms, empty(), () => undefined).catch(() => {}))
}

const CODES = { SIGTERM: 143, SIGINT: 130 } as const

/**
 * Aborted by the first SIGTERM or SIGINT; a second one calls `exit` at once, with the code that a shell gives a
 * process that the signal killed.
 */
export function stopSignal(process: Pick<EventEmitter, 'on'>, exit: (code: number) => void): AbortSignal {
  const controller = new AbortController()
  for (const [name, code] of Object.entries(CODES)) {
    process.on(name, () => {
      if (controller.signal.aborted) exit(code)
      else controller.abort(new Error(`Stopped by ${name}`))
    })
  }
  return controller.signal
}
