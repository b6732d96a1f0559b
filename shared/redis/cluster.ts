import * as z from 'zod/mini'
import { type Endpoint, shown } from './address.ts'
import type { Connection } from './connection.ts'
import { RedisError } from './failure.ts'
import { createLink, type Link } from './link.ts'
import { slotOf } from './slot.ts'

export type Cluster = {
  /** Sends a command to the master that has the slot of the hash tag, wherever it has moved to. @throws StoreError */
  send(tag: string, command: readonly string[]): Promise<unknown>
  /** The masters that were heard of. */
  members(): readonly Endpoint[]
  close(): void
}

/** How often a command is sent on, which takes two when a slot is being moved. */
const REDIRECTIONS = 4

/** Replies after which what is known of the slots is asked for anew. */
const STALE: ReadonlySet<string | undefined> = new Set([undefined, 'CLUSTERDOWN', 'READONLY', 'MASTERDOWN'])

/** `member` gives a connection to any member; `open` connects to one. */
export function createCluster(member: Link, open: (endpoint: Endpoint) => Promise<Connection>): Cluster {
  const links = new Map<string, Link>()
  const moved = new Map<number, Endpoint>()
  let ranges: readonly SlotRange[] | undefined
  let loading: Promise<readonly SlotRange[]> | undefined

  function linkTo(endpoint: Endpoint): Link {
    const key = shown(endpoint)
    let link = links.get(key)
    if (link === undefined) {
      link = createLink(() => open(endpoint))
      links.set(key, link)
    }
    return link
  }

  async function load(): Promise<readonly SlotRange[]> {
    try {
      const loaded = await askSlots(await member.get())
      moved.clear()
      const masters = new Set(loaded.map(({ master }) => shown(master)))
      for (const [key, link] of links) {
        if (masters.has(key)) continue
        links.delete(key)
        link.close()
      }
      for (const { master } of loaded) linkTo(master)
      ranges = loaded
      return loaded
    } catch (error) {
      // Another member may know more.
      member.reset()
      throw error
    } finally {
      loading = undefined
    }
  }

  function refresh(): Promise<readonly SlotRange[]> {
    loading ??= load()
    return loading
  }

  /** What is known goes on to be used meanwhile: most masters may be where they were. */
  function refreshBehind(): void {
    refresh().catch(() => {})
  }

  async function ownerOf(slot: number): Promise<Endpoint> {
    const loaded = ranges ?? (await refresh())
    const owner = moved.get(slot) ?? loaded.find(({ from, to }) => slot >= from && slot <= to)?.master
    if (owner !== undefined) return owner
    refreshBehind()
    throw new RedisError(`The Redis cluster has nobody for slot ${slot}`, { reply: 'CLUSTERDOWN' })
  }

  async function sendTo(endpoint: Endpoint, command: readonly string[], asking: boolean): Promise<unknown> {
    const connection = await linkTo(endpoint).get()
    if (asking) connection.send(['ASKING']).catch(() => {})
    return connection.send(command)
  }

  return {
    async send(tag, command) {
      const slot = slotOf(tag)
      let owner = await ownerOf(slot)
      let asking = false
      for (let redirections = 0; ; redirections += 1) {
        try {
          return await sendTo(owner, command, asking)
        } catch (error) {
          const reply = error instanceof RedisError ? error.reply : undefined
          if (STALE.has(reply)) refreshBehind()
          if (!(error instanceof Error) || (reply !== 'MOVED' && reply !== 'ASK')) throw error
          const next = redirection(error.message, owner.host)
          if (next === undefined) throw error
          if (redirections >= REDIRECTIONS) {
            refreshBehind()
            throw new RedisError(`The Redis cluster sends on and on: ${error.message}`)
          }
          asking = reply === 'ASK'
          if (!asking) moved.set(slot, next)
          owner = next
        }
      }
    },
    members: () => ranges?.map(({ master }) => master) ?? [],
    close() {
      for (const link of links.values()) link.close()
    },
  }
}

const text = z.nullish(z.string())
const slotsReply = z.array(
  z.tuple([z.number(), z.number(), z.tuple([text, z.number()], z.unknown())], z.unknown()),
)

/** Which master has which slots, ends included. */
type SlotRange = { readonly from: number; readonly to: number; readonly master: Endpoint }

/**
 * What a member of a cluster says of who has which slots.
 * @throws RedisError
 */
async function askSlots(member: Connection): Promise<SlotRange[]> {
  const reply = slotsReply.safeParse(await member.send(['CLUSTER', 'SLOTS']))
  if (!reply.success || reply.data.length === 0) {
    throw new RedisError(`Redis at ${member.where} belongs to a cluster in which nobody has any slots`)
  }
  return reply.data.map(([from, to, [host, port]]) => ({
    from,
    to,
    // A member that does not know its own address leaves it out: it is where it was asked.
    master: { host: host && host !== '?' ? host : member.endpoint.host, port },
  }))
}

/** Where an error reply `MOVED <slot> <host>:<port>` or `ASK …` points. */
function redirection(message: string, self: string): Endpoint | undefined {
  const [, host, port] = /\b(?:MOVED|ASK) \d+ (\S*):(\d+)/.exec(message) ?? []
  return port === undefined ? undefined : { host: host || self, port: Number(port) }
}
