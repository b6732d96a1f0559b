import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import * as z from 'zod/mini'
import { check } from './support/promtool.ts'

const SAMPLE = fileURLToPath(new URL('../../knative/alertmanager/alertmanager.yml', import.meta.url))
const RESOURCE = new URL('../../knative/alertmanager/alertmanager-config.yaml', import.meta.url)

const matcher = z.strictObject({ name: z.string(), matchType: z.enum(['=', '=~']), value: z.string() })
type Matcher = z.infer<typeof matcher>
const resource = z.object({
  spec: z.strictObject({
    route: z.record(z.string(), z.unknown()),
    receivers: z.array(z.strictObject({ name: z.string(), webhookConfigs: z.unknown() })),
    inhibitRules: z.array(
      z.strictObject({
        sourceMatch: z.array(matcher),
        targetMatch: z.array(matcher),
        equal: z.optional(z.array(z.string())),
      }),
    ),
  }),
})

/** `alertname =~ "a|b"`, as both may be written. */
const matcherText = ({ name, matchType, value }: Matcher) =>
  `${name} ${matchType} ${/^\w+$/.test(value) ? value : `"${value}"`}`
const snake = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

test('amtool takes the sample configuration', async () => {
  const { ok, said } = await check('amtool', ['check-config', SAMPLE])
  expect(said).toContain('SUCCESS')
  expect(ok).toBe(true)
})

test('the AlertmanagerConfig says what alertmanager.yml says', () => {
  const { route, receivers, inhibitRules } = resource.parse(parse(readFileSync(RESOURCE, 'utf8'))).spec
  const plain = {
    route: Object.fromEntries(Object.entries(route).map(([name, value]) => [snake(name), value])),
    receivers: receivers.map(({ name, webhookConfigs }) => ({ name, webhook_configs: webhookConfigs })),
    inhibit_rules: inhibitRules.map(({ sourceMatch, targetMatch, ...rest }) => ({
      source_matchers: sourceMatch.map(matcherText),
      target_matchers: targetMatch.map(matcherText),
      ...rest,
    })),
  }
  expect(plain).toEqual(parse(readFileSync(SAMPLE, 'utf8')))
})
