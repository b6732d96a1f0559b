import { rootCertificates } from 'node:tls'
import { Agent, errors, request } from 'undici'
import type { Config } from '#shared/config/index.ts'
import { reasonOf } from '#shared/errors.ts'
import { networkCodeOf } from '#shared/http/exchange.ts'
import { isUntrusted, untrusted } from '../advice.ts'
import type { Report } from '../report.ts'

const DEADLINE_MS = 5_000

/** Whether somebody answers at K_SINK. OPTIONS is asked, which has no effect; sending an event would have one. */
export async function checkSink(report: Report, sink: Config['sink'], signal: AbortSignal): Promise<void> {
  const { url, ca } = sink
  if (url === undefined) {
    report.skipped('sink', 'K_SINK', 'not set: transitions go to the store alone')
    return
  }
  const { origin, pathname } = new URL(url)
  const asked = `OPTIONS ${origin}${pathname}`
  const agent = new Agent(ca === undefined ? {} : { connect: { ca: [...rootCertificates, ca] } })
  try {
    const { statusCode, body } = await request(url, {
      method: 'OPTIONS',
      dispatcher: agent,
      signal: AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)]),
    })
    await body.dump()
    if (statusCode >= 500) {
      const todo =
        'It, or what stands before it, is failing; what it does not take is kept in the log of each node, and sent later'
      report.warning('sink', asked, `${statusCode}`, todo)
    } else if (statusCode === 404) {
      report.warning('sink', asked, '404', 'Is the path of K_SINK right: /<namespace>/<name of the Broker>?')
    } else report.ok('sink', asked, `${statusCode}: somebody is there`)
  } catch (error) {
    if (!isNoAnswer(error)) throw error
    const todo = isUntrusted(error)
      ? untrusted('K_CA_CERTS')
      : 'Correct K_SINK, or look after the Broker: what it does not take is kept in the log of each node, and sent later'
    report.failed('sink', asked, `no answer: ${reasonOf(error)}`, todo)
  } finally {
    await agent.destroy()
  }
}

function isNoAnswer(error: unknown): boolean {
  if (error instanceof errors.UndiciError || networkCodeOf(error) !== undefined) return true
  return error instanceof Error && (error.name === 'TimeoutError' || error.name === 'AbortError')
}
