/** What the API server refuses, with the status, the reason and the words of the real one. */
export class Refusal extends Error {
  readonly code: number
  readonly reason: string
  /** Goes into the `metadata` of the Status object. */
  readonly metadata: Readonly<Record<string, string>>

  constructor(
    code: number,
    reason: string,
    message: string,
    metadata: Readonly<Record<string, string>> = {},
  ) {
    super(message)
    this.code = code
    this.reason = reason
    this.metadata = metadata
  }

  /** The Status object that is the body of the answer. */
  status() {
    const { code, reason, message, metadata } = this
    return { kind: 'Status', apiVersion: 'v1', metadata, status: 'Failure', message, reason, code }
  }
}

export const conflict = (name: string, why: string, resource = 'configmaps') =>
  new Refusal(409, 'Conflict', `Operation cannot be fulfilled on ${resource} "${name}": ${why}`)
export const notFound = (name: string, resource = 'configmaps') =>
  new Refusal(404, 'NotFound', `${resource} "${name}" not found`)
export const invalid = (name: string, why: string, kind = 'ConfigMap') =>
  new Refusal(422, 'Invalid', `${kind} "${name}" is invalid: ${why}`)
export const badRequest = (why: string) => new Refusal(400, 'BadRequest', why)
