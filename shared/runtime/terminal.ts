import type { EventEmitter } from 'node:events'
import type { Environment } from '#shared/config/index.ts'
import { within } from '#shared/deadline.ts'

type Stream = { write(text: string): unknown; readonly isTTY?: boolean; readonly columns?: number }

/** Where a command talks to people. Logs go elsewhere: to the log. */
export type Terminal = ReturnType<typeof createTerminal>

export function createTerminal({ stdout, stderr }: { stdout: Stream; stderr: Stream }, env: Environment) {
  const interactive = stdout.isTTY === true
  return {
    /** What the command is asked for: a table, JSON, a plan. */
    out: (text: string): void => void stdout.write(text),
    /** Progress and remarks. */
    err: (text: string): void => void stderr.write(text),
    /** Standard output is a terminal. */
    interactive,
    /** NO_COLOR: no-color.org */
    colour: interactive && !env.NO_COLOR && env.TERM !== 'dumb',
    columns: (interactive ? stdout.columns : undefined) ?? 100,
  }
}

/** Resolves when all that was written has left the process, or after `ms`: `process.exit` does not wait for that. */
export async function flushed(stream: NodeJS.WriteStream, ms?: number): Promise<void> {
  const empty = async () => {
    // A stream that has drained may be written to because of that.
    do await new Promise<void>((resolve) => void stream.write('', () => resolve()))
    while (stream.writableLength > 0 && !stream.destroyed)
  }
  await (ms === undefined ? empty() : within(ms, empty(), () => undefined).catch(() => {}))
}

/**
 * Aborted by the first SIGTERM or SIGINT; a second one calls `exit` at once, with the code that a shell gives a
 * process that the signal killed.
 */
export function stopSignal(process: Pick<EventEmitter, 'on'>, exit: (code: number) => void): AbortSignal {
  const controller = new AbortController()
  for (const [name, code] of Object.entries({ SIGTERM: 143, SIGINT: 130 })) {
    process.on(name, () => {
      if (controller.signal.aborted) exit(code)
      else controller.abort(new Error(`Stopped by ${name}`))
    })
  }
  return controller.signal
}
