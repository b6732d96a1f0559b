import type { Version } from './driver.ts'
import type { NodeState } from '#shared/state/document.ts'

/** A document as this process last knew it. */
export type Known = {
  readonly state: NodeState | undefined
  readonly version: Version | undefined
  /** The newest call of the store that had been made when the read, or the write, that showed it began. */
  readonly asOf: number
}

/** What is known of nodes, at most `limit` of them: the one known for longest is forgotten first. */
export type DocumentCache<T> = {
  get(node: string): T | undefined
  set(node: string, known: T): void
  delete(node: string): void
}

export function createDocumentCache<T>(limit: number): DocumentCache<T> {
  // A Map keeps the order of insertion: its first key is the one that has been known for longest.
  const documents = new Map<string, T>()
  return {
    get: (node) => documents.get(node),
    set(node, known) {
      documents.set(node, known)
      if (documents.size <= limit) return
      for (const oldest of documents.keys()) {
        documents.delete(oldest)
        return
      }
    },
    delete: (node) => void documents.delete(node),
  }
}
