import { expect, test } from 'vitest'
import { type Environment, readConfig } from '#shared/config/index.ts'
import { ConfigurationError } from '#shared/errors.ts'

const sinkOf = async (env: Environment) => (await readConfig(env)).sink

test('what a SinkBinding sets is taken as it stands', async () => {
  const ca = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----'
  expect(
    await sinkOf({
      K_SINK: 'https://sink.example.com/ns/broker/?a=b%20c',
      K_CE_OVERRIDES: '{"extensions":{"site":"north","zone2":"a b"}}',
      K_CA_CERTS: `${ca}\n`,
      SINK_TOKEN_FILE: '/run/token',
    }),
  ).toEqual({
    url: 'https://sink.example.com/ns/broker/?a=b%20c',
    overrides: { site: 'north', zone2: 'a b' },
    ca,
    tokenFile: '/run/token',
  })
})

test.each([
  ['an empty text', ''],
  ['an empty object', '{}'],
  ['no extensions', '{"extensions":{}}'],
  ['something that Knative may add one day', '{"attributes":{"Any":1}}'],
])('overrides may be %s', async (_, text) => {
  expect((await sinkOf({ K_CE_OVERRIDES: text })).overrides).toEqual({})
})

const REFUSED: readonly (readonly [variable: string, value: string])[] = [
  ['K_SINK', 'broker.example.com/x'],
  ['K_SINK', 'ftp://broker.example.com/'],
  ['K_SINK', 'http://user:word@broker.example.com/'],
  ['K_SINK', 'http://broker.example.com/#x'],
  ['K_CA_CERTS', '/etc/ca.crt'],
  ['K_CE_OVERRIDES', 'site=north'],
  ['K_CE_OVERRIDES', '[]'],
  ['K_CE_OVERRIDES', 'null'],
  ['K_CE_OVERRIDES', '{"extensions":["site"]}'],
  ['K_CE_OVERRIDES', '{"extensions":{"Site":"north"}}'],
  ['K_CE_OVERRIDES', '{"extensions":{"my-site":"north"}}'],
  ['K_CE_OVERRIDES', '{"extensions":{"":"north"}}'],
  ['K_CE_OVERRIDES', '{"extensions":{"abcdefghijklmnopqrstu":"north"}}'],
  ['K_CE_OVERRIDES', '{"extensions":{"site":1}}'],
  ['K_CE_OVERRIDES', '{"extensions":{"site":"north\\r\\nce-id: 1"}}'],
  ['K_CE_OVERRIDES', '{"extensions":{"site":"n\\u00f6rd"}}'],
  ['K_CE_OVERRIDES', '{"extensions":{"id":"1"}}'],
  ['K_CE_OVERRIDES', '{"extensions":{"type":"mine"}}'],
  ['K_CE_OVERRIDES', '{"extensions":{"data":"mine"}}'],
  ['K_CE_OVERRIDES', '{"extensions":{"specversion":"0.3"}}'],
]

test.each(REFUSED)('%s refuses %s, and says what it wants', async (variable, value) => {
  const refusal = await readConfig({ [variable]: value }).catch((error: unknown) => error)
  if (!(refusal instanceof ConfigurationError)) throw new Error('It was taken')
  expect(refusal.problems).toHaveLength(1)
  expect(refusal.problems[0]).toMatch(new RegExp(`^${variable} must be .*; found `))
})
