import { readdirSync, readFileSync } from 'node:fs'
import * as z from 'zod/mini'

const text = z.string()
/** An answer: a body as JSON or text, or a status alone. */
const body = z.unknown()
const node = z.strictObject({
  overall: z.optional(z.union([text, z.array(text)])),
  stale: z.optional(z.boolean()),
  /** By kind and instance; null where there must be none. */
  clocks: z.optional(
    z.record(
      text,
      z.nullable(
        z.strictObject({
          state: z.optional(z.nullable(text)),
          /** Null where there must be no such figure. */
          metrics: z.optional(z.record(text, z.nullable(text))),
          since: z.optional(text),
          contested: z.optional(z.boolean()),
          via: z.optional(text),
        }),
      ),
    ),
  ),
  /** All the clocks there are. */
  only: z.optional(z.array(text)),
  counters: z.optional(z.record(text, z.number())),
  /** Entries that must be there, by some of their fields, and entries that must not. */
  log: z.optional(z.array(z.record(text, z.unknown()))),
  logNot: z.optional(z.array(z.record(text, z.unknown()))),
})

const publisher = z.strictObject({
  base: z.optional(text),
  /** By resource address: what CurrentState answers. */
  resources: z.optional(z.record(text, body)),
  /** The addresses of its list of publishers; without it there is no such list. */
  published: z.optional(z.array(text)),
  /** By resource address: the status of a create. */
  refuses: z.optional(z.record(text, z.number())),
  /** By resource address: what is posted before a create is answered. */
  initial: z.optional(z.record(text, body)),
  health: z.optional(z.boolean()),
  duplicates: z.optional(z.boolean()),
  /** Whether an answer to a create has a UriLocation. */
  location: z.optional(z.boolean()),
  /** What an empty list looks like. */
  empty: z.optional(body),
  /** Those of others, there before. */
  subscriptions: z.optional(
    z.array(z.strictObject({ SubscriptionId: text, EndpointUri: text, ResourceAddress: text })),
  ),
  /** The bearer token that every request needs. */
  token: z.optional(text),
  /** By method and path: answers that come before all others. */
  routes: z.optional(
    z.record(
      text,
      z.strictObject({ status: z.optional(z.number()), body: z.optional(body), type: z.optional(text) }),
    ),
  ),
})

const step = z.strictObject({
  /** Milliseconds before it. */
  wait: z.optional(z.number()),
  /** How the publisher answers from now on. */
  publisher: z.optional(publisher),
  /** A request to ingest, with its body as JSON or as text, and the status of its reply. */
  post: z.optional(text),
  headers: z.optional(z.record(text, text)),
  body: z.optional(z.unknown()),
  raw: z.optional(text),
  status: z.optional(z.number()),
  /** A command, its exit code, and patterns in its output. */
  run: z.optional(z.array(text)),
  code: z.optional(z.number()),
  says: z.optional(z.array(text)),
  saysNot: z.optional(z.array(text)),
  /** What the publisher holds after it: how many subscriptions, or to which addresses. */
  held: z.optional(z.union([z.number(), z.array(text)])),
  /** What `status --json` shows after it; null where there must be no such node. */
  state: z.optional(z.record(text, z.nullable(node))),
})

const fieldCase = z.strictObject({
  id: text,
  kind: text,
  what: text,
  /** Who sends it, and where that was read. */
  source: text,
  expect: text,
  why: text,
  /** The node that is configured, and what else is for it. */
  node: z._default(text, 'node1.example.com'),
  target: z.optional(z.record(text, z.unknown())),
  urlSuffix: z._default(text, ''),
  callbackSuffix: z._default(text, ''),
  /** Settings; `{{folder}}` is the folder in which `files` are. */
  env: z._default(z.record(text, text), {}),
  files: z._default(z.record(text, text), {}),
  publisher: z._default(publisher, {}),
  steps: z.array(step),
})

/** An input of the field: steps, and what each of them must lead to. */
export type Case = z.infer<typeof fieldCase>
export type Step = Case['steps'][number]
export type Told = Case['publisher']
export type WantedNode = NonNullable<NonNullable<Step['state']>[string]>

const FOLDER = new URL('./', import.meta.url)

/** The cases of this folder. Throws where one has a key that means nothing. */
export function readCases(): Case[] {
  const files = readdirSync(FOLDER).filter((name) => name.endsWith('.json'))
  return files.map((name) => fieldCase.parse(JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8'))))
}

/** `{{now}}` and `{{now-30}}` (seconds) as Red Hat writes times, `{{stx-30}}` as StarlingX does, without the dot. */
export function filled(text: string): string {
  return text.replaceAll(/\{\{(now|stx)([+-]\d+)?\}\}/g, (_, how: string, seconds = '0') => {
    const time = new Date(Date.now() + Number(seconds) * 1_000).toISOString()
    const [date, millis] = [time.slice(0, 19), time.slice(20, 23)]
    return how === 'now' ? `${date}.${millis}000123Z` : `${date}${millis}123Z`
  })
}
