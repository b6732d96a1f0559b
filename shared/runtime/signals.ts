import type { EventEmitter } from 'node:events'

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
