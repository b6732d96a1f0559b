import * as z from 'zod/mini'

/** Of a ConfigMap's metadata, what we go by. */
const metadata = z.object({
  name: z.string(),
  uid: z.string(),
  resourceVersion: z.string(),
  annotations: z.optional(z.record(z.string(), z.string())),
})

/** What the API server answers to a write, and to a read that asks for the metadata alone. */
export const partialObject = z.object({ metadata })

export const configMap = z.object({ metadata, data: z.optional(z.record(z.string(), z.string())) })

export type ConfigMap = z.infer<typeof configMap>

const listMetadata = z.object({ continue: z.optional(z.string()) })

export const configMapList = z.object({ metadata: listMetadata, items: z.array(configMap) })

export const partialObjectList = z.object({ metadata: listMetadata, items: z.array(partialObject) })

/** Media types by which the API server is asked to leave the data out of its answer. */
export const METADATA_ONLY = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1'
export const METADATA_LIST_ONLY = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1'
