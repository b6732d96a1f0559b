import type { EventEmitter } from 'node:events'
import type { Environment } from '#shared/config/index.ts'
import { within } from '#shared/deadline.ts'

type Stream = { write(text: string): unknown; readonly isTTY?: boolean; readonly columns?: number }

/** Where a command talks to people. Log lines go to the log instead. */
export type Terminal = ReturnType<typeof createTerminal>

export function createTerminal({ stdout, stderr }: { stdout: Stream; stderr: Stream }, env: Environment) {
  const interactive = stdout.isTTY === true
  return {
    /** The command's result: a table, JSON, a plan. */
    out: (text: string): void => void stdout.write(text),
    /** Progress and warnings. */
    err: (text: string): void => void stderr.write(text),
    /** Standard output is a terminal. */
    interactive,
    /** NO_COLOR: no-color.org */
    colour: interactive && !env.NO_COLOR && env.TERM !== 'dumb',
    columns: (interactive ? stdout.columns : undefined) ?? 100,
  }
}

/** Resolves when everything written has left the process, or after `ms`; `process.exit` would not wait. */
export async function flushed(stream: NodeJS.WriteStream, ms?: number): Promise<void> {
  const empty = async () => {
    // A `drain` listener may write more.
    do await new Promise<void>((resolve) => void stream.write('', () => resolve()))
    while (stream.writableLength > 0 && !stream.destroyed)
  }
  await (ms === undefined ? empty() : within(ms, empty(), () => undefined).catch(() => {}))
}

/**
 * Aborted by the first SIGTERM or SIGINT; a second one calls `exit` at once, with the code that a shell reports for a
 * process killed by that signal.
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
