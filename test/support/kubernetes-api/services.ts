import { createPages, type List, type ListOptions } from './pages.ts'

export type Service = {
  readonly metadata: {
    readonly name: string
    readonly namespace: string
    readonly labels: Readonly<Record<string, string>>
  }
  readonly spec: {
    readonly clusterIP: 'None'
    readonly ports?: readonly { readonly name: string; readonly port: number; readonly protocol: 'TCP' }[]
  }
}

/** The Services of a cluster: headless ones, as the PTP Operator makes them for publishers. */
export type Services = {
  /** A Service without ports says none at all. */
  put(namespace: string, name: string, ports: Readonly<Record<string, number>>): void
  remove(namespace: string, name: string): void
  list(namespace: string, options: ListOptions): List<Service>
  expireContinuations(): void
}

export function createServices(): Services {
  const services = new Map<string, Service>()
  let revision = 1
  const { list, expire } = createPages(
    (namespace) =>
      [...services.values()]
        .filter(({ metadata }) => metadata.namespace === namespace)
        .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1)),
    () => revision,
  )
  return {
    put(namespace, name, ports) {
      revision += 1
      const named = Object.entries(ports).map(([port, number]) => ({
        name: port,
        port: number,
        protocol: 'TCP' as const,
      }))
      services.set(`${namespace}/${name}`, {
        metadata: { name, namespace, labels: { app: 'linuxptp-daemon' } },
        spec: { clusterIP: 'None', ...(named.length > 0 && { ports: named }) },
      })
    },
    remove(namespace, name) {
      revision += 1
      services.delete(`${namespace}/${name}`)
    },
    list,
    expireContinuations: expire,
  }
}
