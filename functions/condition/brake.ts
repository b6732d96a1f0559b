import type { Swept } from './reconcile.ts'

/**
 * The share of a site's Nodes that may be tainted at once, at least one: losing a grandmaster must not close a site.
 */
const MOST_TAINTED = 0.1

/** How many of a site's Nodes may be tainted at once. */
export const mostTainted = (nodes: number) => Math.max(1, Math.floor(nodes * MOST_TAINTED))

/** How many of these are in each site. */
export function countBySite(swept: readonly Swept[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const { site } of swept) counts.set(site, (counts.get(site) ?? 0) + 1)
  return counts
}

/** How many nodes each site has. Forgotten nodes belong to no site and make no room for others. */
export const sizesOf = (swept: readonly Swept[]) =>
  countBySite(swept.filter(({ overall }) => overall !== 'NotWatched'))

/**
 * The Nodes that hold a place, plus as many in FREERUN as their site's limit allows. One that holds a place but could
 * not be read may be in any site, so it counts in each.
 */
export function withinLimit(held: ReadonlySet<string>, swept: readonly Swept[]): Set<string> {
  const taken = new Set(held)
  const sizes = sizesOf(swept)
  const seen = new Set(swept.map(({ node }) => node.name))
  const unseen = [...held].filter((name) => !seen.has(name)).length
  const used = new Map(countBySite(swept.filter(({ node }) => held.has(node.name))))
  for (const { node, site, overall } of swept) {
    const before = used.get(site) ?? 0
    if (overall !== 'FREERUN' || taken.has(node.name) || before + unseen >= mostTainted(sizes.get(site) ?? 0))
      continue
    taken.add(node.name)
    used.set(site, before + 1)
  }
  return taken
}
