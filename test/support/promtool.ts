import { spawn } from 'node:child_process'
import { once } from 'node:events'

const MISSING = 'This test needs promtool in PATH: apt-get install prometheus'

/** What `promtool check metrics` prints about a page of metrics: nothing if it has no complaint. */
export async function checkMetrics(text: string): Promise<string> {
  const child = spawn('promtool', ['check', 'metrics'], { stdio: ['pipe', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (part: string) => {
      said += part
    })
  }
  const closed = once(child, 'close').catch((error: unknown) => {
    throw new Error(MISSING, { cause: error })
  })
  child.stdin.on('error', () => {})
  child.stdin.end(text)
  const [code] = await closed
  return said === '' && code !== 0 ? `promtool ended with ${code}` : said
}
