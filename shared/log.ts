/** How much is logged, least first. */
export const LOG_LEVELS = ['silent', 'error', 'warn', 'info', 'debug'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** What a line is about. `node`, `kind`, `outcome` and `durationMs` where they apply; never a token. */
export type LogFields = Readonly<Record<string, unknown>>

/** One JSON line per outcome. Methods of levels that are off do nothing; ask {@link Log.on} before costly fields. */
export type Log = {
  error(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  debug(message: string, fields?: LogFields): void
  on(level: LogLevel): boolean
}

/** A log that writes one JSON line a call, `time`, `level` and `message` first, to `write` (default: stderr). */
export function createLog(options: {
  level: LogLevel
  now: () => number
  write?: (line: string) => void
  fields?: LogFields
}): Log {
  const write = options.write ?? ((line: string) => void process.stderr.write(line))
  const limit = LOG_LEVELS.indexOf(options.level)
  const at = (level: LogLevel) => {
    if (LOG_LEVELS.indexOf(level) > limit) return () => {}
    return (message: string, fields?: LogFields) => {
      const line = {
        time: new Date(options.now()).toISOString(),
        level,
        message,
        ...options.fields,
        ...fields,
      }
      write(`${JSON.stringify(line)}\n`)
    }
  }
  return {
    error: at('error'),
    warn: at('warn'),
    info: at('info'),
    debug: at('debug'),
    on: (level) => LOG_LEVELS.indexOf(level) <= limit,
  }
}

export const silentLog: Log = createLog({ level: 'silent', now: () => 0 })
