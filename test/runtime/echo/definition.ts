import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { StoreError } from '#shared/errors.ts'
import type { FunctionDefinition } from '#shared/runtime/function.ts'
import {
  ACCEPTED,
  HttpError,
  type HttpFunction,
  jsonReply,
  methodNotAllowed,
  NO_CONTENT,
  notFound,
} from '#shared/runtime/reply.ts'

/** A function for the host contract: it shows what reached it, and fails in every way there is. */
export const echo: FunctionDefinition = {
  name: 'echo',
  summary: 'shows what reaches it',
  description: 'For tests.',
  flags: { text: { value: 'words', description: 'Prints them.' } },
  examples: {},
  environment: ['Callback'],
  required: ['CALLBACK_URL'],
  modes: { serve: true, run: true },
  async open(_config, { metrics, log }) {
    const requests = metrics.counter({ name: 'ptp_watch_echo_total', help: 'Requests.' })
    const handle: HttpFunction = async ({ method, path, query, headers, body, signal }) => {
      requests.inc({})
      switch (path) {
        case '/nothing':
          return NO_CONTENT
        case '/accepted':
          return ACCEPTED
        case '/teapot':
          throw new HttpError(418, 'teapot', 'Short and stout', { 'x-handle': 'here' })
        case '/store':
          throw new StoreError('The store does not answer')
        case '/bug':
          throw new Error('hunter2')
        case '/post-only':
          return method === 'POST' ? NO_CONTENT : methodNotAllowed(['POST'])
        case '/missing':
          return notFound()
        case '/held':
          log.info('held')
          await Promise.race([
            new Promise((resolve) => signal.addEventListener('abort', resolve)),
            sleep(20_000, undefined, { ref: false }),
          ])
          return jsonReply(200, { aborted: signal.aborted })
        default: {
          const hash = createHash('sha256').update(body).digest('base64')
          const type = headers['content-type'] ?? null
          return jsonReply(200, { method, path, query, type, size: body.byteLength, hash })
        }
      }
    }
    return {
      handle,
      async run(flags, { terminal, signal }) {
        if (flags.text === 'fail') throw new StoreError('The store does not answer')
        if (flags.text === 'wait') {
          log.info('waiting')
          await sleep(20_000, undefined, { signal })
        }
        if (flags.text === 'deaf') {
          log.info('waiting')
          await sleep(20_000)
        }
        if (flags.text === 'much') terminal.out('much '.repeat(200_000))
        terminal.out(`${flags.text ?? 'silence'}\n`)
        return flags.text === 'part' ? 1 : 0
      },
      ping: () => Promise.resolve(),
      async close() {
        log.info('closed')
      },
    }
  },
}
