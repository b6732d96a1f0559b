import { createRedHatV1, createRedHatV2, createStarlingX, type Publisher } from '#local/publishers/index.ts'
import type { Target } from '#shared/publishers/target.ts'
import { using } from '../../publishers/support/consumer.ts'

/** A publisher of each dialect and release; the first one warms up for `warmUpMs`. */
export async function startFleet(warmUpMs = 0): Promise<Publisher[]> {
  const publishers = [
    createRedHatV2({ node: 'worker-0.site-a.example.com', release: 'main', warmUpMs }),
    createRedHatV2({ node: 'worker-1.site-a.example.com', release: '4.18', warmUpMs: 0 }),
    createRedHatV1({ node: 'worker-2.site-a.example.com', release: '4.14', warmUpMs: 0 }),
    createRedHatV1({ node: 'worker-3.site-a.example.com', release: '4.18', warmUpMs: 0 }),
    createStarlingX({ node: 'controller-0', warmUpMs: 0 }),
  ].map(using)
  await Promise.all(publishers.map((publisher) => publisher.listen()))
  return publishers
}

export const targetsOf = (publishers: readonly Publisher[]): Target[] =>
  publishers.map(({ node, url }) => ({ node, url, dialect: 'auto' }))

/** How many subscriptions each of them holds. */
export const held = (publishers: readonly Publisher[]) =>
  publishers.map((publisher) => publisher.subscriptions().length)
