/** How much is logged, least first. */
export const LOG_LEVELS = ['silent', 'error', 'warn', 'info', 'debug'] as const
type LogLevel = (typeof LOG_LEVELS)[number]

/** The fields of a line: `node`, `kind`, `outcome` and `durationMs` where they apply; never a token. */
export type LogFields = Readonly<Record<string, unknown>>

/**
 * One JSON line per outcome. Methods of disabled levels do nothing; check {@link Log.on} before computing costly
 * fields.
 */
export type Log = {
  error(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  debug(message: string, fields?: LogFields): void
  on(level: LogLevel): boolean
}

/** How much may wait for a reader that has stopped reading. Bytes. */
export const MOST_UNREAD = 1024 * 1024

/**
 * Writes one JSON line per call to `write`, with `time`, `level` and `message` first. The default is stderr: if its
 * reader is too slow, lines are dropped, and a later line says how many.
 */
export function createLog(options: {
  level: LogLevel
  now: () => number
  write?: (line: string) => void
  fields?: LogFields
}): Log {
  const spell = (level: LogLevel, message: string, fields?: LogFields) => {
    const time = new Date(options.now()).toISOString()
    return `${JSON.stringify({ time, level, message, ...options.fields, ...fields })}\n`
  }
  const { write = boundedWriter((dropped) => spell('warn', TOO_SLOW, { dropped })) } = options
  const on = (level: LogLevel) => LOG_LEVELS.indexOf(level) <= LOG_LEVELS.indexOf(options.level)
  const at = (level: LogLevel) =>
    on(level) ? (message: string, fields?: LogFields) => write(spell(level, message, fields)) : () => {}
  return { error: at('error'), warn: at('warn'), info: at('info'), debug: at('debug'), on }
}

const TOO_SLOW = 'log lines dropped: the reader of the log is too slow'

/** Writes to stderr, which would buffer without a limit. */
function boundedWriter(told: (dropped: number) => string): (line: string) => void {
  let dropped = 0
  let listening = false
  const tell = () => {
    if (dropped > 0) process.stderr.write(told(dropped))
    dropped = 0
  }
  return (line) => {
    if (process.stderr.writableLength < MOST_UNREAD) {
      tell()
      process.stderr.write(line)
      return
    }
    dropped += 1
    if (listening) return
    listening = true
    process.stderr.once('drain', () => {
      listening = false
      tell()
    })
  }
}

export const silentLog: Log = createLog({ level: 'silent', now: () => 0 })
