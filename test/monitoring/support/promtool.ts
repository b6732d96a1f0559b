import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { temporaryFolder } from '../../state/drivers/temporary-folder.ts'
import { shippedRules } from './rules.ts'

const PACKAGES: Readonly<Record<string, string>> = {
  promtool: 'prometheus',
  amtool: 'prometheus-alertmanager',
}

/** What a tool says of files, and whether it is content. */
export function check(
  tool: 'promtool' | 'amtool',
  args: readonly string[],
): Promise<{ ok: boolean; said: string }> {
  return new Promise((resolve, reject) => {
    execFile(tool, args, (error, out, err) => {
      if (error?.code === 'ENOENT') {
        reject(
          new Error(`This test needs ${tool} in PATH: apt-get install ${PACKAGES[tool]}`, { cause: error }),
        )
      } else resolve({ ok: error === null, said: `${out}${err}` })
    })
  })
}

export type Series = Readonly<Record<string, string>>

/** Seconds between two values of a series, and two evaluations of the rules. */
export const STEP = 5

/** `series`: one value every `stepSeconds`, {@link STEP} unless set. `fires`: `<alert> <node, else site>`. */
export type Case = {
  readonly what: string
  readonly series: Series
  readonly atSeconds: number
  readonly fires: readonly string[]
  readonly stepSeconds?: number
}

/** What promtool says of cases in which the shipped rules do not do what is expected. */
export async function failures(cases: readonly Case[]): Promise<string> {
  const steps = new Map<number, Case[]>()
  for (const one of cases) {
    const { stepSeconds = STEP } = one
    steps.set(stepSeconds, [...(steps.get(stepSeconds) ?? []), one])
  }
  const said = await Promise.all(Array.from(steps, ([step, some]) => failuresBy(`${step}s`, some)))
  return said.join('')
}

async function failuresBy(interval: string, cases: readonly Case[]): Promise<string> {
  const folder = await temporaryFolder()
  try {
    const rules = join(folder.path, 'rules.yml')
    const groups = shippedRules().groups.map((group) => ({ ...group, interval }))
    await writeFile(rules, stringify({ groups }))
    const suite = join(folder.path, 'test.yml')
    const tests = cases.map((one) => ({ interval, ...inPromtool(one) }))
    await writeFile(suite, stringify({ rule_files: [rules], evaluation_interval: interval, tests }))
    const { ok, said } = await check('promtool', ['test', 'rules', suite])
    return ok ? '' : said
  } finally {
    await folder.remove()
  }
}

const FIRING = 'ALERTS{alertstate="firing"}'
const OF_SITE = `label_replace(${FIRING}, "of", "$1", "site", "(.+)")`

function inPromtool({ what, series, atSeconds, fires }: Case): object {
  return {
    input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
    promql_expr_test: [
      {
        // The comment is how promtool names the case.
        expr: `count by (alertname, of) (label_replace(${OF_SITE}, "of", "$1", "node", "(.+)")) # ${what}`,
        eval_time: `${atSeconds}s`,
        exp_samples: fires.map((each) => {
          const [alertname, of] = each.split(' ')
          const more = of === undefined ? '' : `, of="${of}"`
          return { labels: `{alertname="${alertname}"${more}}`, value: 1 }
        }),
      },
    ],
  }
}
