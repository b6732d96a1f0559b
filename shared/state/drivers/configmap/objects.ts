import * as z from 'zod/mini'
import { itemsOf, listMetadata, orAbsent } from '#shared/kubernetes/status.ts'

/** Of a ConfigMap's metadata, what we go by. */
const metadata = z.object({
  name: z.string(),
  uid: z.string(),
  resourceVersion: z.string(),
  annotations: orAbsent(z.record(z.string(), z.string())),
})

/** What the API server answers to a write, and to a read that asks for the metadata alone. */
export const partialObject = z.object({ metadata })

export const configMap = z.object({ metadata, data: orAbsent(z.record(z.string(), z.string())) })

export type ConfigMap = z.infer<typeof configMap>

export const configMapList = z.object({ metadata: listMetadata, items: itemsOf(configMap) })

export const partialObjectList = z.object({ metadata: listMetadata, items: itemsOf(partialObject) })

/** Media types by which the API server is asked to leave the data out of its answer. */
export const METADATA_ONLY = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1'
export const METADATA_LIST_ONLY = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1'
