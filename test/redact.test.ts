import { expect, test } from 'vitest'
import { redact } from '#shared/redact.ts'

const TOKEN = 'Zk3vQ0xJ8n_LrT5yWm2aBcD4eF6gH7iK'

test.each([
  [
    'the token of a callback URL',
    `http://ingest/event/node1.example.com/${TOKEN}`,
    'http://ingest/event/node1.example.com/***',
  ],
  ['a token however it looks', 'http://ingest/event/node1/aaaa', 'http://ingest/event/node1/***'],
  [
    'the token of a Broker',
    `https://ingest:8443/base/cloudevents/${TOKEN}`,
    'https://ingest:8443/base/cloudevents/***',
  ],
  ['what looks like a token elsewhere', `http://other/hook/${TOKEN}/x`, 'http://other/hook/***/x'],
  ['credentials of a URL', 'https://user:pass@host:9043/api', 'https://***@host:9043/api'],
  ['a query', `http://other/hook?token=${TOKEN}`, 'http://other/hook?***'],
  ['a fragment', 'http://other/hook#secret', 'http://other/hook?***'],
  [
    'URLs inside a text',
    `Post "http://a/event/n/${TOKEN}": dial tcp: refused, http://b/event/n/${TOKEN}`,
    'Post "http://a/event/n/***": dial tcp: refused, http://b/event/n/***',
  ],
])('hides %s', (_, text, shown) => {
  expect(redact(text)).toBe(shown)
})

test.each([
  'http://127.0.0.1:9089/event',
  'http://ingest/event/worker-0.site-a.example.com',
  'http://n:9043/api/ocloudNotifications/v2/subscriptions/5a4fe4ba-f063-44cb-96f2-d03a0a654649',
  'http://n:9043/api/ocloudNotifications/v2/cluster/node/ip-10-0-143-22-us-east-2-compute/sync/ptp-status/lock-state',
])('leaves %s as it is', (text) => {
  expect(redact(text)).toBe(text)
})
