import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { createCallback } from '#shared/callback.ts'
import { readConfig } from '#shared/config/index.ts'
import {
  COMPONENTS,
  OVERLAYS,
  ofKind,
  parse,
  renderOverlay,
  renderText,
  renderWith,
} from './support/render.ts'
import { SECRETS } from './support/secrets.ts'

const PAGE = readFileSync(new URL('../../docs/deploy.md', import.meta.url), 'utf8')

describe('docs/deploy.md', () => {
  it.each([...OVERLAYS, ...COMPONENTS])('speaks of %s', (name) => {
    expect(PAGE).toContain(`\`${name}\``)
  })

  it.each(Object.keys(SECRETS))('has people make the Secret %s', (id) => {
    const [name = '', key = ''] = id.split('/')
    const command = PAGE.split(`create secret generic ${name} `)[1]?.split('```')[0] ?? ''
    expect(command).toMatch(new RegExp(`--from-(literal|file)=${key.replace('.', '\\.')}\\b`))
  })

  it.each(OVERLAYS)('has the namespace of %s', (name) => {
    const [namespace] = ofKind(renderOverlay(name), 'Namespace', 'v1')
    expect(PAGE).toMatch(new RegExp(`\\| \`${name}\` \\|.*\\| \`${namespace?.metadata.name}\` \\|`))
  })

  it.each(['a secret with a blank', 'the new secret,the old one'])(
    'makes the token of the Broker from %j as ingest does',
    (text) => {
      const [secret = ''] = text.split(',')
      const command = /\{ IFS=, read -r s _; .*?\} \| .*? cut -c1-32/s.exec(PAGE)?.[0] ?? ''
      const token = execFileSync('bash', ['-c', command], { input: text, encoding: 'utf8' }).trim()
      expect(token).toBe(createCallback({ url: 'http://ingest', secrets: [secret] }).brokerToken)
    },
  )

  it('patches the path of the Trigger that no manifest has', () => {
    const patch =
      /patch trigger ingest --type merge -p "(.*)"$/m.exec(PAGE)?.[1]?.replaceAll('\\"', '"') ?? ''
    expect(JSON.parse(patch)).toEqual({ spec: { subscriber: { uri: '/cloudevents/$TOKEN' } } })
    const [trigger] = ofKind(renderWith('red-hat-v2', ['broker-input']), 'Trigger', 'eventing.knative.dev/v1')
    expect(trigger?.metadata.name).toBe('ingest')
    expect(trigger?.spec.subscriber).not.toHaveProperty('uri')
  })

  it('says which values HISTORY_PER_NODE takes', async () => {
    const [, least, most] = /`HISTORY_PER_NODE` takes (\d+) to (\d+)/.exec(PAGE) ?? []
    for (const value of [least, most])
      expect((await readConfig({ HISTORY_PER_NODE: value })).historyPerNode).toBe(Number(value))
    await expect(readConfig({ HISTORY_PER_NODE: String(Number(most) + 1) })).rejects.toThrow(
      'HISTORY_PER_NODE',
    )
  })

  it.each(OVERLAYS)('turns the subscribe of %s, and nothing else, into one that removes', (name) => {
    const script = /sed '(s.*- --remove.*)'/.exec(PAGE)?.[1] ?? ''
    const changed = parse(execFileSync('sed', [script], { input: renderText(name), encoding: 'utf8' }))
    const [job] = ofKind(changed, 'Job', 'batch/v1')
    expect(job?.spec.template.spec.containers[0]?.args).toEqual(['subscribe', '--remove'])
    expect(job?.metadata.labels).toMatchObject({ 'app.kubernetes.io/component': 'subscribe' })
    const others = (all: ReturnType<typeof renderOverlay>) => all.filter(({ kind }) => kind !== 'Job')
    expect(others(changed)).toEqual(others(renderOverlay(name)))
  })
})
