import type { EventEmitter } from 'node:events'

const CODES = { SIGTERM: 143, SIGINT: 130 } as const

/**
 * Aborted by the first SIGTERM or SIGINT; a second one calls `exit` at once, with the code that a shell gives a
 * process that the signal killed. `dispose` takes the listeners off again.
 */
export function stopSignal(
  process: Pick<EventEmitter, 'on' | 'off'>,
  exit: (code: number) => void,
): { signal: AbortSignal; dispose(): void } {
  const controller = new AbortController()
  const listeners = Object.entries(CODES).map(([name, code]) => {
    const listener = () => {
      if (controller.signal.aborted) exit(code)
      else controller.abort(new Error(`Stopped by ${name}`))
    }
    process.on(name, listener)
    return { name, listener }
  })
  return {
    signal: controller.signal,
    dispose() {
      for (const { name, listener } of listeners) process.off(name, listener)
    },
  }
}
