/**
 * Base of every error that this project throws on purpose.
 *
 * `code` is stable and fit for logs, metrics and replies; `retryable` says whether the same call may succeed later.
 * The message names what was attempted and where, and never contains a token.
 */
export class PtpWatchError extends Error {
  readonly code: string
  readonly retryable: boolean

  constructor(code: string, message: string, options: { retryable?: boolean; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = new.target.name
    this.code = code
    this.retryable = options.retryable ?? false
  }
}

/** The configuration is invalid: one problem per line. Ends a process with exit code 2. */
export class ConfigurationError extends PtpWatchError {
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super('configuration', `The configuration cannot be used:\n${problems.map((p) => `  - ${p}`).join('\n')}`)
    this.problems = problems
  }
}

/** A body that is not an event of any known shape: `code` and `message` say why. Never retryable. */
export class MalformedEventError extends PtpWatchError {}

/** Another process wrote the node's document since it was read. Drivers throw it; the store tries again. */
export class ConflictError extends PtpWatchError {
  constructor(node: string) {
    super('conflict', `The document of node ${node} was changed by another process since it was read`, {
      retryable: true,
    })
  }
}

/** The store does not answer, or refuses. */
export class StoreError extends PtpWatchError {
  constructor(message: string, options: { retryable?: boolean; cause?: unknown } = {}) {
    super('store', message, { retryable: true, ...options })
  }
}

/** The publishers of a cluster could not be listed, or there are none. */
export class DiscoveryError extends PtpWatchError {
  constructor(message: string, options: { retryable?: boolean } = {}) {
    super('discovery', message, { retryable: true, ...options })
  }
}

/** An HTTP request got no answer, or an unexpected one. `status` is absent if there was no answer. */
export class PublisherError extends PtpWatchError {
  readonly status: number | undefined
  readonly url: string

  constructor(
    code: 'unreachable' | 'timeout' | 'status' | 'body',
    message: string,
    options: { url: string; status?: number; retryable?: boolean; cause?: unknown },
  ) {
    super(code, message, options)
    this.status = options.status
    this.url = options.url
  }
}

/** The result of a call, or the PublisherError that it failed with. */
export async function tried<T>(asked: Promise<T>): Promise<T | PublisherError> {
  try {
    return await asked
  } catch (error) {
    if (error instanceof PublisherError) return error
    throw error
  }
}

/** One line for people about anything thrown, including its cause. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error instanceof AggregateError && error.message === '') return error.errors.map(reasonOf).join('; ')
  const cause = error.cause === undefined ? '' : `: ${reasonOf(error.cause)}`
  return `${error.message || error.name}${cause}`
}
