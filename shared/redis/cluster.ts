import { createCluster } from '@redis/client'
import { within } from '#shared/deadline.ts'
import type { Endpoint } from './address.ts'
import { RedisError } from './failure.ts'
import { type Access, clientOptions, type Server } from './server.ts'
import type { Timing } from './timing.ts'

/** The masters of a cluster, each connected to when it is first asked. */
export type Cluster = {
  /** Sends a command to the master that has the slot of the hash tag, wherever that has moved to. */
  send(tag: string, command: readonly string[]): Promise<unknown>
  members(): readonly Endpoint[]
  close(): void
}

/** How often a command is sent on, which takes two when a slot is being moved. */
const REDIRECTIONS = 4

/** The cluster of a member that has just answered. @throws RedisError, or what the client throws. */
export async function openCluster(member: Server, access: Access, timing: Timing): Promise<Cluster> {
  const cluster = createCluster({
    RESP: 2,
    rootNodes: [{ socket: member.endpoint }],
    defaults: clientOptions(access, timing),
    commandOptions: { timeout: 0 },
    minimizeConnections: true,
    maxCommandRedirections: REDIRECTIONS,
  })
  let reason: unknown
  cluster.on('error', (error: unknown) => {
    reason = error
  })
  const late = () =>
    new RedisError(`Redis at ${member.where} did not show its cluster within ${timing.connectMs} ms`)
  try {
    await within(timing.connectMs, cluster.connect(), late)
    if (cluster.masters.length === 0) {
      throw new RedisError(
        `Redis at ${member.where} is in cluster mode, but no master serves any slots: finish creating the cluster`,
      )
    }
  } catch (error) {
    cluster.destroy()
    throw reason ?? error
  }
  return {
    send: (tag, command) => cluster.sendCommand(`{${tag}}`, false, [...command]),
    members: () => cluster.masters.map(({ host, port }) => ({ host, port })),
    close: () => cluster.destroy(),
  }
}
