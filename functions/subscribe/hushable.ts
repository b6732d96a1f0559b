import type { Log } from '#shared/log.ts'

/** A log that can be told to keep to errors from then on. */
export function createHushable(log: Log): { log: Log; hush(): void } {
  let hushed = false
  return {
    log: {
      error: log.error,
      warn: (message, fields) => (hushed ? undefined : log.warn(message, fields)),
      info: (message, fields) => (hushed ? undefined : log.info(message, fields)),
      debug: (message, fields) => (hushed ? undefined : log.debug(message, fields)),
      on: (level) => (!hushed || level === 'error') && log.on(level),
    },
    hush() {
      hushed = true
    },
  }
}
